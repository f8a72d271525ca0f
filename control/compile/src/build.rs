//! Envoy's messages, built one kind a file.

mod access_log;
pub(crate) mod cluster;
pub(crate) mod gateway;
mod http;
mod inbound;
mod reporting;
pub(crate) mod route;
pub(crate) mod sidecar;
mod stats;
mod value;

pub(crate) use route::gateway_name;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::compile::Compiled;
use crate::compiler::Part;
use crate::proxy::{Audience, ProxyKind};
use crate::world::World;
use cluster::ClusterKey;

/// What a host adds to what an audience sees; nothing when there is no such host.
pub(crate) fn part(world: &World, audience: &Audience, host: &str, ports: &BTreeSet<u16>) -> Option<Part> {
    match audience.kind {
        ProxyKind::Sidecar => sidecar::part(world, audience, host, ports),
        ProxyKind::Router => {
            let service = world.registry().service(host)?;
            let visible = service.is_visible_to(&audience.namespace);
            let clusters = visible.then(|| Arc::new(ClusterKey::of(world, audience, service)));
            Some(Part { clusters, ..Part::default() })
        }
    }
}

/// What an audience has whatever hosts there are.
pub(crate) fn frame(world: &World, audience: &Audience, ports: &BTreeSet<u16>, compiled: &mut Compiled) {
    match audience.kind {
        ProxyKind::Sidecar => sidecar::frame(world, audience, ports, compiled),
        ProxyKind::Router => cluster::special(world, compiled),
    }
}
