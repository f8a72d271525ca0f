//! Clusters.

mod balance;

use std::collections::HashMap;
use std::mem::take;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3 as pb;
use envoy_types::pb::envoy::config::cluster::v3::circuit_breakers::thresholds::RetryBudget as RetryBudgetMessage;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, DiscoveryType};
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{Http2ProtocolOptions, Metadata, TcpKeepalive as TcpKeepaliveMessage};
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::UpstreamProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Any, UInt32Value};
use orrery_core::cluster::{
    CircuitBreakers, Cluster, Discovery, Endpoints, RetryBudget, ServiceIdentity, TcpKeepalive, TransportMatch,
    UpstreamProtocol,
};

use super::plain::{duration, labels, number, origin};
use super::{Result, Within, endpoint, nothing_left, refuse, tls, unpack};

/// Key of the HTTP options in `typed_extension_protocol_options`.
const HTTP: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
/// Envoy's connect timeout.
const CONNECT: Duration = Duration::from_secs(5);

pub(crate) fn cluster(mut cluster: pb::Cluster) -> Result<Cluster> {
    let name = take(&mut cluster.name);
    let (discovery, endpoints) = discovery(&mut cluster, &name)?;
    let http =
        http_options(take(&mut cluster.typed_extension_protocol_options)).within("typed_extension_protocol_options")?;
    let (balancing, slow_start) = balance::policy(&mut cluster)?;
    let common = balance::common(cluster.common_lb_config.take()).within("common_lb_config")?;
    let mut transports = take(&mut cluster.transport_socket_matches)
        .into_iter()
        .map(transport_match)
        .collect::<Result<Vec<_>>>()
        .within("transport_socket_matches")?;
    if let Some(socket) = cluster.transport_socket.take() {
        // The cluster's own transport is for endpoints that no match takes.
        let (transport, proxy_protocol) = tls::upstream(Some(socket)).within("transport_socket")?;
        transports.push(TransportMatch { name: "default".into(), labels: Vec::new(), transport, proxy_protocol });
    }
    let metadata = cluster.metadata.take();
    let keepalive = cluster.upstream_connection_options.take().and_then(|options| options.tcp_keepalive);
    let decoded = Cluster {
        service: service(metadata.as_ref()),
        origin: origin(metadata.as_ref()),
        discovery,
        balancing,
        connect_timeout: duration(cluster.connect_timeout.take())?.unwrap_or(CONNECT),
        limits: limits(cluster.circuit_breakers.take()).within("circuit_breakers")?,
        outlier: cluster
            .outlier_detection
            .take()
            .map(|config| balance::outlier(config, common.panic))
            .transpose()
            .within("outlier_detection")?,
        locality_weighted: common.locality_weighted,
        slow_start,
        protocol: http.protocol,
        transports,
        endpoints: Arc::new(endpoints),
        idle_timeout: http.idle_timeout,
        max_requests_per_connection: cluster
            .max_requests_per_connection
            .take()
            .map(|max| max.value)
            .or(http.max_requests),
        max_connection_duration: http.max_connection_duration,
        max_concurrent_streams: http.max_concurrent_streams,
        tcp_keepalive: keepalive.map(tcp_keepalive),
        source: source(&mut cluster).within("upstream_bind_config")?,
        name: name.into(),
    };
    ignore_harmless(&mut cluster);
    nothing_left(&cluster)?;
    Ok(decoded)
}

/// Names of statistics, pacing of DNS, and limits of buffers that this proxy does not keep: no request is treated
/// otherwise because of them.
fn ignore_harmless(cluster: &mut pb::Cluster) {
    cluster.alt_stat_name.clear();
    cluster.per_connection_buffer_limit_bytes = None;
    cluster.dns_refresh_rate = None;
    cluster.dns_failure_refresh_rate = None;
    cluster.respect_dns_ttl = false;
    cluster.dns_lookup_family = 0;
    cluster.dns_jitter = None;
    cluster.cleanup_interval = None;
    cluster.filters.retain(|filter| filter.name != "istio.metadata_exchange");
}

