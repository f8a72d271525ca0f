//! What one proxy has: what it shares with others, and what is its own.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::sync::Arc;

use envoy_types::pb::google::protobuf::Any;
use rpds::RedBlackTreeMapSync;

use crate::kind::ResourceType;

/// A resource's name; sets, subscriptions and changes share it.
pub type Name = Arc<str>;

/// One resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Changes exactly when the body changes, and survives a restart of the server (a hash of the body).
    pub version: Arc<str>,
    /// The packed message.
    pub body: Any,
}

/// Resources of all types by name. A clone shares everything; a change of one resource copies a path of the tree.
#[derive(Debug, Clone)]
pub struct Layer {
    types: [RedBlackTreeMapSync<Name, Arc<Resource>>; 5],
}

/// Everything that one proxy could ask for, at one revision. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct ResourceSet {
    revision: u64,
    /// Shared with all proxies that see the mesh alike.
    shared: Layer,
    /// The proxy's own; of two resources with one name this one counts.
    own: Layer,
}

/// Names, by type, under which a set differs from the one before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    types: [BTreeSet<Name>; 5],
}

impl Default for Layer {
    fn default() -> Self {
        Self { types: std::array::from_fn(|_| RedBlackTreeMapSync::new_sync()) }
    }
}

impl Layer {
    /// Puts a resource in.
    pub fn insert(&mut self, kind: ResourceType, name: Name, resource: Arc<Resource>) {
        self.types[kind.index()].insert_mut(name, resource);
    }

    /// Takes a resource out; whether it was there.
    pub fn remove(&mut self, kind: ResourceType, name: &str) -> bool {
        self.types[kind.index()].remove_mut(name)
    }

    /// A resource with its name.
    pub fn get(&self, kind: ResourceType, name: &str) -> Option<(&Name, &Arc<Resource>)> {
        self.types[kind.index()].get_key_value(name)
    }

    /// Resources of a type in the order of their names.
    pub fn iter(&self, kind: ResourceType) -> impl Iterator<Item = (&Name, &Arc<Resource>)> {
        self.types[kind.index()].iter()
    }
}

impl ResourceSet {
    /// An empty set. `revision` grows with every change of the configuration.
    pub fn new(revision: u64) -> Self {
        Self { revision, ..Self::default() }
    }

    /// A set of both layers.
    pub fn of(revision: u64, shared: Layer, own: Layer) -> Self {
        Self { revision, shared, own }
    }

    /// The set with one more resource of its own.
    #[must_use]
    pub fn with(mut self, kind: ResourceType, name: impl Into<Name>, resource: Arc<Resource>) -> Self {
        self.own.insert(kind, name.into(), resource);
        self
    }

    /// The revision of the configuration that the set was made from.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// A resource.
    pub fn get(&self, kind: ResourceType, name: &str) -> Option<&Arc<Resource>> {
        self.entry(kind, name).map(|(_, resource)| resource)
    }

    /// A resource with its name.
    pub fn entry(&self, kind: ResourceType, name: &str) -> Option<(&Name, &Arc<Resource>)> {
        self.own.get(kind, name).or_else(|| self.shared.get(kind, name))
    }

    /// Resources of a type in the order of their names.
    pub fn iter(&self, kind: ResourceType) -> impl Iterator<Item = (&Name, &Arc<Resource>)> {
        Merged { own: self.own.iter(kind).peekable(), shared: self.shared.iter(kind).peekable() }
    }
}

/// Two layers in one order.
struct Merged<A: Iterator, B: Iterator> {
    own: Peekable<A>,
    shared: Peekable<B>,
}

impl<'a, A, B> Iterator for Merged<A, B>
where
    A: Iterator<Item = (&'a Name, &'a Arc<Resource>)>,
    B: Iterator<Item = (&'a Name, &'a Arc<Resource>)>,
{
    type Item = (&'a Name, &'a Arc<Resource>);

    fn next(&mut self) -> Option<Self::Item> {
        let (Some((own, _)), Some((shared, _))) = (self.own.peek(), self.shared.peek()) else {
            return self.own.next().or_else(|| self.shared.next());
        };
        match own.cmp(shared) {
            std::cmp::Ordering::Less => self.own.next(),
            std::cmp::Ordering::Greater => self.shared.next(),
            std::cmp::Ordering::Equal => {
                self.shared.next();
                self.own.next()
            }
        }
    }
}

impl Difference {
    /// Everything that is in a set: against nothing, all of it is new.
    pub fn all(set: &ResourceSet) -> Self {
        let mut changed = Self::default();
        for kind in ResourceType::ALL {
            changed.types[kind.index()].extend(set.iter(kind).map(|(name, _)| Arc::clone(name)));
        }
        changed
    }

    /// Adds a name.
    pub fn insert(&mut self, kind: ResourceType, name: Name) {
        self.types[kind.index()].insert(name);
    }

    /// Adds all names of a later change.
    pub fn extend(&mut self, later: &Self) {
        for kind in ResourceType::ALL {
            self.types[kind.index()].extend(later.names(kind).cloned());
        }
    }

    /// Leaves out names under which both layers have the same.
    pub fn between(mut self, before: &Layer, now: &Layer) -> Self {
        for kind in ResourceType::ALL {
            let version = |layer: &Layer, name: &str| layer.get(kind, name).map(|(_, one)| Arc::clone(&one.version));
            self.types[kind.index()].retain(|name| version(before, name) != version(now, name));
        }
        self
    }

    /// Names of a type.
    pub fn names(&self, kind: ResourceType) -> impl Iterator<Item = &Name> {
        self.types[kind.index()].iter()
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.types.iter().all(BTreeSet::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(version: &str) -> Arc<Resource> {
        Arc::new(Resource { version: version.into(), body: Any::default() })
    }

    #[test]
    fn own_resources_come_before_shared_ones_of_the_same_name() {
        let layer = |names: &[(&str, &str)]| {
            let mut layer = Layer::default();
            for (name, version) in names {
                layer.insert(ResourceType::Cluster, (*name).into(), resource(version));
            }
            layer
        };
        let set = ResourceSet::of(1, layer(&[("a", "1"), ("c", "1"), ("d", "1")]), layer(&[("b", "2"), ("c", "2")]));
        let found: Vec<(&str, &str)> =
            set.iter(ResourceType::Cluster).map(|(name, resource)| (&**name, &*resource.version)).collect();
        assert_eq!(found, [("a", "1"), ("b", "2"), ("c", "2"), ("d", "1")]);
        assert_eq!(set.get(ResourceType::Cluster, "c"), Some(&resource("2")));
        assert_eq!(Difference::all(&set).names(ResourceType::Cluster).count(), 4);
    }
}
