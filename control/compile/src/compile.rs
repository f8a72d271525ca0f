//! From the world and a proxy to that proxy's resources.

use std::collections::BTreeMap;

use envoy_types::pb::google::protobuf::Any;
use prost::{Message, Name};

use crate::build;
use crate::fingerprint::version;
use crate::proxy::{Proxy, ProxyKind};
use crate::world::World;

/// A proxy's resources by type url and name.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    pub resources: BTreeMap<String, BTreeMap<String, Resource>>,
}

/// One resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Changes exactly when the body does.
    pub version: String,
    pub body: Any,
}

/// Compiles everything that a proxy needs.
pub fn compile(world: &World, proxy: &Proxy) -> Compiled {
    let mut compiled = Compiled::default();
    match proxy.kind {
        ProxyKind::Sidecar => build::sidecar::resources(world, proxy, &mut compiled),
        ProxyKind::Router => build::gateway::resources(world, proxy, &mut compiled),
    }
    compiled
}

impl Compiled {
    pub(crate) fn add<M: Message + Name>(&mut self, name: &str, message: &M) {
        let value = message.encode_to_vec();
        let resource = Resource { version: version(&value), body: Any { type_url: M::type_url(), value } };
        self.resources.entry(M::type_url()).or_default().insert(name.to_owned(), resource);
    }
}

#[cfg(test)]
mod tests;
