//! From the world and a proxy to that proxy's resources, all at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use envoy_types::pb::google::protobuf::Any;
use orrery_resource::{Name as ResourceName, Resource, ResourceType};
use prost::{Message, Name};

use crate::compiler::{Compiler, Placed, ProxyId};
use crate::fingerprint::version;
use crate::proxy::Proxy;
use crate::world::World;

/// Resources by type url and name.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    pub resources: BTreeMap<String, BTreeMap<String, Resource>>,
}

/// Compiles everything that a proxy needs.
pub fn compile(world: &World, proxy: &Proxy) -> Compiled {
    let (id, audience) = (ProxyId(0), proxy.audience(|_, _| true));
    let set = Compiler::default().connect_as(world, id, proxy.clone(), audience, 0);
    let mut compiled = Compiled::default();
    for kind in ResourceType::ALL {
        let resources = set.iter(kind).map(|(name, resource)| (name.to_string(), Resource::clone(resource)));
        let resources: BTreeMap<String, Resource> = resources.collect();
        if !resources.is_empty() {
            compiled.resources.insert(kind.type_url().to_owned(), resources);
        }
    }
    compiled
}

impl Compiled {
    pub(crate) fn add<M: Message + Name>(&mut self, name: &str, message: &M) {
        let value = message.encode_to_vec();
        let resource = Resource { version: version(&value).into(), body: Any { type_url: M::type_url(), value } };
        self.resources.entry(M::type_url()).or_default().insert(name.to_owned(), resource);
    }

    /// The resources with their types. One that is as in `last` stays the same one.
    pub(crate) fn placed(self, last: &[Placed]) -> Vec<Placed> {
        let mut placed = Vec::new();
        for (url, resources) in self.resources {
            let Some(kind) = ResourceType::from_type_url(&url) else { continue };
            for (name, resource) in resources {
                let known = last.iter().find(|(other, known, _)| *other == kind && **known == *name);
                placed.push(match known {
                    Some((_, name, same)) if same.version == resource.version => {
                        (kind, Arc::clone(name), Arc::clone(same))
                    }
                    Some(_) | None => (kind, ResourceName::from(name), Arc::new(resource)),
                });
            }
        }
        placed
    }
}

#[cfg(test)]
mod tests;
