//! HTTP connection managers and the listeners around them.

use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
use envoy_types::pb::envoy::config::listener::v3::listener_filter::ConfigType as ListenerConfig;
use envoy_types::pb::envoy::config::listener::v3::{Filter, FilterChain, ListenerFilter};
use envoy_types::pb::envoy::extensions::filters::http::cors::v3::Cors;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::HttpFault;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::listener::http_inspector::v3::HttpInspector;
use envoy_types::pb::envoy::extensions::filters::listener::original_dst::v3::OriginalDst;
use envoy_types::pb::envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::{
    PathWithEscapedSlashesAction, RouteSpecifier, UpgradeConfig,
};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType as HttpConfig;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, Rds,
};
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::ClusterSpecifier;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;
use orrery_api::PathNormalization;

use super::stats;
use super::value::{ads, flag};
use crate::telemetry::Reporting;
use crate::world::World;

/// For which proxy, and what it reports.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) world: &'a World,
    pub(super) reporting: &'a Reporting,
}

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
    context: Context<'_>,
    prefix: &str,
    routes: RouteSpecifier,
    side: Side,
    upgrades: &[&str],
) -> FilterChain {
    let settings = context.world.settings();
    let manager = HttpConnectionManager {
        stat_prefix: prefix.to_owned(),
        route_specifier: Some(routes),
        http_filters: vec![
            filter("envoy.filters.http.fault", pack_any(HttpFault::default())),
            filter("envoy.filters.http.cors", pack_any(Cors::default())),
            filter("envoy.filters.http.router", pack_any(Router::default())),
        ],
        use_remote_address: flag(side == Side::Gateway),
        normalize_path: flag(settings.path_normalization != PathNormalization::None),
        merge_slashes: matches!(
            settings.path_normalization,
            PathNormalization::MergeSlashes | PathNormalization::DecodeAndMergeSlashes
        ),
        path_with_escaped_slashes_action: match settings.path_normalization {
            PathNormalization::DecodeAndMergeSlashes => PathWithEscapedSlashesAction::UnescapeAndForward.into(),
            PathNormalization::None | PathNormalization::Base | PathNormalization::MergeSlashes => {
                PathWithEscapedSlashesAction::KeepUnchanged.into()
            }
        },
        generate_request_id: flag(true),
        server_name: "istio-envoy".to_owned(),
        tracing: context.reporting.tracing(context.world),
        access_log: context.reporting.access_logs(context.world),
        upgrade_configs: upgrades
            .iter()
            .map(|kind| UpgradeConfig { upgrade_type: (*kind).to_owned(), ..Default::default() })
            .collect(),
        ..Default::default()
    };
    with_filter(context, "envoy.filters.network.http_connection_manager", pack_any(manager))
}

/// A filter chain that carries bytes to a cluster.
pub(super) fn tcp_chain(context: Context<'_>, prefix: &str, cluster: ClusterSpecifier) -> FilterChain {
    let proxy = TcpProxy {
        stat_prefix: prefix.to_owned(),
        cluster_specifier: Some(cluster),
        access_log: context.reporting.access_logs(context.world),
        ..Default::default()
    };
    with_filter(context, "envoy.filters.network.tcp_proxy", pack_any(proxy))
}

fn with_filter(context: Context<'_>, name: &str, config: Any) -> FilterChain {
    let filter = Filter { name: name.to_owned(), config_type: Some(ConfigType::TypedConfig(config)) };
    FilterChain { filters: vec![filter], metadata: stats::metadata(&context.reporting.metrics), ..Default::default() }
}

fn filter(name: &str, config: Any) -> HttpFilter {
    HttpFilter { name: name.to_owned(), config_type: Some(HttpConfig::TypedConfig(config)), ..Default::default() }
}

/// Looks for TLS and for HTTP before a chain is chosen.
pub(super) fn inspectors() -> Vec<ListenerFilter> {
    vec![
        listener_filter("envoy.filters.listener.tls_inspector", pack_any(TlsInspector::default())),
        listener_filter("envoy.filters.listener.http_inspector", pack_any(HttpInspector::default())),
    ]
}

/// Asks the kernel where a redirected connection was going, and keeps the connection on this listener.
pub(super) fn original_dst() -> ListenerFilter {
    listener_filter("envoy.filters.listener.original_dst", pack_any(OriginalDst::default()))
}

fn listener_filter(name: &str, config: Any) -> ListenerFilter {
    ListenerFilter {
        name: name.to_owned(),
        config_type: Some(ListenerConfig::TypedConfig(config)),
        ..Default::default()
    }
}
