//! UDP listeners with the UDP proxy.

use std::mem::take;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::socket_address::Protocol;
use envoy_types::pb::envoy::config::listener::v3 as pb;
use envoy_types::pb::envoy::config::listener::v3::listener_filter::ConfigType;
use envoy_types::pb::envoy::extensions::filters::udp::udp_proxy::v3::udp_proxy_config::RouteSpecifier;
use envoy_types::pb::envoy::extensions::filters::udp::udp_proxy::v3::{Route, UdpProxyConfig};
use envoy_types::pb::xds::r#type::matcher::v3::Matcher;
use envoy_types::pb::xds::r#type::matcher::v3::matcher::on_match::OnMatch;
use orrery_core::datagram::DatagramListener;

use super::plain::{duration, socket_address};
use super::{Result, Within, nothing_left, refuse, unpack};

/// Envoy's idle time of sessions.
const IDLE: Duration = Duration::from_secs(60);

/// Whether a listener is for datagrams.
pub(crate) fn is_datagram(listener: &pb::Listener) -> bool {
    match listener.address.as_ref().and_then(|address| address.address.as_ref()) {
        Some(AddressKind::SocketAddress(socket)) => socket.protocol() == Protocol::Udp,
        Some(AddressKind::Pipe(_) | AddressKind::EnvoyInternalAddress(_)) | None => false,
    }
}

pub(crate) fn listener(mut listener: pb::Listener) -> Result<DatagramListener> {
    let mut filters = take(&mut listener.listener_filters);
    let (Some(filter), true) = (filters.pop(), filters.is_empty()) else {
        return refuse("listener_filters", "a UDP listener has exactly one filter: the UDP proxy");
    };
    let Some(ConfigType::TypedConfig(any)) = filter.config_type else {
        return refuse(&filter.name, "it has no typed configuration");
    };
    let mut proxy: UdpProxyConfig = unpack(&any).within("listener_filters")?;
    let cluster = cluster(proxy.route_specifier.take()).within("udp_proxy")?;
    let idle_timeout = duration(proxy.idle_timeout.take()).within("idle_timeout")?.unwrap_or(IDLE);
    proxy.stat_prefix.clear();
    proxy.upstream_socket_config = None;
    nothing_left(&proxy).within("udp_proxy")?;
    if let Some(AddressKind::SocketAddress(socket)) = listener.address.as_mut().and_then(|one| one.address.as_mut()) {
        socket.set_protocol(Protocol::Tcp);
    }
    let decoded = DatagramListener {
        name: take(&mut listener.name).into(),
        address: socket_address(listener.address.take())?,
        cluster: cluster.into(),
        idle_timeout,
    };
    // Sockets are shared between workers in this proxy's own way.
    listener.enable_reuse_port = None;
    listener.udp_listener_config = None;
    listener.traffic_direction = 0;
    listener.stat_prefix.clear();
    listener.metadata = None;
    nothing_left(&listener)?;
    Ok(decoded)
}

/// One cluster for everything, by name or as the matcher that matches nothing else.
fn cluster(specifier: Option<RouteSpecifier>) -> Result<String> {
    let matcher: Matcher = match specifier {
        Some(RouteSpecifier::Cluster(name)) => return Ok(name),
        Some(RouteSpecifier::Matcher(matcher)) => matcher,
        None => return refuse("route_specifier", "it is missing"),
    };
    if matcher.matcher_type.is_some() {
        return refuse("matcher", "this proxy sends all datagrams of a listener to one cluster");
    }
    match matcher.on_no_match.and_then(|one| one.on_match) {
        Some(OnMatch::Action(action)) => match action.typed_config {
            Some(any) => Ok(unpack::<Route>(&any).within("matcher.on_no_match")?.cluster),
            None => refuse("matcher.on_no_match", "it has no typed configuration"),
        },
        Some(OnMatch::Matcher(_)) | None => refuse("matcher.on_no_match", "a route to a cluster is expected"),
    }
}
