//! A view: the outbound resources of all proxies that see the mesh alike, made from parts, one a host.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use orrery_resource::{Difference, Layer, Name, Resource, ResourceType};

use super::table::Draft;
use super::{Placed, ProxyId};
use crate::build::cluster::ClusterKey;
use crate::proxy::Audience;

/// What one host adds to a view.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    /// The clusters that lead to it, which views share.
    pub(crate) clusters: Option<Arc<ClusterKey>>,
    /// Virtual hosts, each for its table.
    pub(crate) hosts: Vec<Arc<Draft>>,
    /// Listeners of its own.
    pub(crate) listeners: Vec<Placed>,
    /// Ports on which requests for it come.
    pub(crate) ports: BTreeSet<u16>,
    /// It is no service: it has its virtual hosts on the ports of others.
    pub(crate) unregistered: bool,
}

/// The resources of a view, and what they were made from.
#[derive(Debug)]
pub(super) struct View {
    pub(super) audience: Audience,
    pub(super) members: BTreeSet<ProxyId>,
    pub(super) parts: BTreeMap<Name, Part>,
    /// Hosts of the parts with virtual hosts in a table, in the order in which they claim domains: services first.
    pub(super) tables: BTreeMap<Name, BTreeSet<(bool, Name)>>,
    /// How many parts have a port.
    ports: BTreeMap<u16, usize>,
    /// Two services may share an address: the first host's listener counts.
    listeners: HashMap<Name, BTreeMap<Name, Arc<Resource>>>,
    /// Names of the resources that the frame made.
    pub(super) frame: Vec<Placed>,
    pub(super) layer: Layer,
    changed: Difference,
    /// The layer when changes were last taken.
    told: Layer,
    pub(super) stale_tables: BTreeSet<Name>,
    pub(super) stale_frame: bool,
}

impl View {
    pub(super) fn new(audience: Audience) -> Self {
        Self {
            audience,
            members: BTreeSet::new(),
            parts: BTreeMap::new(),
            tables: BTreeMap::new(),
            ports: BTreeMap::new(),
            listeners: HashMap::new(),
            frame: Vec::new(),
            layer: Layer::default(),
            changed: Difference::default(),
            told: Layer::default(),
            stale_tables: BTreeSet::new(),
            stale_frame: true,
        }
    }

    /// Ports on which any host is called.
    pub(super) fn ports(&self) -> BTreeSet<u16> {
        self.ports.keys().copied().collect()
    }

    /// Where the resources are not as when this was asked last.
    pub(super) fn take_changes(&mut self) -> Difference {
        let told = std::mem::replace(&mut self.told, self.layer.clone());
        std::mem::take(&mut self.changed).between(&told, &self.layer)
    }

    /// Puts resources in the place of others.
    pub(super) fn swap(&mut self, last: &[Placed], next: &[Placed]) {
        for (kind, name, resource) in next {
            self.place(*kind, name, resource);
        }
        for (kind, name, _) in last {
            if !next.iter().any(|(other, kept, _)| other == kind && kept == name) {
                self.take(*kind, name);
            }
        }
    }

    pub(super) fn place(&mut self, kind: ResourceType, name: &Name, resource: &Arc<Resource>) {
        if self.layer.get(kind, name).is_some_and(|(_, known)| known.version == resource.version) {
            return;
        }
        self.layer.insert(kind, Arc::clone(name), Arc::clone(resource));
        self.changed.insert(kind, Arc::clone(name));
    }

    pub(super) fn take(&mut self, kind: ResourceType, name: &Name) {
        if self.layer.remove(kind, name) {
            self.changed.insert(kind, Arc::clone(name));
        }
    }

    /// Puts a part in the place of the host's last one, which it returns; its clusters are the caller's business.
    pub(super) fn put(&mut self, host: &Name, part: Option<Part>) -> Option<Part> {
        let last = self.parts.remove(host);
        let ports = self.ports();
        for old in last.iter() {
            self.unlist(host, old);
        }
        if let Some(part) = part {
            self.list(host, &part);
            self.mark_tables(last.as_ref(), &part);
            self.parts.insert(Arc::clone(host), part);
        } else if let Some(last) = &last {
            self.mark_tables(None, last);
        }
        self.stale_frame |= ports != self.ports();
        last
    }

    fn list(&mut self, host: &Name, part: &Part) {
        for port in &part.ports {
            *self.ports.entry(*port).or_default() += 1;
        }
        for draft in &part.hosts {
            let hosts = self.tables.entry(Arc::clone(&draft.table)).or_default();
            hosts.insert((part.unregistered, Arc::clone(host)));
        }
        for (_, name, resource) in &part.listeners {
            let claims = self.listeners.entry(Arc::clone(name)).or_default();
            claims.insert(Arc::clone(host), Arc::clone(resource));
            self.elect(name);
        }
    }

    fn unlist(&mut self, host: &Name, part: &Part) {
        for port in &part.ports {
            if let Some(count) = self.ports.get_mut(port) {
                *count -= 1;
            }
        }
        self.ports.retain(|_, count| *count > 0);
        for draft in &part.hosts {
            if let Some(hosts) = self.tables.get_mut(&draft.table) {
                hosts.remove(&(part.unregistered, Arc::clone(host)));
            }
        }
        for (_, name, _) in &part.listeners {
            if let Some(claims) = self.listeners.get_mut(name) {
                claims.remove(host);
            }
            self.elect(name);
        }
    }

    /// Gives a listener's name to the first host that wants it.
    fn elect(&mut self, name: &Name) {
        match self.listeners.get(name).and_then(|claims| claims.values().next().cloned()) {
            Some(first) => self.place(ResourceType::Listener, name, &first),
            None => {
                self.listeners.remove(name);
                self.take(ResourceType::Listener, name);
            }
        }
    }

    /// Tables have to be made again when a virtual host in them differs.
    fn mark_tables(&mut self, last: Option<&Part>, next: &Part) {
        let none = Vec::new();
        let last = last.map_or(&none, |part| &part.hosts);
        let known = |draft: &Arc<Draft>, others: &[Arc<Draft>]| others.contains(draft);
        let differing = last.iter().filter(|draft| !known(draft, &next.hosts));
        let differing = differing.chain(next.hosts.iter().filter(|draft| !known(draft, last)));
        self.stale_tables.extend(differing.map(|draft| Arc::clone(&draft.table)));
    }
}
