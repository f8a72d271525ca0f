//! Clusters.

use std::collections::HashMap;
use std::mem::take;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3 as pb;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, DiscoveryType, LbConfig, LbPolicy};
use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::UpstreamProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::protobuf::value::Kind;
use orrery_core::cluster::{
    Balancing, CircuitBreakers, Cluster, Discovery, Endpoints, OutlierDetection, ServiceIdentity, TransportMatch,
    UpstreamProtocol,
};

use super::plain::{duration, labels, number, origin, port};
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
    let balancing = balancing(&mut cluster)?;
    let common = cluster.common_lb_config.take();
    let panic = common.and_then(|common| common.healthy_panic_threshold).map_or(50.0, |percent| percent.value);
    let mut transports = take(&mut cluster.transport_socket_matches)
        .into_iter()
        .map(transport_match)
        .collect::<Result<Vec<_>>>()
        .within("transport_socket_matches")?;
    if let Some(socket) = cluster.transport_socket.take() {
        // The cluster's own transport is for endpoints that no match takes.
        let transport = tls::upstream(Some(socket)).within("transport_socket")?;
        transports.push(TransportMatch { name: "default".into(), labels: Vec::new(), transport });
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
            .map(|config| outlier(config, panic))
            .transpose()
            .within("outlier_detection")?,
        protocol: http.protocol,
        transports,
        endpoints: Arc::new(endpoints),
        idle_timeout: http.idle_timeout,
        max_requests_per_connection: cluster
            .max_requests_per_connection
            .take()
            .map(|max| max.value)
            .or(http.max_requests),
        tcp_keepalive: keepalive
            .and_then(|keepalive| keepalive.keepalive_time)
            .map(|time| Duration::from_secs(time.value.into())),
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
        Ok(DiscoveryType::OriginalDst) => Discovery::OriginalDst { port: original_port(cluster)? },
        Err(_) => return refuse("type", "it is none"),
    };
    Ok((discovery, endpoints))
}

/// The port that connections to their original destination go to instead of the original one.
fn original_port(cluster: &mut pb::Cluster) -> Result<Option<u16>> {
    let Some(LbConfig::OriginalDstLbConfig(mut config)) = cluster.lb_config.take() else { return Ok(None) };
    let instead = config.upstream_port_override.take();
    nothing_left(&config).within("original_dst_lb_config")?;
    instead.map(|number| port(number.value)).transpose()
}

/// The address that connections come from; a port of zero leaves the choice to the kernel, and no other is sensible.
fn source(cluster: &mut pb::Cluster) -> Result<Option<IpAddr>> {
    let Some(mut bind) = cluster.upstream_bind_config.take() else { return Ok(None) };
    let Some(mut from) = bind.source_address.take() else { return refuse("source_address", "it is missing") };
    let (text, specified) = (take(&mut from.address), from.port_specifier.take());
    nothing_left(&bind)?;
    match (text.parse(), specified) {
        (Ok(address), None | Some(PortSpecifier::PortValue(0))) => Ok(Some(address)),
        (Ok(_), Some(_)) => refuse("source_address.port_value", "it must be 0"),
        (Err(_), _) => refuse("source_address.address", format!("{text:?} is no IP address")),
    }
}

fn balancing(cluster: &mut pb::Cluster) -> Result<Balancing> {
    let policy = LbPolicy::try_from(take(&mut cluster.lb_policy));
    let config = cluster.lb_config.take();
    Ok(match policy {
        Ok(LbPolicy::RoundRobin) => Balancing::RoundRobin,
        Ok(LbPolicy::LeastRequest) => Balancing::LeastRequest {
            choices: match config {
                Some(LbConfig::LeastRequestLbConfig(config)) => number(config.choice_count, 2),
                Some(_) | None => 2,
            },
        },
        Ok(LbPolicy::Random) => Balancing::Random,
        Ok(LbPolicy::RingHash) => Balancing::RingHash {
            minimum: match config {
                Some(LbConfig::RingHashLbConfig(config)) => config.minimum_ring_size.map_or(1024, |size| size.value),
                Some(_) | None => 1024,
            },
        },
        Ok(LbPolicy::Maglev) => Balancing::Maglev,
        Ok(LbPolicy::ClusterProvided) => Balancing::ClusterProvided,
        Ok(LbPolicy::LoadBalancingPolicyConfig) | Err(_) => {
            return refuse("lb_policy", "this proxy does not support it");
        }
    })
}

fn transport_match(mut entry: pb::cluster::TransportSocketMatch) -> Result<TransportMatch> {
    let labels = entry.r#match.take().map(|fields| labels(&fields.fields)).unwrap_or_default();
    let transport = tls::upstream(entry.transport_socket.take()).within(&entry.name)?;
    Ok(TransportMatch { name: entry.name.into(), labels, transport })
}

struct HttpOptions {
    protocol: UpstreamProtocol,
    idle_timeout: Option<Duration>,
    max_requests: Option<u32>,
}

