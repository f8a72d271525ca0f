//! The HTTP connection manager.

use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as pb;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::{
    CodecType, RouteSpecifier, Tracing as TracingMessage, UpgradeConfig,
};
use orrery_core::listener::{Codec, ForwardedFor, HttpConnectionManager, RouteSource, Tracing, Upgrades};

use super::listener::access_log;
use super::plain::{duration, flag, limit, number};
use super::{Result, Within, nothing_left, refuse, route};

/// Envoy's limits where a message names none.
const STREAM_IDLE: Duration = Duration::from_secs(300);
const IDLE: Duration = Duration::from_secs(3600);
/// Envoy has no such limit by default; a head that takes longer is an attack.
const HEADERS: Duration = Duration::from_secs(10);
const HEADERS_KB: u32 = 60;
const STREAMS: u32 = 1024;

pub(super) fn manager(mut manager: pb::HttpConnectionManager) -> Result<HttpConnectionManager> {
    let routes = match manager.route_specifier.take() {
        Some(RouteSpecifier::Rds(rds)) => RouteSource::Rds(rds.route_config_name.into()),
        Some(RouteSpecifier::RouteConfig(config)) => {
            RouteSource::Inline(Arc::new(route::table(config).within("route_config")?))
        }
        Some(RouteSpecifier::ScopedRoutes(_)) => return refuse("scoped_routes", "this proxy does not support it"),
        None => return refuse("route_specifier", "it is missing"),
    };
    let codec = match CodecType::try_from(take(&mut manager.codec_type)) {
        Ok(CodecType::Auto) => Codec::Auto,
        Ok(CodecType::Http1) => Codec::Http1,
        Ok(CodecType::Http2) => Codec::Http2,
        Ok(CodecType::Http3) | Err(_) => return refuse("codec_type", "this proxy does not support it"),
    };
    let trusted_hops = take(&mut manager.xff_num_trusted_hops);
    let keep_request_id = take(&mut manager.preserve_external_request_id);
    let forwarded_for = match flag(manager.use_remote_address.take(), false) {
        true => ForwardedFor::UseRemoteAddress { trusted_hops, keep_request_id },
        false => ForwardedFor::Trust,
    };
    let Filters { fault: fault_filter, cors: cors_filter } = http_filters(&mut manager)?;
    let mut common = manager.common_http_protocol_options.take().unwrap_or_default();
    let idle_timeout = limit(common.idle_timeout.take(), Some(IDLE))?;
    common.headers_with_underscores_action = 0;
    nothing_left(&common).within("common_http_protocol_options")?;
    let h1 = manager.http_protocol_options.take().unwrap_or_default();
    let h2 = manager.http2_protocol_options.take().unwrap_or_default();
    let server_name = take(&mut manager.server_name);
    let decoded = HttpConnectionManager {
        stat_prefix: take(&mut manager.stat_prefix).into(),
        routes,
        codec,
        forwarded_for,
        generate_request_id: flag(manager.generate_request_id.take(), true),
        normalize_path: flag(manager.normalize_path.take(), false),
        merge_slashes: take(&mut manager.merge_slashes),
        server_name: Some(if server_name.is_empty() { "envoy".into() } else { server_name.into() }),
        tracing: manager.tracing.take().map(|message| tracing(&message)),
        access_log: access_log(take(&mut manager.access_log))?,
        upgrades: upgrades(take(&mut manager.upgrade_configs))?,
        stream_idle_timeout: limit(manager.stream_idle_timeout.take(), Some(STREAM_IDLE))?,
        idle_timeout,
        request_headers_timeout: limit(manager.request_headers_timeout.take(), Some(HEADERS))?,
        max_request_headers_kb: number(manager.max_request_headers_kb.take(), HEADERS_KB),
        max_concurrent_streams: number(h2.max_concurrent_streams, STREAMS),
        accept_http_10: h1.accept_http_10,
        fault_filter,
        cors_filter,
    };
    ignore_harmless(&mut manager)?;
    nothing_left(&manager)?;
    Ok(decoded)
}

/// Filters whose presence matters.
#[derive(Clone, Copy, Debug, Default)]
struct Filters {
    fault: bool,
    cors: bool,
}

/// Which filters are there. The router must be last; statistics, metadata exchange and ALPN filters of Istio
/// ask for what is built in.
fn http_filters(manager: &mut pb::HttpConnectionManager) -> Result<Filters> {
    let filters = take(&mut manager.http_filters);
    if filters.last().is_none_or(|last| last.name != "envoy.filters.http.router") {
        return refuse("http_filters", "the router must be the last filter");
    }
    let mut found = Filters::default();
    for filter in filters {
        match filter.name.as_str() {
            "envoy.filters.http.fault" => found.fault = true,
            "envoy.filters.http.cors" => found.cors = true,
            "envoy.filters.http.router"
            | "envoy.filters.http.grpc_stats"
            | "istio.metadata_exchange"
            | "istio.stats"
            | "istio.alpn" => {}
            other if filter.is_optional || filter.disabled => {
                tracing::debug!(filter = other, "an optional filter is not supported")
            }
            other => return refuse("http_filters", format!("{other} is not supported")),
        }
    }
    Ok(found)
}

fn tracing(message: &TracingMessage) -> Tracing {
    let percent =
        |percent: &Option<envoy_types::pb::envoy::r#type::v3::Percent>| percent.as_ref().map_or(100.0, |p| p.value);
    let overall = percent(&message.overall_sampling);
    Tracing {
        random_sampling: percent(&message.random_sampling).min(overall),
        client_sampling: percent(&message.client_sampling).min(overall),
    }
}

fn upgrades(configs: Vec<UpgradeConfig>) -> Result<Upgrades> {
    let mut upgrades = Upgrades::default();
    for config in configs.into_iter().filter(|config| flag(config.enabled, true)) {
        match config.upgrade_type.to_ascii_lowercase().as_str() {
            "websocket" => upgrades.websocket = true,
            "connect" => upgrades.connect = true,
            other => return refuse("upgrade_configs", format!("{other} is not supported")),
        }
    }
    Ok(upgrades)
}

/// What changes no request here: client certificate headers are always sanitised, requests are always held to the
/// strictest reading of HTTP, and draining is the process's.
fn ignore_harmless(manager: &mut pb::HttpConnectionManager) -> Result<()> {
    manager.forward_client_cert_details = 0;
    manager.set_current_client_cert_details = None;
    manager.server_header_transformation = 0;
    manager.path_with_escaped_slashes_action = 0;
    manager.stream_error_on_invalid_http_message = None;
    manager.always_set_request_id_in_response = false;
    manager.request_id_extension = None;
    manager.proxy_100_continue = false;
    duration(manager.drain_timeout.take())?;
    duration(manager.delayed_close_timeout.take())?;
    manager.access_log_options = None;
    Ok(())
}
