//! All objects, and what is derived from them once per change.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use orrery_api::{DestinationRule, Gateway, Key, Kind, Object, PeerAuthentication, Spec, VirtualService};

use crate::index::Index;
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
    /// As the registry.
    index: OnceLock<Index>,
}

impl World {
    pub fn new(settings: Settings) -> Self {
        Self { settings, objects: BTreeMap::new(), revision: 0, registry: OnceLock::new(), index: OnceLock::new() }
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
        self.index = OnceLock::new();
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

    pub(crate) fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::of(self))
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
        self.index().gateways.iter().filter_map(|key| match &self.get(key)?.spec {
            Spec::Gateway(gateway) => Some((key, gateway)),
            _ => None,
        })
    }

    /// Of one namespace.
    pub(crate) fn peer_authentications(&self, namespace: &str) -> impl Iterator<Item = &PeerAuthentication> {
        let here = self.index().peer_authentications.get(namespace).into_iter().flatten();
        here.filter_map(|key| match &self.get(key)?.spec {
            Spec::PeerAuthentication(policy) => Some(policy),
            _ => None,
        })
    }
}
