//! Inbound listeners of a sidecar: one chain set per port of the workload, by its mutual TLS mode. The ports are those of
//! the workload's services, or those that a Sidecar names.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::config::core::v3::{Address, TrafficDirection, TransportSocket};
use envoy_types::pb::envoy::config::listener::v3::{FilterChain, FilterChainMatch, Listener};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::ClusterSpecifier;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{CommonTlsContext, DownstreamTlsContext};
use envoy_types::util::pack_any;
use orrery_api::{CaptureMode, ConnectionPool, IngressListener, LocalEndpoint, MtlsMode};

use super::value::{address, flag, ip_address, number};
use super::{cluster, http, route};
use crate::compile::Compiled;
use crate::policy::{mtls_mode, rules_for};
use crate::proxy::{Interception, Proxy, Secrets};
use crate::registry::{PortProtocol, RegistryService, ServicePortInfo};
use crate::scope::Scope;
use crate::world::World;

/// What clients of the mesh offer in ALPN for connections that nobody looked into.
const MESH_TCP: [&str; 2] = ["istio-peer-exchange", "istio"];
/// And for requests.
const MESH_HTTP: [&str; 3] = ["istio-http/1.0", "istio-http/1.1", "istio-h2"];
/// What the HTTP inspector calls plain HTTP.
const PLAIN_HTTP: [&str; 3] = ["http/1.0", "http/1.1", "h2c"];

/// One inbound port.
struct Inbound<'a> {
    service: &'a RegistryService,
    port: ServicePortInfo,
    /// The workload's port.
    target: u16,
    /// The application.
    to: SocketAddr,
    /// Bound here; `None`: connections are redirected.
    bind: Option<IpAddr>,
    pool: Option<&'a ConnectionPool>,
}

pub(super) fn add(world: &World, proxy: &Proxy, scope: &Scope, compiled: &mut Compiled) {
    let named = named_service(scope, proxy);
    let mut redirected = Vec::new();
    for inbound in ports(world, proxy, scope, &named) {
        let own = inbound.cluster(proxy);
        compiled.add(&own.name.clone(), &own);
        let chains = inbound.chains(world, proxy);
        match inbound.bind {
            Some(ip) => {
                let name = format!("{ip}_{}", inbound.target);
                let detects = inbound.port.protocol == PortProtocol::Auto;
                compiled.add(&name, &listener(&name, ip_address(ip, inbound.target), chains, detects));
            }
            None => redirected.extend(chains.into_iter().map(|chain| at_port(chain, inbound.target))),
        }
    }
    if proxy.interception == Interception::Redirect {
        compiled.add("virtualInbound", &virtual_inbound(world, redirected));
    }
}

fn ports<'a>(world: &'a World, proxy: &Proxy, scope: &Scope, named: &'a RegistryService) -> Vec<Inbound<'a>> {
    let ingress = scope.ingress(world);
    if !ingress.is_empty() {
        return ingress.iter().map(|one| of_sidecar(world, proxy, scope, one, named)).collect();
    }
    let mut done = BTreeSet::new();
    let mut found = Vec::new();
    for (service, endpoint) in world.registry().services_at(proxy.address) {
        for port in &service.ports {
            // Two services may share a workload's port: the first names it.
            let Some(target) = endpoint.ports.get(&port.number).copied().filter(|target| done.insert(*target)) else {
                continue;
            };
            let to = SocketAddr::new(proxy.app_address.unwrap_or(proxy.address), target);
            let bind = (proxy.interception == Interception::None).then_some(proxy.address);
            let pool = pool(world, proxy, scope, service, port.number, target);
            found.push(Inbound { service, port: port.clone(), target, to, bind, pool });
        }
    }
    found
}

/// A port that a Sidecar names. The workload's service of that port gives it a name, if there is one.
fn of_sidecar<'a>(
    world: &'a World,
    proxy: &Proxy,
    scope: &Scope,
    listener: &IngressListener,
    named: &'a RegistryService,
) -> Inbound<'a> {
    let target = listener.port.number;
    let mut services = world.registry().services_at(proxy.address).flat_map(|(service, endpoint)| {
        let ports = service.ports.iter().filter(|port| endpoint.ports.get(&port.number) == Some(&target));
        ports.map(move |port| (service, port.number))
    });
    let (service, number) = services.next().unwrap_or((named, target));
    let own = proxy.app_address.unwrap_or(proxy.address);
    let to = match listener.default_endpoint {
        None => SocketAddr::new(own, target),
        Some(LocalEndpoint::Workload(port)) => SocketAddr::new(own, port),
        Some(LocalEndpoint::Loopback(to)) => to,
    };
    let bound = match listener.capture {
        CaptureMode::Default => proxy.interception == Interception::None,
        CaptureMode::Redirected => false,
        CaptureMode::None => true,
    };
    let anywhere = match proxy.interception {
        Interception::None => proxy.address,
        Interception::Redirect => Ipv4Addr::UNSPECIFIED.into(),
    };
    let protocol = PortProtocol::of(&listener.port.protocol);
    Inbound {
        service,
        port: ServicePortInfo { number, name: listener.port.protocol.clone(), protocol, target: None },
        target,
        to,
        bind: bound.then(|| listener.bind.unwrap_or(anywhere)),
        pool: pool(world, proxy, scope, service, number, target),
    }
}

/// What the ports of a Sidecar are called when no service has them.
fn named_service(scope: &Scope, proxy: &Proxy) -> RegistryService {
    let name = scope.sidecar.as_ref().map_or(proxy.workload.as_str(), |key| key.name.as_str());
    RegistryService::named(name, &proxy.namespace)
}

