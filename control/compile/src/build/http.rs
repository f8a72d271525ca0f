//! HTTP connection managers and the listeners around them.

use envoy_types::pb::envoy::config::accesslog::v3::AccessLog;
use envoy_types::pb::envoy::config::accesslog::v3::access_log::ConfigType as LogConfig;
use envoy_types::pb::envoy::config::core::v3::SubstitutionFormatString;
use envoy_types::pb::envoy::config::core::v3::substitution_format_string::Format;
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
use envoy_types::pb::envoy::config::listener::v3::listener_filter::ConfigType as ListenerConfig;
use envoy_types::pb::envoy::config::listener::v3::{Filter, FilterChain, ListenerFilter};
use envoy_types::pb::envoy::extensions::access_loggers::file::v3::FileAccessLog;
use envoy_types::pb::envoy::extensions::access_loggers::file::v3::file_access_log::AccessLogFormat as FileFormat;
use envoy_types::pb::envoy::extensions::filters::http::cors::v3::Cors;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::HttpFault;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::listener::http_inspector::v3::HttpInspector;
use envoy_types::pb::envoy::extensions::filters::listener::original_dst::v3::OriginalDst;
use envoy_types::pb::envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::{
    RouteSpecifier, Tracing, UpgradeConfig,
};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType as HttpConfig;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, Rds,
};
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::ClusterSpecifier;
use envoy_types::pb::envoy::r#type::v3::Percent;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;

use super::value::{ads, fields, flag, text};
use crate::settings::{AccessLogFormat, Settings};

/// Which side a manager is on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Inbound,
    Outbound,
    /// Requests come from outside of the mesh.
    Gateway,
}

pub(super) fn rds(name: &str) -> RouteSpecifier {
    RouteSpecifier::Rds(Rds { config_source: ads(), route_config_name: name.to_owned() })
}

/// A filter chain with an HTTP connection manager.
pub(super) fn chain(
    settings: &Settings,
    prefix: &str,
    routes: RouteSpecifier,
    side: Side,
    upgrades: &[&str],
) -> FilterChain {
    let percent = |value| Some(Percent { value });
    let manager = HttpConnectionManager {
        stat_prefix: prefix.to_owned(),
        route_specifier: Some(routes),
        http_filters: vec![
            filter("envoy.filters.http.fault", pack_any(HttpFault::default())),
            filter("envoy.filters.http.cors", pack_any(Cors::default())),
            filter("envoy.filters.http.router", pack_any(Router::default())),
        ],
        use_remote_address: flag(side == Side::Gateway),
        normalize_path: flag(true),
        generate_request_id: flag(true),
        server_name: "istio-envoy".to_owned(),
        tracing: Some(Tracing {
            client_sampling: percent(100.0),
            random_sampling: percent(settings.trace_sampling),
            overall_sampling: percent(100.0),
            ..Default::default()
        }),
        access_log: access_log(settings),
        upgrade_configs: upgrades
            .iter()
            .map(|kind| UpgradeConfig { upgrade_type: (*kind).to_owned(), ..Default::default() })
            .collect(),
        ..Default::default()
    };
    with_filter("envoy.filters.network.http_connection_manager", pack_any(manager))
}

/// A filter chain that carries bytes to a cluster.
pub(super) fn tcp_chain(settings: &Settings, prefix: &str, cluster: ClusterSpecifier) -> FilterChain {
    let proxy = TcpProxy {
        stat_prefix: prefix.to_owned(),
        cluster_specifier: Some(cluster),
        access_log: access_log(settings),
        ..Default::default()
    };
    with_filter("envoy.filters.network.tcp_proxy", pack_any(proxy))
}

fn with_filter(name: &str, config: Any) -> FilterChain {
    let filter = Filter { name: name.to_owned(), config_type: Some(ConfigType::TypedConfig(config)) };
    FilterChain { filters: vec![filter], ..Default::default() }
}

fn filter(name: &str, config: Any) -> HttpFilter {
    HttpFilter { name: name.to_owned(), config_type: Some(HttpConfig::TypedConfig(config)), ..Default::default() }
}

/// Looks for TLS and for HTTP before a chain is chosen.
pub(super) fn inspectors() -> Vec<ListenerFilter> {
    vec![tls_inspector(), listener_filter("envoy.filters.listener.http_inspector", pack_any(HttpInspector::default()))]
}

/// Looks for TLS and the server name that it asks for.
pub(super) fn tls_inspector() -> ListenerFilter {
    listener_filter("envoy.filters.listener.tls_inspector", pack_any(TlsInspector::default()))
}

/// Asks the kernel where a redirected connection was going, and keeps the connection on this listener.
pub(super) fn original_dst() -> ListenerFilter {
    listener_filter("envoy.filters.listener.original_dst", pack_any(OriginalDst::default()))
}

pub(super) fn listener_filter(name: &str, config: Any) -> ListenerFilter {
    ListenerFilter {
        name: name.to_owned(),
        config_type: Some(ListenerConfig::TypedConfig(config)),
        ..Default::default()
    }
}

fn access_log(settings: &Settings) -> Vec<AccessLog> {
    let Some(format) = settings.access_log else { return Vec::new() };
    let json = |keys: &[(&str, &str)]| fields(keys.iter().map(|(key, operator)| (*key, text(operator))).collect());
    let access_log_format = match format {
        AccessLogFormat::Text => None,
        AccessLogFormat::Json => Some(FileFormat::LogFormat(SubstitutionFormatString {
            format: Some(Format::JsonFormat(json(&[
                ("start_time", "%START_TIME%"),
                ("method", "%REQ(:METHOD)%"),
                ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
                ("response_code", "%RESPONSE_CODE%"),
                ("response_flags", "%RESPONSE_FLAGS%"),
                ("duration", "%DURATION%"),
                ("upstream_cluster", "%UPSTREAM_CLUSTER_RAW%"),
            ]))),
            ..Default::default()
        })),
    };
    let file = FileAccessLog { path: "/dev/stdout".to_owned(), access_log_format };
    vec![AccessLog {
        name: "envoy.access_loggers.file".to_owned(),
        config_type: Some(LogConfig::TypedConfig(pack_any(file))),
        ..Default::default()
    }]
}