fn discovery(cluster: &mut pb::Cluster, name: &str) -> Result<(Discovery, Endpoints)> {
    let kind = match cluster.cluster_discovery_type.take() {
        Some(ClusterDiscoveryType::Type(kind)) => DiscoveryType::try_from(kind),
        Some(ClusterDiscoveryType::ClusterType(_)) => {
            return refuse("cluster_type", "custom clusters are not supported");
        }
        None => Ok(DiscoveryType::Static),
    };
    let endpoints = match cluster.load_assignment.take() {
        Some(assignment) => endpoint::assignment(assignment).within("load_assignment")?.1,
        None => Endpoints::default(),
    };
    let eds = cluster.eds_cluster_config.take();
    let discovery = match kind {
        Ok(DiscoveryType::Static) => Discovery::Static,
        Ok(DiscoveryType::StrictDns) => Discovery::StrictDns,
        Ok(DiscoveryType::LogicalDns) => Discovery::LogicalDns,
        Ok(DiscoveryType::Eds) => {
            let asked = eds.map(|eds| eds.service_name).filter(|asked| !asked.is_empty());
            Discovery::Eds(asked.unwrap_or_else(|| name.to_owned()).into())
        }
        Ok(DiscoveryType::OriginalDst) => Discovery::OriginalDst,
        Err(_) => return refuse("type", "it is none"),
    };
    Ok((discovery, endpoints))
}

/// The address that connections come from; a port of zero leaves the choice to the kernel, and no other is sensible.
fn source(cluster: &mut pb::Cluster) -> Result<Option<IpAddr>> {
    let Some(mut bind) = cluster.upstream_bind_config.take() else { return Ok(None) };
    let Some(mut from) = bind.source_address.take() else { return refuse("source_address", "it is missing") };
    let (text, port) = (take(&mut from.address), from.port_specifier.take());
    nothing_left(&bind)?;
    match (text.parse(), port) {
        (Ok(address), None | Some(PortSpecifier::PortValue(0))) => Ok(Some(address)),
        (Ok(_), Some(_)) => refuse("source_address.port_value", "it must be 0"),
        (Err(_), _) => refuse("source_address.address", format!("{text:?} is no IP address")),
    }
}

fn tcp_keepalive(message: TcpKeepaliveMessage) -> TcpKeepalive {
    let seconds = |value: Option<UInt32Value>| value.map(|value| Duration::from_secs(value.value.into()));
    TcpKeepalive {
        time: seconds(message.keepalive_time),
        interval: seconds(message.keepalive_interval),
        probes: message.keepalive_probes.map(|value| value.value),
    }
}

fn transport_match(mut entry: pb::cluster::TransportSocketMatch) -> Result<TransportMatch> {
    let labels = entry.r#match.take().map(|fields| labels(&fields.fields)).unwrap_or_default();
    let (transport, proxy_protocol) = tls::upstream(entry.transport_socket.take()).within(&entry.name)?;
    Ok(TransportMatch { name: entry.name.into(), labels, transport, proxy_protocol })
}

#[derive(Default)]
struct HttpOptions {
    protocol: UpstreamProtocol,
    idle_timeout: Option<Duration>,
    max_requests: Option<u32>,
    max_connection_duration: Option<Duration>,
    max_concurrent_streams: Option<u32>,
}

