//! Clusters: named sets of endpoints, and how to reach them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::names::{ClusterName, SecretName};

/// One upstream cluster with its endpoints (Envoy `Cluster` and `ClusterLoadAssignment`, already joined).
#[derive(Clone, Debug)]
pub struct Cluster {
    pub name: ClusterName,
    pub discovery: Discovery,
    pub balancing: Balancing,
    pub connect_timeout: Duration,
    pub limits: CircuitBreakers,
    pub outlier: Option<OutlierDetection>,
    pub protocol: UpstreamProtocol,
    /// The first whose labels the endpoint has; none: plain text.
    pub transports: Vec<TransportMatch>,
    /// First of `filter_metadata.istio.services`: the labels `destination_service*`.
    pub service: Option<ServiceIdentity>,
    /// The DestinationRule that shaped it (`filter_metadata.istio.config`), for explanations.
    pub origin: Option<Arc<str>>,
    /// Empty until the first assignment arrives.
    pub endpoints: Arc<Endpoints>,
    /// Idle pooled connections are closed after this.
    pub idle_timeout: Option<Duration>,
    pub max_requests_per_connection: Option<u32>,
    /// Pooled connections that are older take no more requests.
    pub max_connection_duration: Option<Duration>,
    /// Requests at the same time on one HTTP/2 connection.
    pub max_concurrent_streams: Option<u32>,
    pub tcp_keepalive: Option<TcpKeepalive>,
    /// Localities get shares by their weights.
    pub locality_weighted: bool,
    /// New endpoints get their share gradually.
    pub slow_start: Option<SlowStart>,
    /// Connections come from this address (`upstream_bind_config`); `None`: from the one that the route gives.
    pub source: Option<IpAddr>,
}

/// Where endpoints come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discovery {
    Static,
    /// The name under which EDS is asked.
    Eds(Arc<str>),
    /// Host names resolved by the proxy; kept in `Endpoint::host`.
    StrictDns,
    LogicalDns,
    /// The connection's original destination.
    OriginalDst,
}

/// How an endpoint is chosen (`lb_policy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balancing {
    LeastRequest { choices: u32 },
    RoundRobin,
    Random,
    RingHash { minimum: u64 },
    Maglev,
    ClusterProvided,
}

/// Limits of a cluster (`CircuitBreakers`, default priority). Over them: 503 with flag UO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitBreakers {
    pub max_connections: u32,
    pub max_pending_requests: u32,
    pub max_requests: u32,
    /// Without effect if there is a budget.
    pub max_retries: u32,
    pub retry_budget: Option<RetryBudget>,
}

/// How many retries may be under way, measured by the requests that are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// Of the requests under way, in hundredths of a percent.
    pub share: u32,
    /// So many are always allowed.
    pub min_concurrency: u32,
}

/// Probes of the kernel on idle connections; `None` is the system's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpKeepalive {
    pub time: Option<Duration>,
    pub interval: Option<Duration>,
    pub probes: Option<u32>,
}

/// How new endpoints get their share (`SlowStartConfig`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowStart {
    pub window: Duration,
    /// 1: linear; larger: slow at first.
    pub aggression: f64,
    /// Of the weight, at the beginning.
    pub min_weight_percent: u32,
}

impl CircuitBreakers {
    /// Retries that may be under way while so many requests are.
    pub fn retries(&self, requests: u32) -> u32 {
        let Some(budget) = self.retry_budget else { return self.max_retries };
        let allowed = u64::from(requests) * u64::from(budget.share) / 10_000;
        u32::try_from(allowed).unwrap_or(u32::MAX).max(budget.min_concurrency)
    }
}

/// When an endpoint is set aside (`OutlierDetection`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutlierDetection {
    /// 0: off.
    pub consecutive_5xx: u32,
    /// 0: off.
    pub consecutive_gateway_failure: u32,
    /// 0: off.
    pub consecutive_local_origin_failure: u32,
    pub split_external_local_origin_errors: bool,
    pub interval: Duration,
    pub base_ejection_time: Duration,
    pub max_ejection_time: Duration,
    pub max_ejection_percent: u32,
    /// Under this share of healthy endpoints, health is ignored (panic). 0: never.
    pub healthy_panic_percent: u32,
}

/// The HTTP version spoken to endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpstreamProtocol {
    #[default]
    Http1,
    Http2,
    /// As the client spoke to us.
    SameAsDownstream,
}

