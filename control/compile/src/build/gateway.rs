//! A gateway's own resources: a listener per port of the Gateways that select it, routes bound to them, and the
//! certificates that they show.

mod chains;
mod connections;
mod credential;
mod datagrams;
mod hosts;
mod merge;
mod tls;

use std::net::IpAddr;

use envoy_types::pb::envoy::config::core::v3::{Address, TrafficDirection};
use envoy_types::pb::envoy::config::listener::v3::{FilterChain, Listener};
use orrery_api::{Gateway, Key};

use self::hosts::Bound;
use self::merge::{Attached, Content, Port};
use super::http;
use super::value::{address, ip_address};
use crate::compile::Compiled;
use crate::proxy::{Interception, Proxy};
use crate::world::World;

/// What the parts of a gateway are made from.
struct Scene<'a> {
    world: &'a World,
    proxy: &'a Proxy,
    bound: Bound<'a>,
}

pub(crate) fn resources(world: &World, proxy: &Proxy, compiled: &mut Compiled) {
    let serving = world.gateways().filter(|(_, gateway)| gateway.is_served_by(&proxy.namespace, &proxy.labels));
    let serving = serving.collect::<Vec<(&Key, &Gateway)>>();
    let scene = Scene { world, proxy, bound: Bound::of(world, proxy, &serving) };
    datagrams::add(&scene, &serving, compiled);
    for port in merge::ports(&serving, |number| listening_port(world, proxy, number)) {
        let Port { number, bind, content } = port;
        match content {
            Content::Http(servers) => {
                let chain = chains::plain_http(&scene, number, bind, &servers, compiled);
                add_listener(&scene, number, bind, vec![chain], compiled);
            }
            Content::Tls(servers) => {
                let chains = chains::by_server_name(&scene, bind, &servers, compiled);
                add_listener(&scene, number, bind, chains, compiled);
            }
            Content::Tcp(server) => {
                let chains = chains::plain_tcp(&scene, &server).into_iter().collect();
                add_listener(&scene, number, bind, chains, compiled);
            }
        }
    }
}

/// A Gateway's port is that of the Service in front of the proxy, which leads to another port of the proxy.
fn listening_port(world: &World, proxy: &Proxy, number: u16) -> u16 {
    let mut services = world.registry().services_at(proxy.address);
    services.find_map(|(_, endpoint)| endpoint.ports.get(&number).copied()).unwrap_or(number)
}

/// A listener without a chain would be refused: nothing is listened for then.
fn add_listener(
    scene: &Scene<'_>,
    number: u16,
    bind: Option<IpAddr>,
    filter_chains: Vec<FilterChain>,
    compiled: &mut Compiled,
) {
    if filter_chains.is_empty() {
        return;
    }
    let looks = filter_chains.iter().any(|chain| chain.filter_chain_match.is_some());
    let (host, to) = place(scene.proxy, number, bind);
    let name = format!("{host}_{number}");
    let listener = Listener {
        name: name.clone(),
        address: to,
        filter_chains,
        listener_filters: if looks { vec![http::tls_inspector()] } else { Vec::new() },
        traffic_direction: TrafficDirection::Outbound.into(),
        ..Default::default()
    };
    compiled.add(&name, &listener);
}

/// Where a port is listened on, as text and as an address.
fn place(proxy: &Proxy, number: u16, bind: Option<IpAddr>) -> (String, Option<Address>) {
    match (bind, proxy.interception) {
        (Some(ip), _) => (ip.to_string(), ip_address(ip, number)),
        (None, Interception::None) => (proxy.address.to_string(), ip_address(proxy.address, number)),
        (None, Interception::Redirect) => ("0.0.0.0".to_owned(), address("0.0.0.0", number)),
    }
}

impl<'a> Scene<'a> {
    /// For whom routes of a Gateway are made.
    fn caller<'b>(&'b self, attached: &'b Attached<'a>) -> super::route::Caller<'b> {
        super::route::Caller {
            world: self.world,
            namespace: &self.proxy.namespace,
            labels: &self.proxy.labels,
            gateway: &attached.name,
        }
    }
}

#[cfg(test)]
mod tests;