fn http_options(mut options: HashMap<String, Any>) -> Result<HttpOptions> {
    let http = options.remove(HTTP);
    if let Some(other) = options.keys().min() {
        return refuse(other, "this proxy does not support it");
    }
    let Some(any) = http else { return Ok(HttpOptions::default()) };
    let mut options: HttpProtocolOptions = unpack(&any)?;
    let streams = |h2: Option<Http2ProtocolOptions>| h2.and_then(|h2| h2.max_concurrent_streams).map(|max| max.value);
    let (protocol, max_concurrent_streams) = match options.upstream_protocol_options.take() {
        Some(UpstreamProtocolOptions::UseDownstreamProtocolConfig(config)) => {
            (UpstreamProtocol::SameAsDownstream, streams(config.http2_protocol_options))
        }
        Some(UpstreamProtocolOptions::ExplicitHttpConfig(config)) => match config.protocol_config {
            Some(ProtocolConfig::HttpProtocolOptions(_)) | None => (UpstreamProtocol::Http1, None),
            Some(ProtocolConfig::Http2ProtocolOptions(h2)) => (UpstreamProtocol::Http2, streams(Some(h2))),
            Some(ProtocolConfig::Http3ProtocolOptions(_)) => {
                return refuse("http3_protocol_options", "HTTP/3 is not supported");
            }
        },
        Some(UpstreamProtocolOptions::AutoConfig(_)) => return refuse("auto_config", "this proxy does not support it"),
        None => (UpstreamProtocol::Http1, None),
    };
    let mut common = options.common_http_protocol_options.take().unwrap_or_default();
    let decoded = HttpOptions {
        protocol,
        idle_timeout: duration(common.idle_timeout.take())?.filter(|timeout| !timeout.is_zero()),
        max_requests: common.max_requests_per_connection.take().map(|max| max.value).filter(|max| *max > 0),
        max_connection_duration: duration(common.max_connection_duration.take())?.filter(|limit| !limit.is_zero()),
        max_concurrent_streams,
    };
    nothing_left(&common).within("common_http_protocol_options")?;
    nothing_left(&options)?;
    Ok(decoded)
}

/// Envoy's defaults, per limit.
fn limits(config: Option<pb::CircuitBreakers>) -> Result<CircuitBreakers> {
    let mut limits = CircuitBreakers {
        max_connections: 1024,
        max_pending_requests: 1024,
        max_requests: 1024,
        max_retries: 3,
        retry_budget: None,
    };
    for mut threshold in config.map(|config| config.thresholds).unwrap_or_default() {
        if threshold.priority != 0 {
            // High priority is not a thing of Istio's configuration.
            continue;
        }
        limits.max_connections = number(threshold.max_connections.take(), limits.max_connections);
        limits.max_pending_requests = number(threshold.max_pending_requests.take(), limits.max_pending_requests);
        limits.max_requests = number(threshold.max_requests.take(), limits.max_requests);
        limits.max_retries = number(threshold.max_retries.take(), limits.max_retries);
        limits.retry_budget = threshold.retry_budget.take().map(retry_budget).transpose().within("retry_budget")?;
        threshold.track_remaining = false;
        nothing_left(&threshold)?;
    }
    Ok(limits)
}

/// Envoy's defaults: a fifth of the requests, and three.
fn retry_budget(mut message: RetryBudgetMessage) -> Result<RetryBudget> {
    let percent = message.budget_percent.take().map_or(20.0, |percent| percent.value);
    let budget = RetryBudget {
        // Clamped first, so that the conversion keeps the value.
        share: (percent.clamp(0.0, 100.0) * 100.0) as u32,
        min_concurrency: number(message.min_retry_concurrency.take(), 3),
    };
    nothing_left(&message)?;
    Ok(budget)
}

/// The first of `filter_metadata.istio.services`.
fn service(metadata: Option<&Metadata>) -> Option<ServiceIdentity> {
    let Kind::ListValue(services) = metadata?.filter_metadata.get("istio")?.fields.get("services")?.kind.as_ref()?
    else {
        return None;
    };
    let Kind::StructValue(first) = services.values.first()?.kind.as_ref()? else { return None };
    let text = |key: &str| match first.fields.get(key)?.kind.as_ref()? {
        Kind::StringValue(text) => Some(Arc::from(text.as_str())),
        _ => None,
    };
    Some(ServiceIdentity { host: text("host")?, name: text("name")?, namespace: text("namespace")? })
}
