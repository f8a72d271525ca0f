//! All objects, and what is derived from them, kept up to date change by change.
//!
//! A change costs what it touches: the objects' own entries in the indexes, and the services that the object belongs to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use orrery_api::{DestinationRule, Gateway, Key, Kind, Object, PeerAuthentication, Sidecar, Spec, VirtualService};

use crate::fact::{Fact, Recorder, Touched};
use crate::index::Index;
use crate::names::resolve;
use crate::registry::Registry;
use crate::settings::Settings;

mod derived;
mod members;

use derived::DerivedObjects;
pub(crate) use members::Members;

/// The configuration of the mesh.
#[derive(Debug)]
pub struct World {
    settings: Settings,
    objects: BTreeMap<Key, Arc<Object>>,
    revision: u64,
    members: Members,
    index: Index,
    recorder: Arc<Recorder>,
    /// Services as they are now; made when first asked for after a change, from those before and the hosts in `stale`.
    registry: OnceLock<Registry>,
    before: Registry,
    stale: BTreeSet<String>,
    changes: Changes,
    derived: DerivedObjects,
}

/// What changed since somebody asked last.
#[derive(Debug)]
struct Changes {
    touched: Touched,
    hosts: BTreeSet<String>,
    /// Services as they were then.
    since: Registry,
}

impl World {
    pub fn new(settings: Settings) -> Self {
        let recorder = Arc::new(Recorder::default());
        let empty = Registry::new(Arc::clone(&recorder));
        Self {
            members: Members::new(&settings.domain),
            settings,
            objects: BTreeMap::new(),
            revision: 0,
            index: Index::new(&recorder),
            registry: OnceLock::from(empty.clone()),
            before: empty.clone(),
            stale: BTreeSet::new(),
            changes: Changes { touched: Touched::default(), hosts: BTreeSet::new(), since: empty },
            derived: DerivedObjects::default(),
            recorder,
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Grows with each change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Puts an object in; the one that it replaces.
    pub fn apply(&mut self, object: impl Into<Arc<Object>>) -> Option<Arc<Object>> {
        let object = self.with_generation(object.into());
        self.derived.note(&object.key);
        self.replace(&object.key, Some(Arc::clone(&object)))
    }

    /// Takes an object out.
    pub fn delete(&mut self, key: &Key) -> Option<Arc<Object>> {
        self.derived.note(key);
        self.replace(key, None)
    }

    fn replace(&mut self, key: &Key, next: Option<Arc<Object>>) -> Option<Arc<Object>> {
        self.revision += 1;
        if let Some(registry) = self.registry.take() {
            self.before = registry;
            self.stale.clear();
        }
        let last = self.objects.get(key).cloned();
        if let Some(last) = &last {
            self.members.remove(last);
            self.index.remove(&last.key, &mut self.changes.touched);
            // A workload leaves the services that select it, which its index entry is no part of.
            self.mark(last);
            self.objects.remove(key);
        }
        if let Some(next) = &next {
            self.objects.insert(key.clone(), Arc::clone(next));
            self.members.add(next);
            self.enter_index(next);
            self.mark(next);
        }
        self.changes.touched.facts.extend([
            Fact::Object(key.clone()),
            Fact::Kind(key.kind),
            Fact::Namespaced(key.kind, key.namespace.clone()),
        ]);
        self.resolve_again();
        last
    }

    /// Notes the services that an object makes up.
    fn mark(&mut self, object: &Object) {
        for host in self.members.hosts_of(object, &self.objects) {
            self.changes.hosts.insert(host.clone());
            self.stale.insert(host);
        }
    }

    fn enter_index(&mut self, object: &Object) {
        let (members, domain) = (&self.members, &self.settings.domain);
        let resolve = |host: &str| resolve(host, &object.key.namespace, domain, |known| members.is_service(known));
        self.index.add(object, domain, resolve, &mut self.changes.touched);
    }

    /// A service that came or went may be what a short name in an object meant.
    fn resolve_again(&mut self) {
        for host in self.members.take_flipped() {
            for key in self.index.waiting_for(&host) {
                let Some(object) = self.objects.get(&key).cloned() else { continue };
                self.index.remove(&key, &mut self.changes.touched);
                self.enter_index(&object);
            }
        }
    }

    pub fn get(&self, key: &Key) -> Option<&Object> {
        self.shared(key).map(Arc::as_ref)
    }

    /// An object, to be kept.
    pub fn shared(&self, key: &Key) -> Option<&Arc<Object>> {
        self.recorder.note(|| Fact::Object(key.clone()));
        self.objects.get(key)
    }

    /// All objects that were given, in the order of their keys.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        for kind in Kind::ALL.iter().copied() {
            self.recorder.note(|| Fact::Kind(kind));
        }
        self.objects.values().map(Arc::as_ref).filter(|object| !self.is_derived(&object.key))
    }

