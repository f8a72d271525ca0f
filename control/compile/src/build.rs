//! Envoy's messages, built one kind a file.

pub(crate) mod cluster;
pub(crate) mod gateway;
mod http;
mod inbound;
pub(crate) mod outbound;
pub(crate) mod route;
pub(crate) mod sidecar;
mod value;

pub(crate) use route::gateway_name;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::compile::Compiled;
use crate::compiler::Part;
use crate::proxy::{Audience, ProxyKind};
use crate::registry::RegistryService;
use crate::world::World;
use cluster::ClusterKey;

/// What a host adds to what an audience sees; nothing when there is no such host.
pub(crate) fn part(world: &World, audience: &Audience, host: &str, ports: &BTreeSet<u16>) -> Option<Part> {
    match audience.kind {
        ProxyKind::Sidecar => sidecar::part(world, audience, host, ports),
        ProxyKind::Router => {
            world.registry().service(host)?;
            let service = world.registry().service_for(host, &audience.namespace);
            let all = |service: &RegistryService| service.ports.iter().map(|port| port.number).collect();
            let clusters = service.map(|service| Arc::new(ClusterKey::of(world, audience, service, &all(service))));
            Some(Part { clusters, ..Part::default() })
        }
    }
}

/// What an audience has whatever hosts there are.
pub(crate) fn frame(world: &World, audience: &Audience, compiled: &mut Compiled) {
    match audience.kind {
        ProxyKind::Sidecar => sidecar::frame(world, audience, compiled),
        ProxyKind::Router => cluster::special(compiled),
    }
}
