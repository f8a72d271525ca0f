//! Filter chains of a gateway's listeners.

use std::net::IpAddr;

use envoy_types::pb::envoy::config::listener::v3::{FilterChain, FilterChainMatch};

use super::merge::Attached;
use super::{Scene, connections, hosts, tls};
use crate::build::http;
use crate::compile::Compiled;

/// One chain for all servers with plain HTTP of a port.
pub(super) fn plain_http(
    scene: &Scene<'_>,
    number: u16,
    bind: Option<IpAddr>,
    servers: &[Attached<'_>],
    compiled: &mut Compiled,
) -> FilterChain {
    let routes = format!("http.{number}{}", bind.map(|ip| format!(".{ip}")).unwrap_or_default());
    compiled.add(&routes, &hosts::table(scene, &routes, servers, &[]));
    requests(scene, number, &routes)
}

fn requests(scene: &Scene<'_>, number: u16, routes: &str) -> FilterChain {
    let prefix = format!("outbound_{}_{number}", scene.proxy.address);
    http::chain(scene.world.settings(), &prefix, http::rds(routes), http::Side::Gateway, &["websocket"])
}

/// A chain for each server that ends TLS, and for each TLS route of those that pass it on. A server whose certificate is
/// not there has none.
pub(super) fn by_server_name(
    scene: &Scene<'_>,
    bind: Option<IpAddr>,
    servers: &[Attached<'_>],
    compiled: &mut Compiled,
) -> Vec<FilterChain> {
    let mut chains = Vec::new();
    for (at, attached) in servers.iter().enumerate() {
        if attached.server.passes_tls() {
            continue;
        }
        let Some(socket) = tls::socket(scene, attached, compiled) else { continue };
        let chain = match attached.https_routes() {
            Some(routes) => {
                let others = [&servers[..at], &servers[at + 1..]].concat();
                compiled.add(&routes, &hosts::table(scene, &routes, std::slice::from_ref(attached), &others));
                requests(scene, attached.server.port, &routes)
            }
            None => match connections::tcp(scene, attached) {
                Some(chain) => chain,
                None => continue,
            },
        };
        let name = attached.https_routes().unwrap_or_else(|| format!("tls.{}.{}", attached.server.port, attached.name));
        let name = format!("{name}{}", bind.map(|ip| format!("@{ip}")).unwrap_or_default());
        let filter_chain_match = Some(server_names(attached));
        chains.push(FilterChain { name, filter_chain_match, transport_socket: Some(socket), ..chain });
    }
    chains
}

/// Connections of a port as they are.
pub(super) fn plain_tcp(scene: &Scene<'_>, attached: &Attached<'_>) -> Option<FilterChain> {
    connections::tcp(scene, attached)
}

fn server_names(attached: &Attached<'_>) -> FilterChainMatch {
    let names: Vec<String> = attached.server.hosts.iter().map(|one| one.host.value.clone()).collect();
    FilterChainMatch {
        transport_protocol: "tls".to_owned(),
        server_names: if names.iter().any(|name| name == "*") { Vec::new() } else { names },
        ..Default::default()
    }
}