/// Limits of an inbound port: the Sidecar's, then those of the service's DestinationRule.
fn pool<'a>(
    world: &'a World,
    proxy: &Proxy,
    scope: &Scope,
    service: &RegistryService,
    port: u16,
    target: u16,
) -> Option<&'a ConnectionPool> {
    scope.inbound_pool(world, target).or_else(|| {
        let policy = rules_for(world, &service.host, &service.namespace, &proxy.namespace)?.policy;
        let own = policy.ports.iter().find(|one| one.port == port);
        own.map_or(policy, |own| &own.policy).connection_pool.as_ref()
    })
}

fn virtual_inbound(world: &World, chains: Vec<FilterChain>) -> Listener {
    let to = ClusterSpecifier::Cluster(cluster::INBOUND_PASSTHROUGH.to_owned());
    let rest = FilterChain {
        name: "virtualInbound-passthrough".to_owned(),
        ..http::tcp_chain(world.settings(), cluster::INBOUND_PASSTHROUGH, to)
    };
    let mut listener = listener("virtualInbound", address("0.0.0.0", 15006), chains, true);
    listener.listener_filters.insert(0, http::original_dst());
    listener.default_filter_chain = Some(rest);
    listener
}

fn listener(name: &str, to: Option<Address>, chains: Vec<FilterChain>, detects_http: bool) -> Listener {
    Listener {
        name: name.to_owned(),
        address: to,
        filter_chains: chains,
        listener_filters: http::inspectors(true, detects_http),
        continue_on_listener_filters_timeout: true,
        traffic_direction: TrafficDirection::Inbound.into(),
        ..Default::default()
    }
}

impl Inbound<'_> {
    fn name(&self) -> String {
        format!("inbound|{}||", self.target)
    }

    fn cluster(&self, proxy: &Proxy) -> envoy_types::pb::envoy::config::cluster::v3::Cluster {
        cluster::inbound(proxy, self.service, &self.port, &self.name(), self.to, self.pool)
    }

    fn tcp(&self, world: &World) -> FilterChain {
        let name = self.name();
        http::tcp_chain(world.settings(), &name, ClusterSpecifier::Cluster(name.clone()))
    }

    fn http(&self, world: &World) -> FilterChain {
        let table = route::inbound(&self.name(), self.service, &self.port);
        let prefix = format!("inbound_{}", self.target);
        let routes = RouteSpecifier::RouteConfig(table);
        http::chain(world.settings(), &prefix, routes, http::Side::Inbound, &["websocket"])
    }

    fn chains(&self, world: &World, proxy: &Proxy) -> Vec<FilterChain> {
        let secured = |what: &str, protocols: &[&str], chain: FilterChain| FilterChain {
            name: format!("{} {what}", self.name()),
            filter_chain_match: Some(matching("tls", protocols)),
            transport_socket: Some(mesh_tls(&proxy.secrets)),
            ..chain
        };
        let open = |what: &str, transport: &str, protocols: &[&str], chain: FilterChain| FilterChain {
            name: format!("{} {what}", self.name()),
            filter_chain_match: Some(matching(transport, protocols)),
            ..chain
        };
        let all = [&MESH_TCP[..], &MESH_HTTP].concat();
        let (secured, plain) = match self.port.protocol {
            PortProtocol::Http | PortProtocol::Http2 | PortProtocol::Grpc => (
                vec![secured("mtls", &all, self.http(world))],
                vec![open("plaintext", "raw_buffer", &[], self.http(world))],
            ),
            PortProtocol::Tcp | PortProtocol::Tls | PortProtocol::Udp => (
                vec![secured("mtls", &all, self.tcp(world))],
                vec![open("plaintext", "raw_buffer", &[], self.tcp(world))],
            ),
            PortProtocol::Auto => (
                vec![
                    secured("mtls http", &MESH_HTTP, self.http(world)),
                    secured("mtls tcp", &MESH_TCP, self.tcp(world)),
                ],
                vec![
                    open("plaintext http", "raw_buffer", &PLAIN_HTTP, self.http(world)),
                    open("plaintext tcp", "raw_buffer", &[], self.tcp(world)),
                ],
            ),
        };
        let foreign = vec![open("tls", "tls", &[], self.tcp(world))];
        match mtls_mode(world, &proxy.namespace, &proxy.labels, self.target) {
            MtlsMode::Strict => secured,
            MtlsMode::Permissive | MtlsMode::Unset => [secured, plain, foreign].concat(),
            MtlsMode::Disable => [plain, foreign].concat(),
        }
    }
}

fn matching(transport: &str, protocols: &[&str]) -> FilterChainMatch {
    FilterChainMatch {
        transport_protocol: transport.to_owned(),
        application_protocols: protocols.iter().map(|&one| one.to_owned()).collect(),
        ..Default::default()
    }
}

fn at_port(mut chain: FilterChain, port: u16) -> FilterChain {
    chain.filter_chain_match.get_or_insert_default().destination_port = number(port.into());
    chain
}

fn mesh_tls(secrets: &Secrets) -> TransportSocket {
    let alpn = ["h2", "http/1.1", "istio-peer-exchange", "istio"];
    let context = DownstreamTlsContext {
        common_tls_context: Some(CommonTlsContext {
            tls_certificate_sds_secret_configs: vec![cluster::sds("default", secrets)],
            alpn_protocols: alpn.iter().map(|one| (*one).to_owned()).collect(),
            validation_context_type: Some(ValidationContextType::ValidationContextSdsSecretConfig(cluster::sds(
                "ROOTCA", secrets,
            ))),
            ..Default::default()
        }),
        require_client_certificate: flag(true),
        ..Default::default()
    };
    let config_type = Some(ConfigType::TypedConfig(pack_any(context)));
    TransportSocket { name: "envoy.transport_sockets.tls".into(), config_type }
}
