//! UDP: a listener for each port, and a cluster of the endpoints that its route names, each with its share.

use std::collections::BTreeMap;
use std::net::IpAddr;

use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::socket_address::Protocol;
use envoy_types::pb::envoy::config::core::v3::{TrafficDirection, TypedExtensionConfig};
use envoy_types::pb::envoy::config::listener::v3::{Listener, UdpListenerConfig};
use envoy_types::pb::envoy::extensions::filters::udp::udp_proxy::v3::udp_proxy_config::RouteSpecifier;
use envoy_types::pb::envoy::extensions::filters::udp::udp_proxy::v3::{Route, UdpProxyConfig};
use envoy_types::pb::xds::r#type::matcher::v3::Matcher;
use envoy_types::pb::xds::r#type::matcher::v3::matcher::OnMatch;
use envoy_types::pb::xds::r#type::matcher::v3::matcher::on_match::OnMatch as Then;
use envoy_types::util::pack_any;
use orrery_api::{Gateway, Key, ServerProtocol};

use super::merge::Attached;
use super::{Scene, connections, listening_port, place};
use crate::build::{cluster, http, route};
use crate::compile::Compiled;

/// A listener for each UDP server that has a route; the oldest server has the port.
pub(super) fn add(scene: &Scene<'_>, gateways: &[(&Key, &Gateway)], compiled: &mut Compiled) {
    let mut ports: BTreeMap<(u16, Option<IpAddr>), Attached<'_>> = BTreeMap::new();
    for (key, gateway) in gateways {
        for server in gateway.servers.iter().filter(|server| server.protocol == ServerProtocol::Udp) {
            let number = listening_port(scene.world, scene.proxy, server.port);
            ports.entry((number, server.bind)).or_insert_with(|| Attached::of(key, gateway, server));
        }
    }
    for ((number, bind), attached) in ports {
        listener(scene, number, bind, &attached, compiled);
    }
}

fn listener(scene: &Scene<'_>, number: u16, bind: Option<IpAddr>, attached: &Attached<'_>, compiled: &mut Compiled) {
    let Some((object, destinations)) = connections::tcp_route(scene, attached) else { return };
    let caller = scene.caller(attached);
    let shares: Vec<(String, u16, u32)> = destinations
        .iter()
        .map(|one| {
            let (host, port) = route::target(&caller, object, &one.destination, attached.server.port);
            (host, port, one.weight)
        })
        .collect();
    let to = format!("udp|{number}|{}", attached.name);
    cluster::datagrams(scene.world, scene.proxy, &to, &shares, compiled);
    let (host, mut address) = place(scene.proxy, number, bind);
    if let Some(AddressKind::SocketAddress(socket)) = address.as_mut().and_then(|one| one.address.as_mut()) {
        socket.set_protocol(Protocol::Udp);
    }
    let name = format!("udp_{host}_{number}");
    let listener = Listener {
        name: name.clone(),
        address,
        udp_listener_config: Some(UdpListenerConfig::default()),
        listener_filters: vec![http::listener_filter(
            "envoy.filters.udp_listener.udp_proxy",
            pack_any(proxy(&name, &to)),
        )],
        traffic_direction: TrafficDirection::Outbound.into(),
        ..Default::default()
    };
    compiled.add(&name, &listener);
}

/// Everything to one cluster.
fn proxy(name: &str, cluster: &str) -> UdpProxyConfig {
    let action = TypedExtensionConfig {
        name: "route".to_owned(),
        typed_config: Some(pack_any(Route { cluster: cluster.to_owned() })),
    };
    let action =
        envoy_types::pb::xds::core::v3::TypedExtensionConfig { name: action.name, typed_config: action.typed_config };
    let otherwise = OnMatch { on_match: Some(Then::Action(action)), keep_matching: false };
    UdpProxyConfig {
        stat_prefix: name.to_owned(),
        route_specifier: Some(RouteSpecifier::Matcher(Matcher {
            on_no_match: Some(Box::new(otherwise)),
            ..Default::default()
        })),
        ..Default::default()
    }
}
