//! What leads out of a sidecar: listeners by port and address with redirection, one HTTP proxy without, and the listeners
//! that a Sidecar names. Each host adds its pieces; see `listeners` for how they become one.

mod chains;
mod hosts;
mod listeners;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::listener::v3::{FilterChain, Listener};
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::ClusterSpecifier;
use ipnet::IpNet;
use orrery_api::{CaptureMode, Object, OutboundPolicy, SidecarPort, VirtualService};

use self::chains::{Chain, Names};
pub(crate) use self::listeners::{Address, Piece};
use super::cluster::{ClusterKey, outbound_name};
use super::route::Caller;
use super::value::{address, flag, ip_address};
use super::{http, route};
use crate::compile::Compiled;
use crate::compiler::{Draft, Part};
use crate::proxy::{Audience, Interception, Proxy};
use crate::registry::{EndpointAddress, PortProtocol, RegistryService, ServicePortInfo};
use crate::scope::{Egress, Scope};
use crate::settings::Settings;
use crate::world::World;

/// Where applications send what they call.
const OUTBOUND: u16 = 15001;
/// Routes of the outbound listener that nothing is redirected to.
const HTTP_PROXY: &str = "http_proxy";

/// The outgoing side of proxies that see the mesh alike.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    caller: Caller<'a>,
    audience: &'a Audience,
    scope: &'a Scope,
}

