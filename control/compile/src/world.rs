//! All objects, and what is derived from them once per change.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use orrery_api::{DestinationRule, Gateway, Key, Kind, Object, PeerAuthentication, Spec, VirtualService};

use crate::names::resolve;
use crate::registry::Registry;
use crate::settings::Settings;

/// The configuration of the mesh.
#[derive(Debug)]
pub struct World {
    settings: Settings,
    objects: BTreeMap<Key, Object>,
    revision: u64,
    /// Made when it is first asked for after a change.
    registry: OnceLock<Arc<Registry>>,
}

impl World {
    pub fn new(settings: Settings) -> Self {
        Self { settings, objects: BTreeMap::new(), revision: 0, registry: OnceLock::new() }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Grows with each change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Puts an object in; the one that it replaces.
    pub fn apply(&mut self, object: Object) -> Option<Object> {
        self.changed();
        self.objects.insert(object.key.clone(), object)
    }

    /// Takes an object out.
    pub fn delete(&mut self, key: &Key) -> Option<Object> {
        self.changed();
        self.objects.remove(key)
    }

    fn changed(&mut self) {
        self.revision += 1;
        self.registry = OnceLock::new();
    }

    pub fn get(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key)
    }

    /// All objects in the order of their keys.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
    }

    /// Objects of a kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        self.objects.values().filter(move |object| object.key.kind == kind)
    }

    /// Services with their endpoints.
    pub fn registry(&self) -> &Arc<Registry> {
        self.registry.get_or_init(|| Arc::new(Registry::of(self)))
    }

    /// A host as an object of this namespace writes it.
    pub(crate) fn resolve(&self, host: &str, namespace: &str) -> String {
        resolve(host, namespace, &self.settings.domain, |candidate| self.registry().service(candidate).is_some())
    }

    /// Oldest first, then by name: the order in which conflicts are decided.
    fn by_age<'a, T>(&'a self, kind: Kind, pick: impl Fn(&'a Spec) -> Option<&'a T>) -> Vec<(&'a Object, &'a T)> {
        let mut all: Vec<_> = self.of_kind(kind).filter_map(|object| Some((object, pick(&object.spec)?))).collect();
        all.sort_by(|(one, _), (other, _)| {
            one.meta.created.cmp(&other.meta.created).then_with(|| one.key.cmp(&other.key))
        });
        all
    }

    pub(crate) fn virtual_services(&self) -> Vec<(&Object, &VirtualService)> {
        self.by_age(Kind::VirtualService, |spec| match spec {
            Spec::VirtualService(service) => Some(service),
            _ => None,
        })
    }

    pub(crate) fn destination_rules(&self) -> Vec<(&Object, &DestinationRule)> {
        self.by_age(Kind::DestinationRule, |spec| match spec {
            Spec::DestinationRule(rule) => Some(rule),
            _ => None,
        })
    }

    pub(crate) fn gateways(&self) -> Vec<(&Object, &Gateway)> {
        self.by_age(Kind::Gateway, |spec| match spec {
            Spec::Gateway(gateway) => Some(gateway),
            _ => None,
        })
    }

    pub(crate) fn peer_authentications(&self) -> Vec<(&Object, &PeerAuthentication)> {
        self.by_age(Kind::PeerAuthentication, |spec| match spec {
            Spec::PeerAuthentication(policy) => Some(policy),
            _ => None,
        })
    }
}