    /// Objects of a kind, derived ones too.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        self.recorder.note(|| Fact::Kind(kind));
        let first = Key { kind, namespace: String::new(), name: String::new() };
        let from = self.objects.range(first..).map(|(_, object)| object.as_ref());
        from.take_while(move |object| object.key.kind == kind)
    }

    /// How many objects of a kind there are.
    pub fn count(&self, kind: Kind) -> usize {
        self.recorder.note(|| Fact::Kind(kind));
        self.index.count(kind)
    }

    /// Objects of a kind, oldest first: the order in which conflicts are decided.
    pub(crate) fn oldest_first(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        self.recorder.note(|| Fact::Kind(kind));
        self.index.of_kind(kind).filter_map(|key| self.objects.get(key).map(Arc::as_ref))
    }

    /// Objects of a kind in a namespace, oldest first.
    pub(crate) fn oldest_first_in(&self, kind: Kind, namespace: &str) -> impl Iterator<Item = &Object> {
        self.recorder.note(|| Fact::Namespaced(kind, namespace.to_owned()));
        self.index.of_kind_in(kind, namespace).filter_map(|key| self.objects.get(key).map(Arc::as_ref))
    }

    /// Services with their endpoints.
    pub fn registry(&self) -> &Registry {
        self.registry.get_or_init(|| {
            let mut next = self.before.clone();
            for host in &self.stale {
                next.rebuild(self, host);
            }
            next
        })
    }

    /// What changed since this was asked last.
    pub(crate) fn take_touched(&mut self) -> Touched {
        self.settle();
        let now = self.registry().clone();
        let mut touched = std::mem::take(&mut self.changes.touched);
        for host in std::mem::take(&mut self.changes.hosts) {
            now.differences(&self.changes.since, &host, &mut touched.facts);
        }
        self.changes.since = now;
        touched
    }

    pub(crate) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Objects by what makes services up; not recorded, since whoever reads a service reads its facts.
    pub(crate) fn members(&self) -> (&Members, &BTreeMap<Key, Arc<Object>>) {
        (&self.members, &self.objects)
    }

    /// A host as an object of this namespace writes it.
    pub(crate) fn resolve(&self, host: &str, namespace: &str) -> String {
        resolve(host, namespace, &self.settings.domain, |candidate| {
            self.recorder.note(|| Fact::Service(candidate.to_owned()));
            self.members.is_service(candidate)
        })
    }

    /// Whether an object asks proxies for this label.
    pub(crate) fn selects(&self, key: &str, value: &str) -> bool {
        self.index.selects(key, value)
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) fn virtual_service(&self, key: &Key) -> Option<(&Object, &VirtualService)> {
        let object = self.get(key)?;
        match &object.spec {
            Spec::VirtualService(service) => Some((object, service)),
            _ => None,
        }
    }

    pub(crate) fn destination_rule(&self, key: &Key) -> Option<(&Object, &DestinationRule)> {
        let object = self.get(key)?;
        match &object.spec {
            Spec::DestinationRule(rule) => Some((object, rule)),
            _ => None,
        }
    }

    pub(crate) fn gateways(&self) -> impl Iterator<Item = (&Key, &Gateway)> {
        self.oldest_first(Kind::Gateway).filter_map(|object| match &object.spec {
            Spec::Gateway(gateway) => Some((&object.key, gateway)),
            _ => None,
        })
    }

    /// Virtual services with a destination that is this host, oldest first.
    pub(crate) fn virtual_services_to(&self, host: &str) -> impl Iterator<Item = &Object> {
        self.recorder.note(|| Fact::Destination(host.to_owned()));
        self.index.leading_to(host).filter_map(|key| self.objects.get(key).map(Arc::as_ref))
    }

    /// Sidecars of one namespace, oldest first.
    pub(crate) fn sidecars(&self, namespace: &str) -> impl Iterator<Item = (&Key, &Sidecar)> {
        self.oldest_first_in(Kind::Sidecar, namespace).filter_map(|object| match &object.spec {
            Spec::Sidecar(sidecar) => Some((&object.key, sidecar)),
            _ => None,
        })
    }

    /// Of one namespace.
    pub(crate) fn peer_authentications(&self, namespace: &str) -> impl Iterator<Item = &PeerAuthentication> {
        self.oldest_first_in(Kind::PeerAuthentication, namespace).filter_map(|object| match &object.spec {
            Spec::PeerAuthentication(policy) => Some(policy),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;
