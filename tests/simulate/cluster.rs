//! Plays a cluster: what a scheduler, controllers and name servers would do with the objects that are given.
//!
//! Deployments become ready Pods, Services get addresses, gateways get a proxy, names resolve. It knows nothing of
//! proxies' configuration.

mod addresses;
mod apply;
mod certificates;
mod endpoints;
mod gateways;
mod listening;
mod names;
mod pods;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use crate::case::{From, Name, ObjectRef};
use crate::secrets::Secrets;
use addresses::Addresses;

pub(crate) use listening::Listening;

/// The objects, and the addresses that were given out for them.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    /// As they were given, with namespace, generation and time of creation filled in.
    given: BTreeMap<ObjectRef, Value>,
    /// What controllers make of them.
    derived: BTreeMap<ObjectRef, Value>,
    addresses: Addresses,
    secrets: Secrets,
    /// Seconds since the first object.
    clock: u32,
}

/// A proxy of the mesh: who it is, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProxyNode {
    pub(crate) kind: NodeKind,
    pub(crate) address: IpAddr,
    pub(crate) pod: String,
    pub(crate) namespace: String,
    pub(crate) service_account: String,
    pub(crate) workload: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeKind {
    Sidecar,
    Gateway,
}

impl Cluster {
    /// All objects, given and made.
    pub(crate) fn objects(&self) -> impl Iterator<Item = (&ObjectRef, &Value)> {
        self.derived.iter().chain(self.given.iter().filter(|(key, _)| !self.derived.contains_key(*key)))
    }

    pub(crate) fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<&Value> {
        let key = ObjectRef { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() };
        self.derived.get(&key).or_else(|| self.given.get(&key))
    }

    fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a ObjectRef, &'a Value)> {
        self.objects().filter(move |(key, _)| key.kind == kind)
    }

    /// The proxy that a call passes.
    pub(crate) fn proxy(&self, from: &From) -> Result<ProxyNode, String> {
        match from {
            From::Gateway(name) => self.gateway_proxy(name),
            From::Workload(name) => self.sidecar(name),
        }
    }

    fn sidecar(&self, name: &Name) -> Result<ProxyNode, String> {
        let mut pods = self.of_kind("Pod").filter(|(key, pod)| {
            key.namespace == name.namespace && (key.name == name.name || pods::owner(pod) == Some(&name.name))
        });
        let (key, pod) = pods.next().ok_or_else(|| format!("there is no workload {name} with a pod"))?;
        pods::node(NodeKind::Sidecar, key, pod).ok_or_else(|| format!("the pod {key} has no address"))
    }
}

/// Text at a path of keys.
fn text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(value, |value, key| value.get(key))?.as_str()
}

/// A map of text at a path of keys.
fn text_map(value: &Value, path: &[&str]) -> BTreeMap<String, String> {
    let map = path.iter().try_fold(value, |value, key| value.get(key)).and_then(Value::as_object);
    let entries = map.into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// A list at a path of keys.
fn list<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    let found = path.iter().try_fold(value, |value, key| value.get(key)).and_then(Value::as_array);
    found.map_or(&[], Vec::as_slice)
}

/// Whether labels have all that a selector asks; an empty selector takes nothing.
fn selects(selector: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}