/// One listener for everything, by the host that a request names.
pub(super) fn http_proxy(settings: &Settings, proxy: &Proxy, compiled: &mut Compiled) {
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

impl<'a> Side<'a> {
    pub(super) fn of(world: &'a World, audience: &'a Audience, scope: &'a Scope) -> Self {
        let caller =
            Caller { world, namespace: &audience.namespace, labels: &audience.labels, gateway: "mesh", has_tls: false };
        Self { caller, audience, scope }
    }

    fn settings(&self) -> &'a Settings {
        self.caller.world.settings()
    }

    /// The cluster that takes calls to what nobody knows; `None`: they are refused.
    fn unknown(&self) -> Option<String> {
        let passthrough = || "PassthroughCluster".to_owned();
        match &self.scope.outbound_policy {
            None => self.settings().allow_unknown_destinations.then(passthrough),
            Some(OutboundPolicy::RegistryOnly) => None,
            Some(OutboundPolicy::AllowAny { egress_proxy: None }) => Some(passthrough()),
            Some(OutboundPolicy::AllowAny { egress_proxy: Some(to) }) => {
                let home = self.scope.sidecar.as_ref().map_or(self.caller.namespace, |key| key.namespace.as_str());
                let host = self.caller.world.resolve(&to.host.value, home);
                let subset = to.subset.as_ref().map_or("", |subset| subset.value.as_str());
                Some(outbound_name(to.port.unwrap_or(80), subset, &host))
            }
        }
    }

    /// Takes all redirected connections, hands them on by where they were going, and keeps the rest.
    pub(super) fn redirected(&self, compiled: &mut Compiled) {
        let listener = Listener {
            name: "virtualOutbound".to_owned(),
            address: address("0.0.0.0", OUTBOUND),
            use_original_dst: flag(true),
            filter_chains: vec![self.rest()],
            traffic_direction: TrafficDirection::Outbound.into(),
            ..Default::default()
        };
        compiled.add("virtualOutbound", &listener);
    }

    /// The chain for connections that nothing else takes.
    fn rest(&self) -> FilterChain {
        let cluster = self.unknown().unwrap_or_else(|| "BlackHoleCluster".to_owned());
        let to = ClusterSpecifier::Cluster(cluster.clone());
        FilterChain { name: cluster.clone(), ..http::tcp_chain(self.settings(), &cluster, to) }
    }

    /// A route table without hosts, and what becomes of requests for hosts that nobody knows.
    pub(super) fn table(&self, name: &str) -> (RouteConfiguration, Draft) {
        let ignore_port_in_host_matching = !self.is_for_all_ports(name);
        let table = RouteConfiguration { ignore_port_in_host_matching, ..route::table(name, Vec::new()) };
        (table, Draft::new(name, route::fallback(self.unknown().as_deref())))
    }

    fn is_for_all_ports(&self, table: &str) -> bool {
        let mut own = self.scope.egress.iter().filter_map(|one| one.port.as_ref());
        table == HTTP_PROXY || own.any(|port| is_proxy(port) && port.number.to_string() == table)
    }

    /// The listener that takes a port: one for just that port, else the one for all.
    fn egress_for(&self, port: u16) -> Option<&'a Egress> {
        let own = self.scope.egress.iter().find(|one| one.port.as_ref().is_some_and(|own| own.number == port));
        own.or_else(|| self.scope.egress.iter().find(|one| one.port.is_none()))
    }

    /// What a host adds; nothing when there is no such host.
    pub(super) fn part(&self, host: &str, ports: &BTreeSet<u16>) -> Option<Part> {
        let world = self.caller.world;
        let is_known = world.registry().service(host).is_some();
        let wanted = |service: &RegistryService| !self.scope.ports(world, service).is_empty();
        let Some(service) = world.registry().choose(host, self.caller.namespace, wanted) else {
            return self.unregistered(host, ports).or_else(|| is_known.then(Part::default));
        };
        let clusters = ClusterKey::of(world, self.audience, service, &self.scope.ports(world, service));
        let mut part = Part { clusters: Some(Arc::new(clusters)), ..Part::default() };
        for egress in self.scope.egress.iter().filter(|one| one.imports_service(service)) {
            match (&egress.port, self.audience.interception) {
                (Some(port), _) => self.own_port(egress, port, service, &mut part),
                (None, Interception::Redirect) => self.all_ports(egress, service, &mut part),
                (None, Interception::None) => self.hosts_of_all_ports(HTTP_PROXY, egress, service, &mut part),
            }
        }
        Some(part)
    }

    /// Virtual hosts for all HTTP ports of a service. The first port is meant by a host without one.
    fn hosts_of_all_ports(&self, table: &str, egress: &Egress, service: &RegistryService, part: &mut Part) {
        let http: Vec<u16> = service.ports.iter().filter(|one| one.protocol.is_http()).map(|one| one.number).collect();
        for port in &http {
            let domains = hosts::Domains::WithPort { bare: http.first() == Some(port) };
            let made = hosts::of_service(&self.caller, egress, service, *port, domains);
            part.hosts.extend(made.map(|made| Draft::new(table, made)));
            part.ports.insert(*port);
        }
    }

    fn host(&self, table: &str, egress: &Egress, service: &RegistryService, port: u16, part: &mut Part) {
        let made = hosts::of_service(&self.caller, egress, service, port, hosts::Domains::Bare);
        part.hosts.extend(made.map(|made| Draft::new(table, made)));
        part.ports.insert(port);
    }

    /// The part of a service in the listener on a port that a Sidecar names.
    fn own_port(&self, egress: &Egress, port: &SidecarPort, service: &RegistryService, part: &mut Part) {
        let (bound, bind) = self.binding(egress);
        let at = Address::new(bind, port.number);
        let protocol = PortProtocol::of(&port.protocol);
        let routes = port.number.to_string();
        if is_proxy(port) {
            part.pieces.push(Piece::http(at, bound, &routes));
            self.hosts_of_all_ports(&routes, egress, service, part);
            return;
        }
        let Some(own) = service.port(port.number) else { return };
        if matches!(protocol, PortProtocol::Http | PortProtocol::Http2 | PortProtocol::Grpc) {
            part.pieces.push(Piece::http(at, bound, &routes));
            self.host(&routes, egress, service, port.number, part);
            return;
        }
        let own = ServicePortInfo { protocol, ..own.clone() };
        self.connections(service, &own, egress, part);
    }

    /// Whether a listener's socket is bound, and where; without an address, where the services are.
    fn binding(&self, egress: &Egress) -> (bool, Option<IpAddr>) {
        let bound = match egress.capture {
            _ if egress.port.is_none() => false,
            CaptureMode::Default => self.audience.interception == Interception::None,
            CaptureMode::Redirected => false,
            CaptureMode::None => true,
        };
        (bound, egress.bind.or_else(|| bound.then_some(Ipv4Addr::LOCALHOST.into())))
    }

    /// Whether a Sidecar's own listener is at this address, which services of all ports then do not join.
    fn is_taken(&self, at: Address) -> bool {
        self.scope
            .egress
            .iter()
            .any(|one| one.port.as_ref().is_some_and(|port| Address::new(self.binding(one).1, port.number) == at))
    }

    /// The part of a service in the listeners for its ports.
    fn all_ports(&self, egress: &Egress, service: &RegistryService, part: &mut Part) {
        for port in &service.ports {
            let anywhere = Address::new(None, port.number);
            let routes = port.number.to_string();
            match port.protocol {
                PortProtocol::Udp => {}
                PortProtocol::Http | PortProtocol::Http2 | PortProtocol::Grpc => {
                    if !self.is_taken(anywhere) {
                        part.pieces.push(Piece::http(anywhere, false, &routes));
                        self.host(&routes, egress, service, port.number, part);
                    }
                }
                PortProtocol::Tcp | PortProtocol::Tls => self.connections(service, port, egress, part),
                PortProtocol::Auto => self.either(service, port, egress, part),
            }
        }
    }

    /// A port of which nobody said what is spoken: HTTP is routed where it is seen, all else is carried.
    fn either(&self, service: &RegistryService, port: &ServicePortInfo, egress: &Egress, part: &mut Part) {
        self.connections(service, port, egress, part);
        let own: Vec<IpAddr> = service.ips().collect();
        if own.is_empty() {
            let anywhere = Address::new(None, port.number);
            let routes = port.number.to_string();
            if !self.is_taken(anywhere) {
                part.pieces.push(Piece::http(anywhere, false, &routes));
                self.host(&routes, egress, service, port.number, part);
            }
            return;
        }
        let routes = format!("{}:{}", service.host, port.number);
        for ip in own {
            part.pieces.push(Piece::http(Address::new(Some(ip), port.number), false, &routes));
        }
        let made = hosts::of_service(&self.caller, egress, service, port.number, hosts::Domains::Any);
        part.hosts.extend(made.map(|made| Draft::new(&routes, made)));
    }

    /// Chains for the connections to a port, on the addresses that the service has, or where its listener is bound.
    fn connections(&self, service: &RegistryService, port: &ServicePortInfo, egress: &Egress, part: &mut Part) {
        let chains = |ranges: &[IpNet], names| chains::of_port(&self.caller, egress, service, port, ranges, names);
        let (bound, bind) = self.binding(egress);
        let mut add = |at: Address, chains: Vec<Chain>| {
            if egress.port.is_some() || !self.is_taken(at) {
                part.pieces.extend(chains.into_iter().map(|chain| Piece::tcp(at, bound, chain)));
            }
        };
        if bind.is_some() {
            add(Address::new(bind, port.number), chains(&[], Names::Needless));
            return;
        }
        let anywhere = Address::new(None, port.number);
        if service.is_headless() && port.protocol != PortProtocol::Auto {
            for endpoint in self.caller.world.registry().endpoints(service) {
                if let EndpointAddress::Ip(ip) = endpoint.address {
                    add(anywhere, chains(&[ip.into()], Names::Needless));
                }
            }
            return;
        }
        for ip in service.ips() {
            add(Address::new(Some(ip), port.number), chains(&[], Names::Needless));
        }
        let is_range = |net: &&IpNet| net.prefix_len() != net.max_prefix_len();
        let ranges: Vec<IpNet> = service.addresses.iter().filter(is_range).copied().collect();
        // Nothing tells connections to an unknown protocol from others: the port alone would take all of them.
        let is_told = port.protocol != PortProtocol::Auto && service.addresses.is_empty();
        if !ranges.is_empty() || is_told {
            add(anywhere, chains(&ranges, Names::Needed));
        }
    }

    /// The oldest virtual service for a host that is no service here: on port 80, and on the HTTP ports of services that it
    /// is for as well.
    fn unregistered(&self, host: &str, ports: &BTreeSet<u16>) -> Option<Part> {
        let all = &self.caller.world.index().virtual_services;
        all.exactly(host).next()?;
        let mut part = Part { unregistered: true, ..Part::default() };
        let tables: Vec<(String, u16)> = match self.audience.interception {
            Interception::None => vec![(HTTP_PROXY.to_owned(), 80)],
            Interception::Redirect => ports.iter().map(|port| (port.to_string(), *port)).collect(),
        };
        for (table, port) in tables.into_iter().filter(|_| host != "*") {
            let Some(egress) = self.egress_for(port) else { continue };
            let mut bound = all.exactly(host).filter_map(|key| {
                let (object, service) = self.caller.world.virtual_service(key)?;
                let here = !service.http.is_empty() && is_bound(&self.caller, egress, object, service);
                here.then_some((object, service))
            });
            let Some((object, service)) = bound.next() else { continue };
            if port == 80 || self.has_service(object, port) {
                let made = hosts::unregistered(&self.caller, object, service, host, port);
                part.hosts.extend(made.map(|made| Draft::new(&table, made)));
            }
        }
        Some(part)
    }

    /// Whether a host of the virtual service is a service with this HTTP port.
    fn has_service(&self, object: &Object, port: u16) -> bool {
        let world = self.caller.world;
        world.index().virtual_services.hosts(object).iter().any(|host| {
            let service = world.registry().service_for(host, self.caller.namespace);
            service.is_some_and(|service| service.port(port).is_some_and(|port| port.protocol.is_http()))
        })
    }
}

/// Requests of all ports and hosts come to such a listener.
fn is_proxy(port: &SidecarPort) -> bool {
    port.protocol == "http_proxy"
}

impl RegistryService {
    /// The service that this one is only a name for, if it is known.
    pub(in crate::build) fn alias_of<'a>(&self, caller: &Caller<'a>) -> Option<&'a Self> {
        caller.world.registry().service_for(self.alias.as_deref()?, caller.namespace)
    }
}

/// Whether the virtual service is for this caller: bound to its gateway, exported to its namespace, and imported.
fn is_bound(caller: &Caller<'_>, egress: &Egress, object: &Object, service: &VirtualService) -> bool {
    let namespace = &object.key.namespace;
    let gateways = &service.gateways;
    let named = |name: &str| route::gateway_name(name, namespace) == caller.gateway;
    service.export_to.includes(namespace, caller.namespace)
        && (gateways.is_empty() || gateways.iter().any(|one| named(&one.value)))
        && egress.imports.any_of(namespace, caller.world.index().virtual_services.hosts(object))
}
