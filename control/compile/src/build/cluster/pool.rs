//! Limits of connections and requests, and the HTTP that is spoken.

use std::collections::HashMap;
use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3::circuit_breakers::Thresholds;
use envoy_types::pb::envoy::config::cluster::v3::circuit_breakers::thresholds::RetryBudget as BudgetMessage;
use envoy_types::pb::envoy::config::cluster::v3::{CircuitBreakers, UpstreamConnectionOptions};
use envoy_types::pb::envoy::config::core::v3::{
    Http1ProtocolOptions, Http2ProtocolOptions, HttpProtocolOptions as CommonHttp, KeepaliveSettings,
    TcpKeepalive as KeepaliveMessage,
};
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions, UseDownstreamHttpConfig,
};
use envoy_types::pb::envoy::r#type::v3::Percent;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;
use orrery_api::{ConnectionPool, H2Upgrade, Keepalive, RetryBudget, TcpKeepalive};

use crate::build::value::{duration, number};
use crate::registry::PortProtocol;
use crate::settings::UpstreamDefaults;

const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
/// Envoy has low limits of its own; Istio lifts them, and so do we unless a rule sets them.
const NO_LIMIT: u32 = u32::MAX;

pub(super) fn breakers(pool: Option<&ConnectionPool>, budget: Option<&RetryBudget>) -> Option<CircuitBreakers> {
    let limit = |pick: fn(&ConnectionPool) -> Option<u32>| number(pool.and_then(pick).unwrap_or(NO_LIMIT));
    let thresholds = Thresholds {
        max_connections: limit(|pool| pool.max_connections),
        max_pending_requests: limit(|pool| pool.max_pending_requests),
        max_requests: limit(|pool| pool.max_requests),
        max_retries: limit(|pool| pool.max_retries),
        retry_budget: budget.map(|budget| BudgetMessage {
            budget_percent: Some(Percent { value: budget.percent }),
            budget_interval: budget.interval.and_then(duration),
            min_retry_concurrency: number(budget.min_concurrency),
        }),
        track_remaining: true,
        ..Default::default()
    };
    Some(CircuitBreakers { thresholds: vec![thresholds], ..Default::default() })
}

pub(super) fn keepalive(keepalive: TcpKeepalive) -> UpstreamConnectionOptions {
    let seconds = |time: Duration| number(u32::try_from(time.as_secs().max(1)).unwrap_or(u32::MAX));
    UpstreamConnectionOptions {
        tcp_keepalive: Some(KeepaliveMessage {
            keepalive_time: keepalive.time.and_then(seconds),
            keepalive_probes: keepalive.probes.and_then(number),
            keepalive_interval: keepalive.interval.and_then(seconds),
        }),
        ..Default::default()
    }
}

/// What is spoken with endpoints; nothing for what is no HTTP.
pub(super) fn http_options(
    protocol: PortProtocol,
    pool: Option<&ConnectionPool>,
    defaults: &UpstreamDefaults,
) -> HashMap<String, Any> {
    let Some(spoken) = spoken(protocol, pool, defaults) else { return HashMap::new() };
    let h2 = Http2ProtocolOptions {
        max_concurrent_streams: pool.and_then(|pool| pool.max_concurrent_streams).and_then(number),
        connection_keepalive: pool.and_then(|pool| pool.http2_keepalive).map(pings),
        ..Default::default()
    };
    let protocol = match spoken {
        Spoken::Http2 => {
            let protocol_config = Some(ProtocolConfig::Http2ProtocolOptions(h2));
            UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig { protocol_config })
        }
        Spoken::AsClient => UpstreamProtocolOptions::UseDownstreamProtocolConfig(UseDownstreamHttpConfig {
            http_protocol_options: Some(Http1ProtocolOptions::default()),
            http2_protocol_options: Some(h2),
            ..Default::default()
        }),
    };
    let common = pool.map(|pool| CommonHttp {
        idle_timeout: pool.http_idle_timeout.or(pool.tcp_idle_timeout).and_then(duration),
        max_requests_per_connection: pool.max_requests_per_connection.and_then(number),
        max_connection_duration: pool.max_connection_duration.and_then(duration),
        ..Default::default()
    });
    let options = HttpProtocolOptions {
        common_http_protocol_options: common,
        upstream_protocol_options: Some(protocol),
        ..Default::default()
    };
    HashMap::from([(HTTP_OPTIONS.to_owned(), pack_any(options))])
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Http2,
    /// The version that the client speaks.
    AsClient,
}

fn spoken(protocol: PortProtocol, pool: Option<&ConnectionPool>, defaults: &UpstreamDefaults) -> Option<Spoken> {
    if pool.is_some_and(|pool| pool.use_client_protocol) && protocol.is_http() {
        return Some(Spoken::AsClient);
    }
    // A rule's word holds also where nobody named the protocol; the mesh's only for HTTP that was named so.
    let upgrade = match (pool.map_or(H2Upgrade::Default, |pool| pool.h2_upgrade), protocol) {
        (H2Upgrade::Yes, _) => true,
        (H2Upgrade::Default, PortProtocol::Http) => defaults.h2_upgrade,
        (H2Upgrade::No | H2Upgrade::Default, _) => false,
    };
    match protocol {
        PortProtocol::Tcp | PortProtocol::Tls | PortProtocol::Udp => None,
        PortProtocol::Http2 | PortProtocol::Grpc => Some(Spoken::Http2),
        PortProtocol::Http | PortProtocol::Auto if upgrade => Some(Spoken::Http2),
        PortProtocol::Http | PortProtocol::Auto => Some(Spoken::AsClient),
    }
}

/// Envoy needs both times, once either is given.
fn pings(keepalive: Keepalive) -> KeepaliveSettings {
    KeepaliveSettings {
        interval: keepalive.interval.and_then(duration),
        timeout: duration(keepalive.timeout.unwrap_or(Duration::from_secs(10))),
        ..Default::default()
    }
}
