//! Inbound listeners of a sidecar: one chain set per port of the workload, by its mutual TLS mode.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::core::v3::TransportSocket;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::config::listener::v3::{FilterChain, FilterChainMatch, Listener};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::ClusterSpecifier;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{CommonTlsContext, DownstreamTlsContext};
use envoy_types::util::pack_any;
use orrery_api::{MtlsMode, WorkloadMode};

use super::value::{address, flag, ip_address, number};
use super::{cluster, http, route};
use crate::compile::Compiled;
use crate::policy::mtls_mode;
use crate::proxy::{Interception, Proxy, Secrets};
use crate::registry::{RegistryService, ServicePortInfo};
use crate::telemetry::Reporting;
use crate::world::World;

/// What clients of the mesh offer in ALPN.
const MESH_ALPN: [&str; 5] = ["istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"];

pub(super) fn add(world: &World, proxy: &Proxy, compiled: &mut Compiled) {
    let reporting = Reporting::of(world, proxy.into(), WorkloadMode::Server);
    let context = http::Context { world, reporting: &reporting };
    let mut done = BTreeSet::new();
    let mut redirected = Vec::new();
    for (service, endpoint) in world.registry().services_at(proxy.address) {
        for port in &service.ports {
            // Two services may share a workload's port: the first names it.
            let Some(target) = endpoint.ports.get(&port.number).copied().filter(|target| done.insert(*target)) else {
                continue;
            };
            let own = cluster::inbound(world, proxy, service, port, target);
            compiled.add(&own.name.clone(), &own);
            let chains = chains(context, proxy, service, port, target);
            match proxy.interception {
                Interception::None => {
                    let name = format!("{}_{target}", proxy.address);
                    compiled.add(&name, &listener(&name, ip_address(proxy.address, target), chains));
                }
                Interception::Redirect => redirected.extend(chains.into_iter().map(|chain| at_port(chain, target))),
            }
        }
    }
    if proxy.interception == Interception::Redirect {
        compiled.add("virtualInbound", &virtual_inbound(context, redirected));
    }
}

fn virtual_inbound(context: http::Context<'_>, chains: Vec<FilterChain>) -> Listener {
    let to = ClusterSpecifier::Cluster(cluster::INBOUND_PASSTHROUGH.to_owned());
    let rest = FilterChain {
        name: "virtualInbound-passthrough".to_owned(),
        ..http::tcp_chain(context, cluster::INBOUND_PASSTHROUGH, to)
    };
    let mut listener = listener("virtualInbound", address("0.0.0.0", 15006), chains);
    listener.listener_filters.insert(0, http::original_dst());
    listener.default_filter_chain = Some(rest);
    listener
}

fn listener(
    name: &str,
    to: Option<envoy_types::pb::envoy::config::core::v3::Address>,
    chains: Vec<FilterChain>,
) -> Listener {
    Listener {
        name: name.to_owned(),
        address: to,
        filter_chains: chains,
        listener_filters: http::inspectors(),
        traffic_direction: TrafficDirection::Inbound.into(),
        ..Default::default()
    }
}

fn chains(
    context: http::Context<'_>,
    proxy: &Proxy,
    service: &RegistryService,
    port: &ServicePortInfo,
    target: u16,
) -> Vec<FilterChain> {
    let name = format!("inbound|{}||", port.number);
    let plain = || match port.protocol.is_http() {
        true => {
            let table = route::inbound(&name, service, port);
            let prefix = format!("inbound_{target}");
            http::chain(context, &prefix, RouteSpecifier::RouteConfig(table), http::Side::Inbound, &["websocket"])
        }
        false => http::tcp_chain(context, &name, ClusterSpecifier::Cluster(name.clone())),
    };
    let secured = FilterChain {
        name: format!("{name} mtls"),
        filter_chain_match: Some(FilterChainMatch {
            transport_protocol: "tls".to_owned(),
            application_protocols: MESH_ALPN.iter().map(|one| (*one).to_owned()).collect(),
            ..Default::default()
        }),
        transport_socket: Some(mesh_tls(&proxy.secrets)),
        ..plain()
    };
    let open = FilterChain {
        name: format!("{name} plaintext"),
        filter_chain_match: Some(FilterChainMatch {
            transport_protocol: "raw_buffer".to_owned(),
            ..Default::default()
        }),
        ..plain()
    };
    let foreign = FilterChain {
        name: format!("{name} tls"),
        filter_chain_match: Some(FilterChainMatch { transport_protocol: "tls".to_owned(), ..Default::default() }),
        ..http::tcp_chain(context, &name, ClusterSpecifier::Cluster(name.clone()))
    };
    match mtls_mode(context.world, &proxy.namespace, &proxy.labels, target) {
        MtlsMode::Strict => vec![secured],
        MtlsMode::Permissive | MtlsMode::Unset => vec![secured, open, foreign],
        MtlsMode::Disable => vec![open, foreign],
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
