//! One type's subscription on one stream: wanted names, where the client is behind, the push that it has to answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use orrery_resource::{Name, Resource, ResourceSet, ResourceType};
use tokio::time::Instant;

use super::{Delivered, Reply};

/// The name that stands for all resources.
const ALL: &str = "*";

/// What the client has under a name where it may be behind.
#[derive(Debug)]
pub(super) enum Had {
    /// Nothing, or it asks again.
    Nothing,
    /// What was sent on this stream.
    Sent(Arc<Resource>),
    /// The client brought this version along from an earlier stream.
    Reported(String),
    /// The client was told that there is no such resource.
    Absent,
}

/// A push without an answer so far.
#[derive(Debug)]
pub(super) struct Outstanding {
    pub(super) nonce: String,
    pub(super) revision: u64,
    pub(super) names: Vec<String>,
    pub(super) since: Instant,
}

/// What the client should get next.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) changed: Vec<(Name, Arc<Resource>)>,
    pub(super) removed: Vec<Name>,
}

#[derive(Debug)]
pub(super) struct Watch {
    kind: ResourceType,
    pub(super) wildcard: bool,
    pub(super) names: BTreeSet<Name>,
    /// Names under which the client may not have what is in the set; under all others that it wants it has that.
    pending: BTreeMap<Name, Had>,
    pub(super) outstanding: Option<Outstanding>,
    /// The first request gets an answer even when that is empty: clients wait for it.
    pub(super) unanswered: bool,
    pub(super) last_nonce: String,
    /// State of the world: names were given once, so that no names mean none, not all.
    named: bool,
}

impl Watch {
    pub(super) fn new(kind: ResourceType) -> Self {
        Self {
            kind,
            wildcard: false,
            names: BTreeSet::new(),
            pending: BTreeMap::new(),
            outstanding: None,
            unanswered: true,
            last_nonce: String::new(),
            named: false,
        }
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }

