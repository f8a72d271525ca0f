//! Policies and routes by the hosts and namespaces that they are for, made once per change of the world.
//!
//! Everything is in the order in which conflicts are decided: oldest first, then by name.

use std::collections::HashMap;

use orrery_api::{Key, Kind, Object, Spec};

use crate::names::covers;
use crate::world::World;

/// What compilation looks up for every service, endpoint and proxy.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) gateways: Vec<Key>,
    /// PeerAuthentications by their namespace.
    pub(crate) peer_authentications: HashMap<String, Vec<Key>>,
    pub(crate) destination_rules: ByHost,
    pub(crate) virtual_services: ByHost,
}

/// Objects by the hosts that they name, short names resolved.
#[derive(Debug, Default)]
pub(crate) struct ByHost {
    all: Vec<(Key, Vec<String>)>,
    exact: HashMap<String, Vec<Key>>,
    /// `*` and `*.example.com`.
    wildcard: Vec<(String, Key)>,
}

impl Index {
    pub(crate) fn of(world: &World) -> Self {
        let mut objects: Vec<&Object> = world.objects().collect();
        objects.sort_by(|one, other| one.meta.created.cmp(&other.meta.created).then_with(|| one.key.cmp(&other.key)));
        let mut index = Self::default();
        for object in objects {
            let resolve = |host: &str| world.resolve(host, &object.key.namespace);
            match &object.spec {
                Spec::DestinationRule(rule) => {
                    index.destination_rules.add(&object.key, vec![resolve(&rule.host.value)]);
                }
                Spec::VirtualService(service) => {
                    let hosts = service.hosts.iter().map(|host| resolve(&host.value)).collect();
                    index.virtual_services.add(&object.key, hosts);
                }
                _ if object.key.kind == Kind::Gateway => index.gateways.push(object.key.clone()),
                _ if object.key.kind == Kind::PeerAuthentication => {
                    let namespace = object.key.namespace.clone();
                    index.peer_authentications.entry(namespace).or_default().push(object.key.clone());
                }
                _ => {}
            }
        }
        index
    }
}

impl ByHost {
    fn add(&mut self, key: &Key, hosts: Vec<String>) {
        for host in &hosts {
            match host.starts_with('*') {
                true => self.wildcard.push((host.clone(), key.clone())),
                false => self.exact.entry(host.clone()).or_default().push(key.clone()),
            }
        }
        self.all.push((key.clone(), hosts));
    }

    /// All objects with their resolved hosts.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Key, &[String])> {
        self.all.iter().map(|(key, hosts)| (key, hosts.as_slice()))
    }

    /// Objects that name this very host.
    pub(crate) fn exactly(&self, host: &str) -> impl Iterator<Item = &Key> {
        self.exact.get(host).into_iter().flatten()
    }

    /// Objects with a pattern that has this host in it.
    pub(crate) fn by_pattern(&self, host: &str) -> impl Iterator<Item = &Key> {
        self.wildcard.iter().filter(move |(pattern, _)| covers(pattern, host)).map(|(_, key)| key)
    }
}
