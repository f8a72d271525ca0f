//! Listeners and filter chains.

use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::accesslog::v3 as log_pb;
use envoy_types::pb::envoy::config::accesslog::v3::access_log::ConfigType as LogConfig;
use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::core::v3::substitution_format_string::Format;
use envoy_types::pb::envoy::config::listener::v3 as pb;
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
use envoy_types::pb::envoy::extensions::access_loggers::file::v3::FileAccessLog;
use envoy_types::pb::envoy::extensions::access_loggers::file::v3::file_access_log::AccessLogFormat;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3 as tcp_pb;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::ClusterSpecifier;
use orrery_core::listener::{
    AccessLog, Binding, Direction, FilterChain, FilterChainMatch, Inspection, Listener, NetworkFilter, OriginalDst,
    ServerNameMatch, TcpProxy, TransportProtocol,
};
use orrery_core::route::WeightedCluster;
use prost::Name;

use super::plain::{duration, flag, limit, port, range, socket_address};
use super::{Result, Within, http, nothing_left, refuse, tls, unpack};

/// Envoy's time for the first bytes.
const INSPECTION: Duration = Duration::from_secs(15);
/// The listener filter that asks the kernel where a redirected connection was going.
const ORIGINAL_DST: &str = "envoy.filters.listener.original_dst";
/// Envoy's idle time of TCP connections.
const TCP_IDLE: Duration = Duration::from_secs(3600);

pub(crate) fn listener(mut listener: pb::Listener) -> Result<Listener> {
    let restored = listener.listener_filters.iter().any(|filter| filter.name == ORIGINAL_DST);
    listener.listener_filters.retain(|filter| filter.name != ORIGINAL_DST);
    let inspection = inspection(&mut listener)?;
    let filter_chains = take(&mut listener.filter_chains).into_iter().enumerate().map(|(at, chain)| {
        let place = format!("filter_chains[{at}]");
        filter_chain(chain).map(Arc::new).within(&place)
    });
    let filter_chains = filter_chains.collect::<Result<_>>()?;
    let default_filter_chain = listener
        .default_filter_chain
        .take()
        .map(filter_chain)
        .transpose()
        .within("default_filter_chain")?
        .map(Arc::new);
    let direction = match TrafficDirection::try_from(take(&mut listener.traffic_direction)) {
        Ok(TrafficDirection::Inbound) => Direction::Inbound,
        Ok(TrafficDirection::Outbound | TrafficDirection::Unspecified) => Direction::Outbound,
        Err(_) => return refuse("traffic_direction", "it is none"),
    };
    let bound = flag(listener.bind_to_port.take(), true);
    let decoded = Listener {
        name: take(&mut listener.name).into(),
        address: socket_address(listener.address.take())?,
        direction,
        binding: if bound { Binding::Socket } else { Binding::HandedOver },
        original_dst: match (flag(listener.use_original_dst.take(), false), restored) {
            (true, _) => OriginalDst::HandedOver,
            (false, true) => OriginalDst::Restored,
            (false, false) => OriginalDst::Ignored,
        },
        inspection,
        filter_chains,
        default_filter_chain,
    };
    // Sockets are shared and balanced in this proxy's own way; names of statistics change no connection.
    listener.enable_reuse_port = None;
    listener.connection_balance_config = None;
    listener.stat_prefix.clear();
    listener.metadata = None;
    listener.per_connection_buffer_limit_bytes = None;
    listener.max_connections_to_accept_per_socket_event = None;
    listener.access_log.clear();
    nothing_left(&listener)?;
    Ok(decoded)
}

fn inspection(listener: &mut pb::Listener) -> Result<Inspection> {
    let timeout = duration(listener.listener_filters_timeout.take()).within("listener_filters_timeout")?;
    listener.continue_on_listener_filters_timeout = false;
    let mut inspection = Inspection { tls: false, http: false, timeout: timeout.unwrap_or(INSPECTION) };
    for filter in take(&mut listener.listener_filters) {
        match filter.name.as_str() {
            "envoy.filters.listener.tls_inspector" => inspection.tls = true,
            "envoy.filters.listener.http_inspector" => inspection.http = true,
            other => return refuse("listener_filters", format!("{other} is not supported")),
        }
    }
    Ok(inspection)
}

