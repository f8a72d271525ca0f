//! The resources of a sidecar: what it shares with others of its view, one host a part, and its own.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;

use super::outbound::{self, Address, Piece, Side};
use super::{cluster, inbound};
use crate::compile::Compiled;
use crate::compiler::{Draft, Part};
use crate::proxy::{Audience, Interception, Proxy};
use crate::scope::Scope;
use crate::world::World;

/// What no host has a part in: special clusters, and the listener that hands redirected connections on.
pub(super) fn frame(world: &World, audience: &Audience, compiled: &mut Compiled) {
    cluster::special(compiled);
    let scope = Scope::of_audience(world, audience);
    match audience.interception {
        // The listener has the proxy's own address.
        Interception::None => {}
        Interception::Redirect => Side::of(world, audience, &scope).redirected(compiled),
    }
}

/// What a sidecar shares with no other: what comes in, and listeners on its own address.
pub(crate) fn own(world: &World, proxy: &Proxy, compiled: &mut Compiled) {
    let scope = Scope::of(world, proxy);
    inbound::add(world, proxy, &scope, compiled);
    match proxy.interception {
        Interception::None => outbound::http_proxy(world.settings(), proxy, compiled),
        Interception::Redirect => {}
    }
}

/// What a host adds: clusters, virtual hosts and listeners of a service, or the virtual hosts of what is none.
pub(super) fn part(world: &World, audience: &Audience, host: &str, ports: &BTreeSet<u16>) -> Option<Part> {
    let scope = Scope::of_audience(world, audience);
    Side::of(world, audience, &scope).part(host, ports)
}

/// A route table without hosts, and its last virtual host, for requests that no other takes.
pub(crate) fn table(world: &World, audience: &Audience, name: &str) -> (RouteConfiguration, Draft) {
    let scope = Scope::of_audience(world, audience);
    Side::of(world, audience, &scope).table(name)
}

/// A listener made of what hosts add to it, in this order.
pub(crate) fn listener<'p>(
    world: &World,
    audience: &Audience,
    address: Address,
    pieces: impl Iterator<Item = &'p Piece>,
) -> Listener {
    let scope = Scope::of_audience(world, audience);
    Side::of(world, audience, &scope).listener(address, pieces)
}