fn http_options(mut options: HashMap<String, Any>) -> Result<HttpOptions> {
    let http = options.remove(HTTP);
    if let Some(other) = options.keys().min() {
        return refuse(other, "this proxy does not support it");
    }
    let Some(any) = http else {
        return Ok(HttpOptions { protocol: UpstreamProtocol::Http1, idle_timeout: None, max_requests: None });
    };
    let mut options: HttpProtocolOptions = unpack(&any)?;
    let protocol = match options.upstream_protocol_options.take() {
        Some(UpstreamProtocolOptions::UseDownstreamProtocolConfig(_)) => UpstreamProtocol::SameAsDownstream,
        Some(UpstreamProtocolOptions::ExplicitHttpConfig(config)) => match config.protocol_config {
            Some(ProtocolConfig::HttpProtocolOptions(_)) | None => UpstreamProtocol::Http1,
            Some(ProtocolConfig::Http2ProtocolOptions(_)) => UpstreamProtocol::Http2,
            Some(ProtocolConfig::Http3ProtocolOptions(_)) => {
                return refuse("http3_protocol_options", "HTTP/3 is not supported");
            }
        },
        Some(UpstreamProtocolOptions::AutoConfig(_)) => return refuse("auto_config", "this proxy does not support it"),
        None => UpstreamProtocol::Http1,
    };
    let mut common = options.common_http_protocol_options.take().unwrap_or_default();
    let idle_timeout = duration(common.idle_timeout.take())?.filter(|timeout| !timeout.is_zero());
    let max_requests = common.max_requests_per_connection.take().map(|max| max.value).filter(|max| *max > 0);
    nothing_left(&common).within("common_http_protocol_options")?;
    nothing_left(&options)?;
    Ok(HttpOptions { protocol, idle_timeout, max_requests })
}

/// Envoy's defaults, per limit.
fn limits(config: Option<pb::CircuitBreakers>) -> Result<CircuitBreakers> {
    let mut limits =
        CircuitBreakers { max_connections: 1024, max_pending_requests: 1024, max_requests: 1024, max_retries: 3 };
    for mut threshold in config.map(|config| config.thresholds).unwrap_or_default() {
        if threshold.priority != 0 {
            // High priority is not a thing of Istio's configuration.
            continue;
        }
        limits.max_connections = number(threshold.max_connections.take(), limits.max_connections);
        limits.max_pending_requests = number(threshold.max_pending_requests.take(), limits.max_pending_requests);
        limits.max_requests = number(threshold.max_requests.take(), limits.max_requests);
        limits.max_retries = number(threshold.max_retries.take(), limits.max_retries);
        threshold.track_remaining = false;
        nothing_left(&threshold)?;
    }
    Ok(limits)
}

fn outlier(mut config: pb::OutlierDetection, panic: f64) -> Result<OutlierDetection> {
    let enforced = |enforcing: Option<_>, default: u32| number(enforcing, default) > 0;
    let five_xx = enforced(config.enforcing_consecutive_5xx.take(), 100);
    let gateway = enforced(config.enforcing_consecutive_gateway_failure.take(), 0);
    let base_ejection_time = duration(config.base_ejection_time.take())?.unwrap_or(Duration::from_secs(30));
    // Success-rate ejection is a method of its own that nobody can ask for through Istio's configuration; left at its
    // defaults it needs 5 hosts with 100 requests each, and Istio switches it off.
    config.enforcing_success_rate = None;
    config.enforcing_local_origin_success_rate = None;
    config.enforcing_failure_percentage = None;
    let split = take(&mut config.split_external_local_origin_errors);
    let local = number(config.consecutive_local_origin_failure.take(), 5);
    config.enforcing_consecutive_local_origin_failure = None;
    let decoded = OutlierDetection {
        consecutive_5xx: if five_xx {
            number(config.consecutive_5xx.take(), 5)
        } else {
            config.consecutive_5xx.take().map_or(0, |_| 0)
        },
        consecutive_gateway_failure: if gateway {
            number(config.consecutive_gateway_failure.take(), 5)
        } else {
            config.consecutive_gateway_failure.take().map_or(0, |_| 0)
        },
        consecutive_local_origin_failure: if split { local } else { 0 },
        split_external_local_origin_errors: split,
        interval: duration(config.interval.take())?.unwrap_or(Duration::from_secs(10)),
        base_ejection_time,
        max_ejection_time: duration(config.max_ejection_time.take())?
            .unwrap_or(Duration::from_secs(300))
            .max(base_ejection_time),
        max_ejection_percent: number(config.max_ejection_percent.take(), 10),
        healthy_panic_percent: percent(panic),
    };
    nothing_left(&config)?;
    Ok(decoded)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn percent(value: f64) -> u32 {
    // Clamped first, so that the conversion keeps the value.
    value.clamp(0.0, 100.0) as u32
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
