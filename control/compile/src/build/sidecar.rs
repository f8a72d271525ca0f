//! The resources of a sidecar: what it shares with others of its view, one host a part, and its own.

use std::collections::BTreeSet;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::listener::v3::{FilterChain, FilterChainMatch, Listener};
use envoy_types::pb::envoy::config::route::v3::{Route, RouteConfiguration, VirtualHost};
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::ClusterSpecifier;
use orrery_api::{Object, VirtualService};

use super::cluster::ClusterKey;
use super::route::{Caller, gateway_name};
use super::value::{address, flag, ip_address};
use super::{cluster, http, inbound, route};
use crate::compile::Compiled;
use crate::compiler::{Draft, Part};
use crate::proxy::{Audience, Interception, Proxy};
use crate::registry::{PortProtocol, RegistryService};
use crate::settings::Settings;
use crate::world::World;

/// Where applications send what they call.
const OUTBOUND: u16 = 15001;
/// Routes of the outbound listener that nothing is redirected to.
const HTTP_PROXY: &str = "http_proxy";

/// What no host has a part in: special clusters, and the listeners of the ports on which hosts are called.
pub(super) fn frame(world: &World, audience: &Audience, ports: &BTreeSet<u16>, compiled: &mut Compiled) {
    cluster::special(compiled);
    match audience.interception {
        // The listener has the proxy's own address.
        Interception::None => {}
        Interception::Redirect => redirected(world.settings(), ports, compiled),
    }
}

/// What a sidecar shares with no other: what comes in, and listeners on its own address.
pub(crate) fn own(world: &World, proxy: &Proxy, compiled: &mut Compiled) {
    inbound::add(world, proxy, compiled);
    match proxy.interception {
        Interception::None => http_proxy(world.settings(), proxy, compiled),
        Interception::Redirect => {}
    }
}

/// What a host adds: clusters, virtual hosts and listeners of a service, or the virtual hosts of what is none.
pub(super) fn part(world: &World, audience: &Audience, host: &str, ports: &BTreeSet<u16>) -> Option<Part> {
    let caller = Caller { world, namespace: &audience.namespace, labels: &audience.labels, gateway: "mesh" };
    let Some(service) = world.registry().service(host) else {
        return unregistered(&caller, audience.interception, host, ports);
    };
    if !service.is_visible_to(&audience.namespace) {
        return Some(Part::default());
    }
    let mut part = Part { clusters: Some(Arc::new(ClusterKey::of(world, audience, service))), ..Part::default() };
    let http: Vec<u16> = service.ports.iter().filter(|port| port.protocol.is_http()).map(|port| port.number).collect();
    for port in &http {
        // Where nothing is redirected, the first port is meant by a host without one.
        let bare = audience.interception == Interception::Redirect || http.first() == Some(port);
        let host = virtual_host(&caller, service, *port, bare);
        part.hosts.push(Arc::new(Draft::new(&table_name(audience.interception, *port), host)));
    }
    if audience.interception == Interception::Redirect {
        part.listeners = tcp_listeners(&caller, service).placed(&[]);
    }
    part.ports = http.into_iter().collect();
    Some(part)
}

fn table_name(interception: Interception, port: u16) -> String {
    match interception {
        Interception::None => HTTP_PROXY.to_owned(),
        Interception::Redirect => port.to_string(),
    }
}

/// A route table without hosts, and its last virtual host, for requests that no other takes.
pub(crate) fn table(world: &World, name: &str) -> (RouteConfiguration, Draft) {
    (route::table(name, Vec::new()), Draft::new(name, route::fallback(world)))
}

/// One listener for everything, by the host that a request names.
fn http_proxy(settings: &Settings, proxy: &Proxy, compiled: &mut Compiled) {
    let upgrades = ["websocket", "CONNECT"];
    let chain = http::chain(settings, "outbound_http_proxy", http::rds(HTTP_PROXY), http::Side::Outbound, &upgrades);
    let listener = Listener {
        name: "virtualOutbound".to_owned(),
        address: ip_address(proxy.address, OUTBOUND),
        filter_chains: vec![chain],
        traffic_direction: TrafficDirection::Outbound.into(),
        ..Default::default()
    };
    compiled.add("virtualOutbound", &listener);
}

/// A listener per port, chosen by the original destination.
fn redirected(settings: &Settings, ports: &BTreeSet<u16>, compiled: &mut Compiled) {
    let unknown = if settings.allow_unknown_destinations { "PassthroughCluster" } else { "BlackHoleCluster" };
    let passthrough = || FilterChain {
        name: unknown.to_owned(),
        ..http::tcp_chain(settings, unknown, ClusterSpecifier::Cluster(unknown.to_owned()))
    };
    let outbound = Listener {
        name: "virtualOutbound".to_owned(),
        address: address("0.0.0.0", OUTBOUND),
        use_original_dst: flag(true),
        filter_chains: vec![passthrough()],
        traffic_direction: TrafficDirection::Outbound.into(),
        ..Default::default()
    };
    compiled.add("virtualOutbound", &outbound);
    for port in ports {
        let (name, routes) = (format!("0.0.0.0_{port}"), port.to_string());
        let chain = FilterChain {
            filter_chain_match: Some(FilterChainMatch {
                transport_protocol: "raw_buffer".to_owned(),
                application_protocols: vec!["http/1.1".to_owned(), "h2c".to_owned()],
                ..Default::default()
            }),
            ..http::chain(
                settings,
                &format!("outbound_{name}"),
                http::rds(&routes),
                http::Side::Outbound,
                &["websocket"],
            )
        };
        let listener = handed_over(&name, address("0.0.0.0", *port), vec![chain], Some(passthrough()));
        compiled.add(&name, &listener);
    }
}