    /// Whether the client was sent something under a name, or told that there is nothing.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.wants(name) && !matches!(self.pending.get(name), Some(Had::Nothing))
    }

    /// The client wants all there are.
    pub(super) fn want_all(&mut self, set: Option<&ResourceSet>) {
        if self.wildcard {
            return;
        }
        self.wildcard = true;
        for (name, _) in set.into_iter().flat_map(|set| set.iter(self.kind)) {
            if !self.names.contains(name) {
                self.pending.entry(Arc::clone(name)).or_insert(Had::Nothing);
            }
        }
    }

    /// Delta: what the client has of what it wants, from an earlier stream.
    pub(super) fn report(&mut self, versions: impl IntoIterator<Item = (Name, String)>) {
        for (name, version) in versions {
            if self.wants(&name) {
                self.pending.insert(name, Had::Reported(version));
            }
        }
    }

    /// Takes the answer to a push, if the nonce names one.
    pub(super) fn answered(&mut self, nonce: &str, error: Option<String>) -> Reply {
        if nonce.is_empty() {
            return Reply::None;
        }
        match self.outstanding.take_if(|push| push.nonce == nonce) {
            Some(push) => {
                let Outstanding { nonce, revision, names, since } = push;
                let delivered = Delivered { nonce, revision, names, since };
                match error {
                    None => Reply::Ack(delivered),
                    Some(message) => Reply::Nack(delivered, message),
                }
            }
            // Requests that change the subscription repeat the nonce of what was answered before.
            None if self.last_nonce == nonce => Reply::None,
            None => Reply::Stale,
        }
    }

    /// Subscribing again to a name asks for it again; so the client's copy is forgotten.
    pub(super) fn resubscribe(&mut self, subscribe: Vec<Name>, unsubscribe: &[String], set: Option<&ResourceSet>) {
        for name in subscribe {
            if *name == *ALL {
                self.want_all(set);
            } else {
                self.pending.insert(Arc::clone(&name), Had::Nothing);
                self.names.insert(name);
            }
        }
        for name in unsubscribe {
            if name == ALL {
                self.wildcard = false;
                let names = &self.names;
                self.pending.retain(|name, _| names.contains(name));
            } else if let Some(name) = self.names.take(name.as_str()) {
                match self.wildcard {
                    // It is wanted still, and the client may have dropped it.
                    true => drop(self.pending.insert(name, Had::Nothing)),
                    false => drop(self.pending.remove(&name)),
                }
            }
        }
    }

    /// State of the world: each request holds all the names.
    pub(super) fn replace_names(&mut self, names: Vec<Name>, set: Option<&ResourceSet>) {
        let mut names: BTreeSet<Name> = names.into_iter().collect();
        let star = names.remove(ALL);
        self.named |= star || !names.is_empty();
        let wildcard = star || (names.is_empty() && self.kind.is_collection() && !self.named);
        if wildcard == self.wildcard && names == self.names {
            return;
        }
        // A new name is answered even when there is no such resource.
        let new: Vec<Name> = names.iter().filter(|name| !self.wants(name)).cloned().collect();
        self.unanswered |= !new.is_empty();
        self.pending.extend(new.into_iter().map(|name| (name, Had::Nothing)));
        self.names = names;
        if wildcard {
            self.want_all(set);
        } else {
            self.wildcard = false;
            let names = &self.names;
            self.pending.retain(|name, _| names.contains(name));
        }
    }

    /// Another set takes the place of the last one; they differ under these names.
    pub(super) fn changed<'a>(&mut self, names: impl Iterator<Item = &'a Name>, last: Option<&ResourceSet>) {
        for name in names {
            if !self.wants(name) || self.pending.contains_key(name) {
                continue;
            }
            let had = match last.and_then(|last| last.get(self.kind, name)) {
                Some(resource) => Had::Sent(Arc::clone(resource)),
                None if self.names.contains(name) => Had::Absent,
                None => Had::Nothing,
            };
            self.pending.insert(Arc::clone(name), had);
        }
    }

    /// What differs between the client and the set, up to a size. `defer` leaves out what only removes.
    pub(super) fn next_batch(&mut self, set: &ResourceSet, defer: bool, limit: usize) -> Batch {
        let mut batch = Batch::default();
        let mut size = 0usize;
        let mut full = false;
        let (kind, names) = (self.kind, &self.names);
        self.pending.retain(|name, had| match (set.get(kind, name), had) {
            (Some(resource), Had::Sent(sent)) if sent.version == resource.version => false,
            (Some(resource), Had::Reported(version)) if **version == *resource.version => false,
            (Some(resource), Had::Nothing | Had::Sent(_) | Had::Reported(_) | Had::Absent) => {
                let more = size.saturating_add(resource.body.value.len());
                full |= more > limit && size > 0;
                if !full {
                    size = more;
                    batch.changed.push((Arc::clone(name), Arc::clone(resource)));
                }
                full
            }
            (None, Had::Absent) => false,
            (None, Had::Nothing) => {
                if names.contains(name) {
                    batch.removed.push(Arc::clone(name));
                }
                false
            }
            (None, Had::Sent(_) | Had::Reported(_)) => {
                if !defer {
                    batch.removed.push(Arc::clone(name));
                }
                defer
            }
        });
        batch
    }

    /// Everything that a whole response holds: what is wanted, and what is still to be removed later.
    pub(super) fn everything(&self, set: &ResourceSet) -> Vec<(Name, Arc<Resource>)> {
        let wanted = set.iter(self.kind).filter(|(name, _)| self.wants(name));
        let leaving = self.pending.iter().filter_map(|(name, had)| match had {
            Had::Sent(resource) if set.get(self.kind, name).is_none() => Some((name, resource)),
            Had::Sent(_) | Had::Nothing | Had::Reported(_) | Had::Absent => None,
        });
        wanted.chain(leaving).map(|(name, resource)| (Arc::clone(name), Arc::clone(resource))).collect()
    }

    /// Sends a resource again although it did not change.
    pub(super) fn send_again(&mut self, name: &Name) {
        self.pending.insert(Arc::clone(name), Had::Nothing);
    }
}
