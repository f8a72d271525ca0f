//! What Gateway API's objects come to: derived Istio objects that take part like given ones, and status.
//!
//! It is made again only after a change of something that it was made from, all at once, when the world settles.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use orrery_api::{GatewayWorkloads, Key, Kind, Object, Spec};
use orrery_gateway::{Lookup, Reach, ReachedService, TRANSLATED, Translation, translate};
use serde_json::Value;

use super::World;
use crate::fact::Fact;

/// The translation, and what it was made from.
#[derive(Debug, Default)]
pub(super) struct DerivedObjects {
    translation: Translation,
    keys: BTreeSet<Key>,
    read: BTreeSet<Fact>,
    stale: bool,
}

impl DerivedObjects {
    /// An object changed.
    pub(super) fn note(&mut self, key: &Key) {
        let read = |fact: Fact| self.read.contains(&fact);
        self.stale |= TRANSLATED.contains(&key.kind) || read(Fact::Object(key.clone())) || read(Fact::Kind(key.kind));
    }

    pub(super) fn has(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }
}

impl World {
    /// Brings derived objects up to date. Whoever changed objects calls this before proxies' resources are compiled or a
    /// status is asked for; without Gateway API's objects, and without changes that matter to them, it does nothing.
    pub fn settle(&mut self) {
        if !self.derived.stale {
            return;
        }
        let recorder = Arc::clone(&self.recorder);
        let (translation, read) =
            recorder.record(|| match TRANSLATED.iter().any(|kind| self.of_kind(*kind).next().is_some()) {
                true => translate(&Objects(self)),
                false => Translation::default(),
            });
        let keys: BTreeSet<Key> = translation.derived().iter().map(|object| object.key.clone()).collect();
        for gone in std::mem::take(&mut self.derived.keys).difference(&keys) {
            self.replace(gone, None);
        }
        for object in translation.derived() {
            if self.objects.get(&object.key).is_none_or(|known| **known != *object) {
                self.replace(&object.key, Some(Arc::new(object.clone())));
            }
        }
        self.derived = DerivedObjects { translation, keys, read, stale: false };
    }

    /// Whether an object was derived from others, and given by nobody.
    pub fn is_derived(&self, key: &Key) -> bool {
        self.derived.has(key)
    }

    /// What the `status` of a Gateway API object says, by conditions, listeners and parents; `None` for objects that have
    /// none of ours. Holds for a world that has settled.
    pub fn status(&self, key: &Key) -> Option<Value> {
        self.derived.translation.status(self.get(key)?, self)
    }

    /// The generation of an object that says none: one more with each change of what it asks for.
    pub(super) fn with_generation(&self, object: Arc<Object>) -> Arc<Object> {
        if object.meta.generation > 0 || !TRANSLATED.contains(&object.key.kind) {
            return object;
        }
        let last = self.objects.get(&object.key);
        let generation = match last {
            None => 1,
            Some(last) if last.raw.get("spec") == object.raw.get("spec") => last.meta.generation,
            Some(last) => last.meta.generation + 1,
        };
        let mut numbered = Arc::unwrap_or_clone(object);
        numbered.meta.generation = generation;
        Arc::new(numbered)
    }
}

/// The world as what is translated.
struct Objects<'a>(&'a World);

impl Lookup for Objects<'_> {
    fn get(&self, key: &Key) -> Option<&Object> {
        self.0.get(key)
    }

    fn of_kind(&self, kind: Kind) -> Vec<&Object> {
        self.0.of_kind(kind).collect()
    }

    fn domain(&self) -> &str {
        &self.0.settings().domain
    }
}

impl Reach for World {
    fn service(&self, host: &str, namespace: &str) -> Option<ReachedService> {
        let service = self.registry().service(host).filter(|service| service.namespace == namespace)?;
        let key = Key { kind: Kind::Service, namespace: namespace.to_owned(), name: service.name.clone() };
        let given = self.get(&key);
        let ready = self.registry().endpoints(service).iter().filter(|endpoint| endpoint.ready);
        let has = |port: u16| ready.clone().any(|endpoint| endpoint.ports.contains_key(&port));
        Some(ReachedService {
            ports: service.ports.iter().map(|port| (port.number, has(port.number))).collect(),
            target_ports: ready.clone().flat_map(|endpoint| endpoint.ports.values().copied()).collect(),
            addresses: service.ips().map(|ip| ip.to_string()).collect(),
            external: given.map(external).unwrap_or_default(),
            pending: given.is_some_and(|object| object.raw["spec"]["type"] == "LoadBalancer"),
            managed: given.is_some_and(|object| object.meta.labels.get(MANAGED).is_some()),
        })
    }

    fn workloads(&self, workloads: &[GatewayWorkloads]) -> Vec<IpAddr> {
        let mut addresses = BTreeSet::new();
        for one in workloads {
            for kind in [Kind::Pod, Kind::WorkloadEntry] {
                for object in self.oldest_first_in(kind, &one.namespace) {
                    if one.labels.select(&object.meta.labels) {
                        addresses.extend(address(object));
                    }
                }
            }
        }
        addresses.into_iter().collect()
    }
}

/// On Services that a controller of Gateways made.
const MANAGED: &str = "gateway.istio.io/managed";

/// Addresses of a Service outside of the cluster.
fn external(object: &Object) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let ingress = object.raw["status"]["loadBalancer"]["ingress"].as_array();
    let told = ingress.into_iter().flatten().filter_map(|one| text(&one["ip"]).or_else(|| text(&one["hostname"])));
    let given = object.raw["spec"]["externalIPs"].as_array();
    told.chain(given.into_iter().flatten().filter_map(text)).collect()
}

/// Where a ready workload is.
fn address(object: &Object) -> Option<IpAddr> {
    match &object.spec {
        Spec::Pod(pod) => pod.ip.filter(|_| pod.ready),
        Spec::WorkloadEntry(entry) => entry.address.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
