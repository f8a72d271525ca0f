//! All resources of a sidecar.

use std::collections::{BTreeMap, BTreeSet};

use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::listener::v3::{FilterChain, FilterChainMatch, Listener};
use envoy_types::pb::envoy::config::route::v3::VirtualHost;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::ClusterSpecifier;
use orrery_api::{Object, VirtualService};

use super::route::{Caller, gateway_name};
use super::value::{address, flag, ip_address};
use super::{cluster, http, inbound, route};
use crate::compile::Compiled;
use crate::proxy::{Interception, Proxy};
use crate::registry::{PortProtocol, RegistryService};
use crate::world::World;

/// Where applications send what they call.
const OUTBOUND: u16 = 15001;
/// Routes of the outbound listener that nothing is redirected to.
const HTTP_PROXY: &str = "http_proxy";

pub(crate) fn resources(world: &World, proxy: &Proxy, compiled: &mut Compiled) {
    cluster::special(compiled);
    cluster::outbound(world, proxy, compiled);
    inbound::add(world, proxy, compiled);
    let caller = Caller { world, namespace: &proxy.namespace, labels: &proxy.labels, gateway: "mesh" };
    match proxy.interception {
        Interception::None => http_proxy(&caller, proxy, compiled),
        Interception::Redirect => redirected(&caller, compiled),
    }
}

/// One listener for everything, by the host that a request names.
fn http_proxy(caller: &Caller<'_>, proxy: &Proxy, compiled: &mut Compiled) {
    let upgrades = ["websocket", "CONNECT"];
    let chain = http::chain(
        caller.world.settings(),
        "outbound_http_proxy",
        http::rds(HTTP_PROXY),
        http::Side::Outbound,
        &upgrades,
    );
    let listener = Listener {
        name: "virtualOutbound".to_owned(),
        address: ip_address(proxy.address, OUTBOUND),
        filter_chains: vec![chain],
        traffic_direction: TrafficDirection::Outbound.into(),
        ..Default::default()
    };
    compiled.add("virtualOutbound", &listener);
    let mut hosts = Hosts::default();
    for (service, port) in http_ports(caller) {
        let first = service.ports.iter().find(|one| one.protocol.is_http()).map(|one| one.number);
        hosts.add(caller, service, port, first == Some(port));
    }
    hosts.add_unregistered(caller, 80, true);
    compiled.add(HTTP_PROXY, &hosts.into_table(caller.world, HTTP_PROXY));
}

/// A listener per port, chosen by the original destination.
fn redirected(caller: &Caller<'_>, compiled: &mut Compiled) {
    let settings = caller.world.settings();
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
    let ports: BTreeSet<u16> = http_ports(caller).map(|(_, port)| port).collect();
    for port in ports {
        let (name, routes) = (format!("0.0.0.0_{port}"), port.to_string());
        let mut hosts = Hosts::default();
        for (service, number) in http_ports(caller).filter(|(_, number)| *number == port) {
            hosts.add(caller, service, number, true);
        }
        hosts.add_unregistered(caller, port, true);
        compiled.add(&routes, &hosts.into_table(caller.world, &routes));
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
        let listener = handed_over(&name, address("0.0.0.0", port), vec![chain], Some(passthrough()));
        compiled.add(&name, &listener);
    }
    tcp_listeners(caller, compiled);
}

/// A listener per address of a TCP service.
fn tcp_listeners(caller: &Caller<'_>, compiled: &mut Compiled) {
    for service in caller.world.registry().visible_to(caller.namespace) {
        for port in service.ports.iter().filter(|port| matches!(port.protocol, PortProtocol::Tcp | PortProtocol::Tls)) {
            let to = tcp_destination(caller, service, port.number);
            for ip in &service.addresses {
                let name = format!("{ip}_{}", port.number);
                let chain = http::tcp_chain(caller.world.settings(), &name, ClusterSpecifier::Cluster(to.clone()));
                compiled.add(&name, &handed_over(&name, ip_address(*ip, port.number), vec![chain], None));
            }
        }
    }
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

fn http_ports<'a>(caller: &Caller<'a>) -> impl Iterator<Item = (&'a RegistryService, u16)> {
    let services = caller.world.registry().visible_to(caller.namespace);
    services.flat_map(|service| {
        service.ports.iter().filter(|port| port.protocol.is_http()).map(move |port| (service, port.number))
    })
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

/// Virtual hosts of one route configuration; a domain belongs to the first that claims it.
#[derive(Default)]
struct Hosts {
    hosts: BTreeMap<String, VirtualHost>,
    taken: BTreeSet<String>,
}

impl Hosts {
    /// A service's port; `bare`: also under its names without a port.
    fn add(&mut self, caller: &Caller<'_>, service: &RegistryService, port: u16, bare: bool) {
        let routes = match virtual_service_for(caller, &service.host) {
            Some((object, virtual_service)) if !virtual_service.http.is_empty() => {
                route::of_virtual_service(caller, object, virtual_service, port)
            }
            Some(_) | None => vec![route::plain(caller, service, port)],
        };
        let names = short_names(caller, service);
        self.insert(&service.host, names, port, bare, routes);
    }

    /// Virtual services for hosts that are no service of the mesh.
    fn add_unregistered(&mut self, caller: &Caller<'_>, port: u16, bare: bool) {
        for (key, hosts) in caller.world.index().virtual_services.all() {
            let Some((object, service)) = caller.world.virtual_service(key) else { continue };
            if service.http.is_empty() || !is_bound(caller, object, service) {
                continue;
            }
            for host in hosts {
                if caller.world.registry().service(host).is_none() && host != "*" {
                    let routes = route::of_virtual_service(caller, object, service, port);
                    self.insert(host, vec![host.clone()], port, bare, routes);
                }
            }
        }
    }

    fn insert(
        &mut self,
        host: &str,
        names: Vec<String>,
        port: u16,
        bare: bool,
        routes: Vec<envoy_types::pb::envoy::config::route::v3::Route>,
    ) {
        let with_port = names.iter().map(|name| format!("{name}:{port}"));
        let domains: Vec<String> = names.iter().filter(|_| bare).cloned().chain(with_port).collect();
        let domains: Vec<String> = domains.into_iter().filter(|domain| self.taken.insert(domain.clone())).collect();
        if domains.is_empty() {
            return;
        }
        let name = format!("{host}:{port}");
        let virtual_host = VirtualHost {
            name: name.clone(),
            domains,
            routes,
            include_request_attempt_count: true,
            ..Default::default()
        };
        self.hosts.insert(name, virtual_host);
    }

    fn into_table(self, world: &World, name: &str) -> envoy_types::pb::envoy::config::route::v3::RouteConfiguration {
        let mut hosts: Vec<VirtualHost> = self.hosts.into_values().collect();
        hosts.push(route::fallback(world));
        route::table(name, hosts)
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