/// A listener per address and TCP port of a service.
fn tcp_listeners(caller: &Caller<'_>, service: &RegistryService) -> Compiled {
    let mut listeners = Compiled::default();
    for port in service.ports.iter().filter(|port| matches!(port.protocol, PortProtocol::Tcp | PortProtocol::Tls)) {
        let to = tcp_destination(caller, service, port.number);
        for ip in &service.addresses {
            let name = format!("{ip}_{}", port.number);
            let chain = http::tcp_chain(caller.world.settings(), &name, ClusterSpecifier::Cluster(to.clone()));
            listeners.add(&name, &handed_over(&name, ip_address(*ip, port.number), vec![chain], None));
        }
    }
    listeners
}

/// Where connections to a TCP port go: the first destination of a TCP route for it, or the port itself.
fn tcp_destination(caller: &Caller<'_>, service: &RegistryService, port: u16) -> String {
    let routed = virtual_service_for(caller, &service.host).and_then(|(object, virtual_service)| {
        let route = virtual_service.tcp.iter().find(|route| route.ports.is_empty() || route.ports.contains(&port))?;
        let heaviest = route.route.iter().max_by_key(|one| one.weight)?;
        Some(route::cluster(caller, object, &heaviest.destination, port))
    });
    routed.unwrap_or_else(|| cluster::outbound_name(port, "", &service.host))
}

fn handed_over(
    name: &str,
    to: Option<envoy_types::pb::envoy::config::core::v3::Address>,
    filter_chains: Vec<FilterChain>,
    default_filter_chain: Option<FilterChain>,
) -> Listener {
    Listener {
        name: name.to_owned(),
        address: to,
        filter_chains,
        default_filter_chain,
        bind_to_port: flag(false),
        listener_filters: http::inspectors(),
        traffic_direction: TrafficDirection::Outbound.into(),
        ..Default::default()
    }
}

/// The oldest virtual service of the mesh for this host; an exact host comes before a wildcard.
fn virtual_service_for<'a>(caller: &Caller<'a>, host: &str) -> Option<(&'a Object, &'a VirtualService)> {
    let all = &caller.world.index().virtual_services;
    let mut keys = all.exactly(host).chain(all.by_pattern(host));
    keys.find_map(|key| caller.world.virtual_service(key).filter(|(object, service)| is_bound(caller, object, service)))
}

/// Whether a virtual service is for the mesh, and the caller's namespace sees it.
fn is_bound(caller: &Caller<'_>, object: &Object, service: &VirtualService) -> bool {
    if !service.export_to.includes(&object.key.namespace, caller.namespace) {
        return false;
    }
    service.gateways.is_empty()
        || service.gateways.iter().any(|one| gateway_name(&one.value, &object.key.namespace) == caller.gateway)
}

/// A service's port; `bare`: also under its names without a port.
fn virtual_host(caller: &Caller<'_>, service: &RegistryService, port: u16, bare: bool) -> VirtualHost {
    let routes = match virtual_service_for(caller, &service.host) {
        Some((object, virtual_service)) if !virtual_service.http.is_empty() => {
            route::of_virtual_service(caller, object, virtual_service, port)
        }
        Some(_) | None => vec![route::plain(caller, service, port)],
    };
    named(&service.host, &short_names(caller, service), port, bare, routes)
}

/// The oldest virtual service for a host that is no service of the mesh, on each port on which services are called.
fn unregistered(caller: &Caller<'_>, interception: Interception, host: &str, ports: &BTreeSet<u16>) -> Option<Part> {
    let all = &caller.world.index().virtual_services;
    let mut keys = all.exactly(host).chain(all.with_pattern(host));
    keys.next()?;
    let mut part = Part { unregistered: true, ..Part::default() };
    let mut bound = all.exactly(host).chain(all.with_pattern(host)).filter_map(|key| {
        let (object, service) = caller.world.virtual_service(key)?;
        (!service.http.is_empty() && is_bound(caller, object, service)).then_some((object, service))
    });
    let Some((object, service)) = bound.next().filter(|_| host != "*") else { return Some(part) };
    let ports: Vec<u16> = match interception {
        Interception::None => vec![80],
        Interception::Redirect => ports.iter().copied().collect(),
    };
    for port in ports {
        let routes = route::of_virtual_service(caller, object, service, port);
        let virtual_host = named(host, &[host.to_owned()], port, true, routes);
        part.hosts.push(Arc::new(Draft::new(&table_name(interception, port), virtual_host)));
    }
    Some(part)
}

fn named(host: &str, names: &[String], port: u16, bare: bool, routes: Vec<Route>) -> VirtualHost {
    let with_port = names.iter().map(|name| format!("{name}:{port}"));
    VirtualHost {
        name: format!("{host}:{port}"),
        domains: names.iter().filter(|_| bare).cloned().chain(with_port).collect(),
        routes,
        include_request_attempt_count: true,
        ..Default::default()
    }
}

/// Every name by which a caller of this namespace may know a service.
fn short_names(caller: &Caller<'_>, service: &RegistryService) -> Vec<String> {
    let suffix = format!(".svc.{}", caller.world.settings().domain);
    let mut names = vec![service.host.clone()];
    if service.host.ends_with(&suffix) {
        let (name, namespace) = (&service.name, &service.namespace);
        if namespace == caller.namespace {
            names.push(name.clone());
        }
        names.push(format!("{name}.{namespace}"));
        names.push(format!("{name}.{namespace}.svc"));
    }
    names.extend(service.addresses.iter().map(ToString::to_string));
    names
}