fn filter_chain(mut chain: pb::FilterChain) -> Result<FilterChain> {
    let matches = chain_match(chain.filter_chain_match.take()).within("filter_chain_match")?;
    let tls = tls::downstream(chain.transport_socket.take()).within("transport_socket")?;
    let mut filters = take(&mut chain.filters);
    // The exchange of metadata and statistics are built in; Istio's filters for them ask for just that.
    filters.retain(|filter| !matches!(filter.name.as_str(), "istio.metadata_exchange" | "istio.stats"));
    let (Some(filter), true) = (filters.pop(), filters.is_empty()) else {
        return refuse("filters", "exactly one network filter is supported: HTTP connection manager or TCP proxy");
    };
    let decoded = FilterChain { name: take(&mut chain.name).into(), matches, tls, filter: network_filter(filter)? };
    chain.transport_socket_connect_timeout = None;
    chain.metadata = None;
    nothing_left(&chain)?;
    Ok(decoded)
}

fn chain_match(matches: Option<pb::FilterChainMatch>) -> Result<FilterChainMatch> {
    let mut matches = matches.unwrap_or_default();
    let transport = match take(&mut matches.transport_protocol).as_str() {
        "" => None,
        "tls" => Some(TransportProtocol::Tls),
        "raw_buffer" => Some(TransportProtocol::RawBuffer),
        other => return refuse("transport_protocol", format!("{other} is not supported")),
    };
    let server_names = take(&mut matches.server_names).into_iter().filter_map(|name| match name.strip_prefix('*') {
        Some("") => None,
        Some(suffix) => Some(ServerNameMatch::Suffix(suffix.to_ascii_lowercase().into())),
        None => Some(ServerNameMatch::Exact(name.to_ascii_lowercase().into())),
    });
    let decoded = FilterChainMatch {
        destination_port: matches.destination_port.take().map(|value| port(value.value)).transpose()?,
        server_names: server_names.collect(),
        transport,
        prefix_ranges: take(&mut matches.prefix_ranges).into_iter().map(range).collect::<Result<_>>()?,
        application_protocols: take(&mut matches.application_protocols).into_iter().map(Box::from).collect(),
    };
    nothing_left(&matches)?;
    Ok(decoded)
}

fn network_filter(filter: pb::Filter) -> Result<NetworkFilter> {
    let Some(ConfigType::TypedConfig(any)) = filter.config_type else {
        return refuse(&filter.name, "it has no typed configuration");
    };
    if any.type_url == HttpConnectionManager::type_url() {
        return unpack(&any)
            .and_then(http::manager)
            .within("http_connection_manager")
            .map(|m| NetworkFilter::Http(Arc::new(m)));
    }
    if any.type_url == tcp_pb::TcpProxy::type_url() {
        return unpack(&any).and_then(tcp_proxy).within("tcp_proxy").map(|proxy| NetworkFilter::Tcp(Arc::new(proxy)));
    }
    refuse(&filter.name, format!("{} is not supported", any.type_url))
}

fn tcp_proxy(mut proxy: tcp_pb::TcpProxy) -> Result<TcpProxy> {
    let plain = |name: String, weight| WeightedCluster::plain(name.into(), weight);
    let clusters = match proxy.cluster_specifier.take() {
        Some(ClusterSpecifier::Cluster(name)) => vec![plain(name, 1)],
        Some(ClusterSpecifier::WeightedClusters(split)) => {
            let clusters: Vec<_> = split.clusters.into_iter().map(|one| plain(one.name, one.weight)).collect();
            if clusters.is_empty() {
                return refuse("weighted_clusters", "it has no cluster");
            }
            clusters
        }
        None => return refuse("cluster_specifier", "it is missing"),
    };
    let decoded = TcpProxy {
        stat_prefix: take(&mut proxy.stat_prefix).into(),
        clusters,
        idle_timeout: limit(proxy.idle_timeout.take(), Some(TCP_IDLE))?,
        access_log: access_log(take(&mut proxy.access_log))?,
    };
    proxy.max_connect_attempts = None;
    nothing_left(&proxy)?;
    Ok(decoded)
}

/// The file access log in its default text format or as JSON; where it goes is decided by the proxy.
pub(super) fn access_log(logs: Vec<log_pb::AccessLog>) -> Result<Option<AccessLog>> {
    let Some(log) = logs.into_iter().next() else { return Ok(None) };
    let Some(LogConfig::TypedConfig(any)) = log.config_type else {
        return refuse("access_log", "it has no typed configuration");
    };
    let file: FileAccessLog = unpack(&any).within("access_log")?;
    Ok(Some(match file.access_log_format {
        None => AccessLog::Text,
        Some(AccessLogFormat::LogFormat(format)) => match format.format {
            Some(Format::JsonFormat(_)) => AccessLog::Json,
            Some(Format::TextFormatSource(_) | Format::TextFormat(_)) | None => AccessLog::Text,
        },
        Some(AccessLogFormat::JsonFormat(_) | AccessLogFormat::TypedJsonFormat(_)) => AccessLog::Json,
        Some(AccessLogFormat::Format(_)) => AccessLog::Text,
    }))
}
