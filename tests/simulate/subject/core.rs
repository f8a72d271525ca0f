//! Our own decisions without a socket: compiled, encoded, decoded, and asked of `orrery-core` and what is pure in
//! `orrery-engine`. Nothing is decided here; what the network and the applications would do is played.

mod connection;
mod exchange;
mod http;
mod upstream;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};

use orrery_api::Object;
use orrery_compile::{Proxy, Settings, World, compile};
use orrery_core::balance::Rotation;
use orrery_core::names::ClusterName;
use orrery_core::snapshot::{ListenersByAddress, Snapshot};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde_json::Value;

use super::Subject;
use super::mesh::allows_unknown_destinations;
use crate::answer::Answer;
use crate::case::{Call, From, ObjectRef};
use crate::cluster::{Cluster, NodeKind, ProxyNode};
use crate::node;

/// The world as the control plane would hold it, and the proxies that were asked for so far.
pub(crate) struct CoreSubject {
    world: World,
    /// What is in the world, by what it was made of.
    known: BTreeMap<ObjectRef, (Value, orrery_api::Key)>,
    proxies: BTreeMap<From, CoreProxy>,
}

/// A proxy with its configuration in force.
struct CoreProxy {
    node: ProxyNode,
    snapshot: Snapshot,
    listeners: ListenersByAddress,
    rotations: HashMap<ClusterName, Rotation>,
    random: SmallRng,
}

impl CoreSubject {
    /// # Errors
    /// Fields of MeshConfig that are not understood.
    pub(crate) fn new(mesh: &serde_json::Map<String, Value>) -> Result<Self, String> {
        let allow_unknown_destinations = allows_unknown_destinations(mesh)?;
        let world = World::new(Settings { allow_unknown_destinations, ..Settings::default() });
        Ok(Self { world, known: BTreeMap::new(), proxies: BTreeMap::new() })
    }

    fn proxy(&mut self, cluster: &Cluster, from: &From) -> Result<&mut CoreProxy, String> {
        if !self.proxies.contains_key(from) {
            let node = cluster.proxy(from)?;
            let proxy = Proxy::from_node(&node::node(&node)).map_err(|error| error.to_string())?;
            let compiled = compile(&self.world, &proxy);
            let resources = compiled.resources.values().flatten().map(|(name, one)| (name.as_str(), &one.body));
            let decoded = orrery_xds::decode_offline(resources);
            if !decoded.refused.is_empty() {
                return Err(format!("the proxy refuses its configuration: {}", decoded.refused.join("; ")));
            }
            let listeners = ListenersByAddress::of(&decoded.snapshot);
            let random = SmallRng::seed_from_u64(7);
            let made = CoreProxy { node, snapshot: decoded.snapshot, listeners, rotations: HashMap::new(), random };
            self.proxies.insert(from.clone(), made);
        }
        self.proxies.get_mut(from).ok_or_else(|| format!("{from} is lost"))
    }
}

impl Subject for CoreSubject {
    fn configure(&mut self, cluster: &Cluster, refused: &[ObjectRef]) -> Result<(), Vec<String>> {
        let mut wrong = Vec::new();
        self.proxies.clear();
        let gone: Vec<ObjectRef> =
            self.known.keys().filter(|key| !cluster.objects().any(|(there, _)| there == *key)).cloned().collect();
        for key in gone {
            if let Some((_, name)) = self.known.remove(&key) {
                self.world.delete(&name);
            }
        }
        for (key, object) in cluster.objects() {
            if self.known.get(key).is_some_and(|(known, _)| known == object) {
                continue;
            }
            match (orrery_api::parse(&object.to_string(), &key.to_string(), "default"), refused.contains(key)) {
                (Ok(objects), false) => objects.into_iter().for_each(|one| self.take(key, object, one)),
                (Err(_), true) => {}
                (Ok(_), true) => wrong.push(format!("{key} should have been refused")),
                (Err(problems), false) => {
                    wrong.extend(problems.iter().map(|problem| format!("{key} is refused: {problem}")));
                }
            }
        }
        self.world.settle();
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    fn call(&mut self, cluster: &mut Cluster, call: &Call) -> Result<Vec<Answer>, String> {
        let proxy = self.proxy(cluster, &call.from)?;
        let count = call.count;
        (0..count).map(|number| exchange::call(proxy, cluster, call, exchange::Turn { number, of: count })).collect()
    }

    fn standard_errors(&self) -> f64 {
        // Its random numbers are the same each time.
        3.0
    }

    fn answers(&self, _from: &From) -> bool {
        true
    }

    fn has_status(&self) -> bool {
        true
    }

    fn status(&mut self, key: &ObjectRef) -> Result<Option<Value>, String> {
        let (_, key) = self.known.get(key).ok_or_else(|| format!("there is no {key}"))?;
        Ok(self.world.status(key))
    }
}

impl CoreSubject {
    fn take(&mut self, key: &ObjectRef, document: &Value, object: Object) {
        self.known.insert(key.clone(), (document.clone(), object.key()));
        self.world.apply(object);
    }
}

impl CoreProxy {
    /// The address that a client of this proxy's side calls.
    fn destination(&self, cluster: &mut Cluster, target: Option<&str>, port: u16) -> SocketAddr {
        let ip: IpAddr = match (self.node.kind, target) {
            (NodeKind::Gateway, _) | (NodeKind::Sidecar, None) => self.node.address,
            (NodeKind::Sidecar, Some(host)) => cluster.resolve(host, &self.node.namespace),
        };
        SocketAddr::new(ip, port)
    }
}
