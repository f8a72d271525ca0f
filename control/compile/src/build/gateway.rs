//! A gateway's own resources: a listener per port of the Gateways that select it, and routes bound to them.

use std::collections::{BTreeMap, BTreeSet};

use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::VirtualHost;
use orrery_api::Server;

use super::route::Caller;
use super::value::{address, ip_address};
use super::{http, route};
use crate::compile::Compiled;
use crate::names::covers;
use crate::proxy::{Interception, Proxy};
use crate::world::World;

pub(crate) fn resources(world: &World, proxy: &Proxy, compiled: &mut Compiled) {
    let mut ports: BTreeMap<u16, Vec<(String, &Server)>> = BTreeMap::new();
    for (key, gateway) in world.gateways() {
        if gateway.is_served_by(&proxy.namespace, &proxy.labels) {
            let name = format!("{}/{}", key.namespace, key.name);
            for server in gateway.servers.iter().filter(|server| server.protocol.is_plain_http()) {
                ports.entry(server.port).or_default().push((name.clone(), server));
            }
        }
    }
    for (port, servers) in ports {
        let (name, routes) = (format!("{}_{port}", proxy.address), format!("http.{port}"));
        let chain = http::chain(
            world.settings(),
            &format!("outbound_{name}"),
            http::rds(&routes),
            http::Side::Gateway,
            &["websocket"],
        );
        let to = match proxy.interception {
            Interception::None => ip_address(proxy.address, port),
            Interception::Redirect => address("0.0.0.0", port),
        };
        let listener = Listener {
            name: name.clone(),
            address: to,
            filter_chains: vec![chain],
            traffic_direction: TrafficDirection::Outbound.into(),
            ..Default::default()
        };
        compiled.add(&name, &listener);
        compiled.add(&routes, &route::table(&routes, virtual_hosts(world, proxy, port, &servers)));
    }
}

/// One virtual host for each host of the virtual services that are bound to the servers; routes of several virtual
/// services for one host follow each other, the oldest first.
fn virtual_hosts(world: &World, proxy: &Proxy, port: u16, servers: &[(String, &Server)]) -> Vec<VirtualHost> {
    let mut hosts: BTreeMap<String, VirtualHost> = BTreeMap::new();
    for (gateway, server) in servers {
        let caller = Caller { world, namespace: &proxy.namespace, labels: &proxy.labels, gateway, has_tls: false };
        for (key, named) in world.index().bound_to(gateway) {
            let Some((object, service)) = world.virtual_service(key) else { continue };
            if !service.export_to.includes(&key.namespace, &proxy.namespace) {
                continue;
            }
            for host in named {
                let shown = common(host, server);
                if shown.is_empty() {
                    continue;
                }
                let routes = route::of_virtual_service(&caller, object, service, port);
                for shown in shown {
                    let entry = hosts.entry(shown.clone()).or_insert_with(|| virtual_host(&shown, port));
                    entry.routes.extend(routes.iter().cloned());
                }
            }
        }
    }
    let mut hosts: Vec<VirtualHost> = hosts.into_values().collect();
    for host in &mut hosts {
        // What takes everything of one virtual service must not hide the routes of the next.
        host.routes.sort_by_key(route::takes_everything);
    }
    hosts
}

/// The narrower of a virtual service's host and each of a server's hosts, where they meet; in lower case.
fn common(host: &str, server: &Server) -> BTreeSet<String> {
    let meet = |wanted: &str| match (covers(wanted, host), covers(host, wanted)) {
        (true, _) => Some(host.to_ascii_lowercase()),
        (false, true) => Some(wanted.to_ascii_lowercase()),
        (false, false) => None,
    };
    server.hosts.iter().filter_map(|wanted| meet(&wanted.host.value)).collect()
}

fn virtual_host(shown: &str, port: u16) -> VirtualHost {
    VirtualHost {
        name: format!("{shown}:{port}"),
        domains: domains(shown),
        include_request_attempt_count: true,
        ..Default::default()
    }
}

fn domains(host: &str) -> Vec<String> {
    if host == "*" || host.starts_with('*') {
        return vec![host.to_owned()];
    }
    vec![host.to_owned(), format!("{host}:*")]
}