/// One entry of `transport_socket_matches`.
#[derive(Clone, Debug)]
pub struct TransportMatch {
    pub name: Arc<str>,
    /// All must be among the endpoint's `transport_labels`.
    pub labels: Vec<(Box<str>, Box<str>)>,
    pub transport: Transport,
    /// Each connection begins with what it was before this proxy.
    pub proxy_protocol: Option<ProxyProtocol>,
}

/// Version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyProtocol {
    V1,
    V2,
}

/// How bytes are carried to an endpoint.
#[derive(Clone, Debug)]
pub enum Transport {
    Plain,
    Tls(Arc<UpstreamTls>),
}

/// TLS to an endpoint (`UpstreamTlsContext`).
#[derive(Clone, Debug)]
pub struct UpstreamTls {
    /// Our client certificate; `None`: TLS without one.
    pub certificate: Option<SecretName>,
    /// What the server's certificate is checked against; `None`: not checked.
    pub roots: Option<SecretName>,
    /// The server must have one of these subject alternative names; empty: any (of a mesh root).
    pub subject_alt_names: Vec<SanMatch>,
    pub sni: Option<Box<str>>,
    pub alpn: Vec<Box<str>>,
    /// Mesh mutual TLS: the peer is a proxy of ours, metadata is exchanged and Istio's ALPN values are put in front.
    pub mesh: bool,
}

/// A subject alternative name that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SanMatch {
    Uri(Box<str>),
    UriPrefix(Box<str>),
    Dns(Box<str>),
}

/// The service that a cluster stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceIdentity {
    /// Fully qualified.
    pub host: Arc<str>,
    pub name: Arc<str>,
    pub namespace: Arc<str>,
}

/// All endpoints of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    pub all: Vec<Arc<Endpoint>>,
}

/// One endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub address: SocketAddr,
    /// Given by name (DNS clusters): resolved by the engine, `address` has port and unspecified ip until then.
    pub host: Option<Arc<str>>,
    pub health: Health,
    /// At least 1.
    pub weight: u32,
    /// 0 is tried first.
    pub priority: u32,
    pub locality: Locality,
    /// The share of its locality among those of the priority.
    pub locality_weight: u32,
    /// `filter_metadata["envoy.transport_socket_match"]`, strings only.
    pub transport_labels: Vec<(Box<str>, Box<str>)>,
    /// `filter_metadata.istio.workload`.
    pub workload: Option<WorkloadIdentity>,
}

/// What the control plane says of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Healthy,
    Degraded,
    Draining,
    Unhealthy,
}

/// Region, zone and sub-zone; empty when unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Locality {
    pub region: Arc<str>,
    pub zone: Arc<str>,
    pub sub_zone: Arc<str>,
}

/// Who runs at an endpoint: `workload;namespace;canonical-name;canonical-revision;cluster`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkloadIdentity {
    pub workload: Arc<str>,
    pub namespace: Arc<str>,
    pub canonical_name: Arc<str>,
    pub canonical_revision: Arc<str>,
    pub cluster: Arc<str>,
}

impl Cluster {
    /// The transport for an endpoint: the first match whose labels it has.
    pub fn transport(&self, endpoint: &Endpoint) -> &Transport {
        const PLAIN: &Transport = &Transport::Plain;
        self.transport_match(endpoint).map_or(PLAIN, |found| &found.transport)
    }

    /// What connections to an endpoint begin with.
    pub fn proxy_protocol(&self, endpoint: &Endpoint) -> Option<ProxyProtocol> {
        self.transport_match(endpoint)?.proxy_protocol
    }

    fn transport_match(&self, endpoint: &Endpoint) -> Option<&TransportMatch> {
        self.transports.iter().find(|one| one.labels.iter().all(|label| endpoint.transport_labels.contains(label)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_takes_the_place_of_the_limit_on_retries() {
        let limits = CircuitBreakers {
            max_connections: 1,
            max_pending_requests: 1,
            max_requests: 1,
            max_retries: 7,
            retry_budget: None,
        };
        assert_eq!(limits.retries(1_000), 7);
        let budget = Some(RetryBudget { share: 2_000, min_concurrency: 3 });
        let budgeted = CircuitBreakers { retry_budget: budget, ..limits };
        for (requests, expected) in [(0, 3), (15, 3), (20, 4), (1_000, 200), (u32::MAX, u32::MAX / 5)] {
            assert_eq!(budgeted.retries(requests), expected, "{requests}");
        }
    }
}
