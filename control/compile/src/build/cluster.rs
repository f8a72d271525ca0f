//! Clusters and their endpoints.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3::circuit_breakers::Thresholds;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, CommonLbConfig, DiscoveryType, EdsClusterConfig, LbPolicy, TransportSocketMatch,
};
use envoy_types::pb::envoy::config::cluster::v3::{
    CircuitBreakers, Cluster, OutlierDetection as OutlierMessage, UpstreamConnectionOptions,
};
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::config::core::v3::{
    BindConfig, Http1ProtocolOptions, Http2ProtocolOptions, HttpProtocolOptions as CommonHttp, Locality, SocketAddress,
    TcpKeepalive, TransportSocket,
};
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::endpoint::v3::{ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints};
use envoy_types::pb::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::common_tls_context::{
    CombinedCertificateValidationContext, ValidationContextType,
};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::subject_alt_name_matcher::SanType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, CommonTlsContext, SdsSecretConfig, SubjectAltNameMatcher, UpstreamTlsContext,
};
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions, UseDownstreamHttpConfig,
};
use envoy_types::pb::envoy::r#type::matcher::v3::StringMatcher;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::v3::Percent;
use envoy_types::util::pack_any;
use orrery_api::{ClientTlsMode, ConnectionPool, Key, Labels, LoadBalancer, MtlsMode, OutlierDetection, TrafficPolicy};

use super::value::{address, ads, duration, fields, file, list, metadata, number, object, text};
use crate::compile::Compiled;
use crate::policy::{HostRules, mtls_mode, rules_for};
use crate::proxy::{Audience, Interception, Proxy, Secrets};
use crate::registry::{EndpointAddress, Finding, PortProtocol, RegistryService, ServiceEndpoint, ServicePortInfo};
use crate::world::World;

const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Envoy has low limits of its own; Istio lifts them, and so do we unless a rule sets them.
const NO_LIMIT: u32 = u32::MAX;
/// What all weights of a split's endpoints add up to, about.
const WHOLE: u64 = 1_000_000;

/// Where redirected connections to ports of no service go: on, to the workload itself.
pub(super) const INBOUND_PASSTHROUGH: &str = "InboundPassthroughCluster";
/// A sidecar calls its own application from this address, by which redirection tells such calls from others (Istio's).
const FROM_PROXY: &str = "127.0.0.6";

/// `outbound|<port>|<subset>|<host>`.
pub(super) fn outbound_name(port: u16, subset: &str, host: &str) -> String {
    format!("outbound|{port}|{subset}|{host}")
}

/// A service's clusters as some proxies have them: what they depend on besides the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ClusterKey {
    host: String,
    /// The destination rules that hold.
    rules: Vec<Key>,
    secrets: Secrets,
}

impl ClusterKey {
    /// The clusters of a service as an audience has them.
    pub(crate) fn of(world: &World, audience: &Audience, service: &RegistryService) -> Self {
        let rules = rules_for(world, &service.host, &service.namespace, &audience.namespace);
        let rules = rules.map(|rules| rules.keys.into_iter().cloned().collect()).unwrap_or_default();
        Self { host: service.host.clone(), rules, secrets: audience.secrets.clone() }
    }
}

/// Clusters for all ports and subsets of a service, and their endpoints.
pub(crate) fn of_key(world: &World, key: &ClusterKey, compiled: &mut Compiled) {
    let Some(service) = world.registry().service(&key.host) else { return };
    let host_rules = HostRules::of_keys(world, &key.rules);
    for port in service.ports.iter().filter(|port| port.protocol != PortProtocol::Udp) {
        let target = Target { world, key, service, port, rules: host_rules.as_ref() };
        target.add(compiled, "", None, None);
        for subset in host_rules.iter().flat_map(|rules| &rules.subsets) {
            target.add(compiled, &subset.name, Some(&subset.labels), Some(&subset.policy));
        }
    }
}

/// A cluster for datagrams, of the endpoints of these hosts' ports; each host's endpoints together have its share.
pub(super) fn datagrams(
    world: &World,
    proxy: &Proxy,
    name: &str,
    shares: &[(String, u16, u32)],
    compiled: &mut Compiled,
) {
    let total: u64 = shares.iter().map(|(_, _, share)| u64::from(*share)).sum();
    let mut endpoints = Vec::new();
    for (host, number, share) in shares {
        let Some(service) = world.registry().service(host).filter(|service| service.is_visible_to(&proxy.namespace))
        else {
            continue;
        };
        let mut ready = Vec::new();
        for endpoint in world.registry().endpoints(service).iter().filter(|endpoint| endpoint.ready) {
            if let (EndpointAddress::Ip(ip), Some(port)) = (&endpoint.address, endpoint.ports.get(number)) {
                ready.push(address(&ip.to_string(), *port));
            }
        }
        let count = ready.len();
        let weight = endpoint_weight(*share, total, count);
        endpoints.extend(ready.into_iter().filter(|_| *share > 0).map(|to| lb_endpoint(to, None, weight)));
    }
    let group = LocalityLbEndpoints { lb_endpoints: endpoints, ..Default::default() };
    let assignment =
        ClusterLoadAssignment { cluster_name: name.to_owned(), endpoints: vec![group], ..Default::default() };
    let cluster = Cluster {
        name: name.to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into())),
        eds_cluster_config: Some(EdsClusterConfig { eds_config: ads(), service_name: name.to_owned() }),
        connect_timeout: duration(CONNECT_TIMEOUT),
        circuit_breakers: breakers(None),
        ..Default::default()
    };
    compiled.add(name, &assignment);
    compiled.add(name, &cluster);
}

/// The part of the whole that one of so many endpoints of a host gets.
fn endpoint_weight(share: u32, total: u64, endpoints: usize) -> u32 {
    let parts = total.saturating_mul(u64::try_from(endpoints).unwrap_or(u64::MAX)).max(1);
    u32::try_from(u64::from(share) * WHOLE / parts).unwrap_or(u32::MAX).max(1)
}

/// Where what nobody knows goes.
pub(super) fn special(compiled: &mut Compiled) {
    let black_hole = Cluster {
        name: "BlackHoleCluster".to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static.into())),
        connect_timeout: duration(CONNECT_TIMEOUT),
        ..Default::default()
    };
    compiled.add("BlackHoleCluster", &black_hole);
    for name in ["PassthroughCluster", INBOUND_PASSTHROUGH] {
        let passthrough = Cluster {
            name: name.to_owned(),
            cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::OriginalDst.into())),
            connect_timeout: duration(CONNECT_TIMEOUT),
            lb_policy: LbPolicy::ClusterProvided.into(),
            typed_extension_protocol_options: http_options(PortProtocol::Http, None),
            upstream_bind_config: (name == INBOUND_PASSTHROUGH).then(from_proxy),
            ..Default::default()
        };
        compiled.add(name, &passthrough);
    }
}

/// Binds connections to the sidecar's own source address.
fn from_proxy() -> BindConfig {
    let source_address = SocketAddress {
        address: FROM_PROXY.to_owned(),
        port_specifier: Some(PortSpecifier::PortValue(0)),
        ..Default::default()
    };
    BindConfig { source_address: Some(source_address), ..Default::default() }
}

/// The cluster of an inbound port: the application.
pub(super) fn inbound(proxy: &Proxy, service: &RegistryService, port: &ServicePortInfo, target: u16) -> Cluster {
    let name = format!("inbound|{}||", port.number);
    let to = proxy.app_address.unwrap_or(proxy.address);
    let endpoint = lb_endpoint(address(&to.to_string(), target), None, 1);
    let group = LocalityLbEndpoints { lb_endpoints: vec![endpoint], ..Default::default() };
    Cluster {
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static.into())),
        connect_timeout: duration(CONNECT_TIMEOUT),
        circuit_breakers: breakers(None),
        load_assignment: Some(ClusterLoadAssignment {
            cluster_name: name.clone(),
            endpoints: vec![group],
            ..Default::default()
        }),
        typed_extension_protocol_options: http_options(port.protocol, None),
        upstream_bind_config: (proxy.interception == Interception::Redirect && proxy.address.is_ipv4())
            .then(from_proxy),
        metadata: metadata(vec![("istio", fields(vec![("services", services(service))]))]),
        name,
        ..Default::default()
    }
}

struct Target<'a> {
    world: &'a World,
    key: &'a ClusterKey,
    service: &'a RegistryService,
    port: &'a ServicePortInfo,
    rules: Option<&'a HostRules<'a>>,
}

impl Target<'_> {
    fn add(&self, compiled: &mut Compiled, subset: &str, labels: Option<&Labels>, policy: Option<&TrafficPolicy>) {
        let name = outbound_name(self.port.number, subset, &self.service.host);
        let all = self.world.registry().endpoints(self.service);
        let endpoints: Vec<&ServiceEndpoint> = all
            .iter()
            .filter(|endpoint| labels.is_none_or(|labels| labels.select(&endpoint.labels)))
            .filter(|endpoint| endpoint.ready && endpoint.ports.contains_key(&self.port.number))
            .collect();
        let assignment = self.assignment(&name, &endpoints);
        let cluster = self.cluster(&name, subset, policy, &endpoints, &assignment);
        if self.service.finding == Finding::Listed {
            compiled.add(&name, &assignment);
        }
        compiled.add(&name, &cluster);
    }

    fn cluster(
        &self,
        name: &str,
        subset: &str,
        policy: Option<&TrafficPolicy>,
        endpoints: &[&ServiceEndpoint],
        assignment: &ClusterLoadAssignment,
    ) -> Cluster {
        let effective = self.effective(policy);
        let pool = effective.connection_pool.unwrap_or_default();
        let mut istio = vec![("services", services(self.service))];
        if let Some(rules) = self.rules {
            let key = &rules.object.key;
            let origin =
                format!("/apis/networking.istio.io/v1/namespaces/{}/destination-rule/{}", key.namespace, key.name);
            istio.push(("config", text(&origin)));
        }
        if !subset.is_empty() {
            istio.push(("subset", text(subset)));
        }
        let discovery = match (self.service.finding, &effective.load_balancer) {
            (Finding::OriginalDestination, _) | (_, Some(LoadBalancer::Passthrough)) => DiscoveryType::OriginalDst,
            (Finding::Listed, _) => DiscoveryType::Eds,
            (Finding::Dns, _) => DiscoveryType::StrictDns,
        };
        let eds = EdsClusterConfig { eds_config: ads(), service_name: name.to_owned() };
        Cluster {
            name: name.to_owned(),
            cluster_discovery_type: Some(ClusterDiscoveryType::Type(discovery.into())),
            eds_cluster_config: (discovery == DiscoveryType::Eds).then_some(eds),
            load_assignment: (discovery == DiscoveryType::StrictDns).then(|| assignment.clone()),
            lb_policy: if discovery == DiscoveryType::OriginalDst {
                LbPolicy::ClusterProvided.into()
            } else {
                lb_policy(effective.load_balancer.as_ref()).into()
            },
            connect_timeout: duration(pool.connect_timeout.unwrap_or(CONNECT_TIMEOUT)),
            circuit_breakers: breakers(Some(&pool)),
            outlier_detection: effective.outlier_detection.as_ref().map(outlier),
            common_lb_config: Some(CommonLbConfig {
                healthy_panic_threshold: Some(Percent {
                    value: effective.outlier_detection.and_then(|o| o.min_health_percent).unwrap_or(0).into(),
                }),
                ..Default::default()
            }),
            transport_socket_matches: self.transports(subset, effective.tls.map(|tls| tls.mode), endpoints),
            typed_extension_protocol_options: http_options(self.port.protocol, Some(&pool)),
            upstream_connection_options: pool.keepalive.map(|after| UpstreamConnectionOptions {
                tcp_keepalive: Some(TcpKeepalive {
                    keepalive_time: number(u32::try_from(after.as_secs()).unwrap_or(u32::MAX)),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            metadata: metadata(vec![("istio", fields(istio))]),
            ..Default::default()
        }
    }

    /// Subset before rule; a port's settings in place of the whole's.
    fn effective(&self, subset: Option<&TrafficPolicy>) -> TrafficPolicy {
        let at_port = |policy: &TrafficPolicy| {
            let port = policy.ports.iter().find(|one| one.port == self.port.number);
            port.map_or_else(|| policy.clone(), |port| port.policy.clone())
        };
        let whole = self.rules.map(|rules| at_port(rules.policy)).unwrap_or_default();
        let narrow = subset.map(at_port).unwrap_or_default();
        TrafficPolicy {
            load_balancer: narrow.load_balancer.or(whole.load_balancer),
            connection_pool: narrow.connection_pool.or(whole.connection_pool),
            outlier_detection: narrow.outlier_detection.or(whole.outlier_detection),
            tls: narrow.tls.or(whole.tls),
            ports: Vec::new(),
        }
    }

    /// Mutual TLS to endpoints that have a proxy (automatic mTLS), unless the rule says otherwise.
    fn transports(
        &self,
        subset: &str,
        mode: Option<ClientTlsMode>,
        endpoints: &[&ServiceEndpoint],
    ) -> Vec<TransportSocketMatch> {
        let tls = || self.mesh_tls(subset, endpoints);
        match mode {
            Some(ClientTlsMode::Disable) => Vec::new(),
            Some(ClientTlsMode::IstioMutual) => {
                vec![TransportSocketMatch {
                    name: "tlsMode-istio".into(),
                    r#match: None,
                    transport_socket: Some(tls()),
                }]
            }
            None if self.service.external => Vec::new(),
            None => vec![
                TransportSocketMatch {
                    name: "tlsMode-istio".into(),
                    r#match: Some(fields(vec![("tlsMode", text("istio"))])),
                    transport_socket: Some(tls()),
                },
                TransportSocketMatch {
                    name: "tlsMode-disabled".into(),
                    r#match: None,
                    transport_socket: Some(plain()),
                },
            ],
        }
    }

    fn mesh_tls(&self, subset: &str, endpoints: &[&ServiceEndpoint]) -> TransportSocket {
        let domain = &self.world.settings().trust_domain;
        let mut identities: BTreeSet<String> = self.service.subject_alt_names.iter().cloned().collect();
        if identities.is_empty() {
            let id = |e: &&ServiceEndpoint| format!("spiffe://{domain}/ns/{}/sa/{}", e.namespace, e.service_account);
            identities.extend(endpoints.iter().map(id));
        }
        let names = identities.into_iter().map(|identity| SubjectAltNameMatcher {
            san_type: if identity.starts_with("spiffe://") { SanType::Uri.into() } else { SanType::Dns.into() },
            matcher: Some(StringMatcher { match_pattern: Some(MatchPattern::Exact(identity)), ..Default::default() }),
            ..Default::default()
        });
        let names =
            CertificateValidationContext { match_typed_subject_alt_names: names.collect(), ..Default::default() };
        let combined = CombinedCertificateValidationContext {
            default_validation_context: Some(names),
            validation_context_sds_secret_config: Some(sds("ROOTCA", &self.key.secrets)),
            ..Default::default()
        };
        let alpn: &[&str] = if self.port.protocol.is_http() { &["istio"] } else { &["istio-peer-exchange", "istio"] };
        let context = UpstreamTlsContext {
            common_tls_context: Some(CommonTlsContext {
                tls_certificate_sds_secret_configs: vec![sds("default", &self.key.secrets)],
                alpn_protocols: alpn.iter().map(|one| (*one).to_owned()).collect(),
                validation_context_type: Some(ValidationContextType::CombinedValidationContext(combined)),
                ..Default::default()
            }),
            sni: format!("outbound_.{}_.{subset}_.{}", self.port.number, self.service.host),
            ..Default::default()
        };
        let config_type = Some(ConfigType::TypedConfig(pack_any(context)));
        TransportSocket { name: "envoy.transport_sockets.tls".into(), config_type }
    }

    fn assignment(&self, name: &str, endpoints: &[&ServiceEndpoint]) -> ClusterLoadAssignment {
        let mut groups: Vec<(String, Vec<LbEndpoint>)> = Vec::new();
        for endpoint in endpoints {
            let Some(port) = endpoint.ports.get(&self.port.number) else { continue };
            let to = match &endpoint.address {
                EndpointAddress::Ip(ip) => address(&ip.to_string(), *port),
                EndpointAddress::Name(host) => address(host, *port),
            };
            let one = lb_endpoint(to, self.endpoint_metadata(endpoint, *port), endpoint.weight);
            match groups.iter_mut().find(|(locality, _)| *locality == endpoint.locality) {
                Some((_, group)) => group.push(one),
                None => groups.push((endpoint.locality.clone(), vec![one])),
            }
        }
        let endpoints = groups.into_iter().map(|(place, lb_endpoints)| LocalityLbEndpoints {
            locality: locality(&place),
            load_balancing_weight: number(u32::try_from(lb_endpoints.len()).unwrap_or(u32::MAX)),
            lb_endpoints,
            ..Default::default()
        });
        ClusterLoadAssignment { cluster_name: name.to_owned(), endpoints: endpoints.collect(), ..Default::default() }
    }

    fn endpoint_metadata(
        &self,
        endpoint: &ServiceEndpoint,
        port: u16,
    ) -> Option<envoy_types::pb::envoy::config::core::v3::Metadata> {
        let disabled = mtls_mode(self.world, &endpoint.namespace, &endpoint.labels, port) == MtlsMode::Disable;
        let tls = if endpoint.in_mesh && !disabled { vec![("tlsMode", text("istio"))] } else { Vec::new() };
        let workload = format!(
            "{};{};{};{};{}",
            endpoint.workload,
            endpoint.namespace,
            endpoint.canonical_name(),
            endpoint.canonical_revision(),
            self.world.settings().cluster_id
        );
        metadata(vec![
            ("envoy.transport_socket_match", fields(tls)),
            ("istio", fields(vec![("workload", text(&workload))])),
        ])
    }
}

fn services(service: &RegistryService) -> envoy_types::pb::google::protobuf::Value {
    list(vec![object(fields(vec![
        ("host", text(&service.host)),
        ("name", text(&service.name)),
        ("namespace", text(&service.namespace)),
    ]))])
}

fn lb_endpoint(
    to: Option<envoy_types::pb::envoy::config::core::v3::Address>,
    metadata: Option<envoy_types::pb::envoy::config::core::v3::Metadata>,
    weight: u32,
) -> LbEndpoint {
    LbEndpoint {
        host_identifier: Some(HostIdentifier::Endpoint(Endpoint { address: to, ..Default::default() })),
        metadata,
        load_balancing_weight: number(weight),
        ..Default::default()
    }
}

fn locality(place: &str) -> Option<Locality> {
    let mut parts = place.split('/').map(str::to_owned);
    let region = parts.next().filter(|region| !region.is_empty())?;
    Some(Locality { region, zone: parts.next().unwrap_or_default(), sub_zone: parts.next().unwrap_or_default() })
}

fn plain() -> TransportSocket {
    let config_type = Some(ConfigType::TypedConfig(pack_any(RawBuffer {})));
    TransportSocket { name: "envoy.transport_sockets.raw_buffer".into(), config_type }
}

/// Where the proxy gets a secret from.
pub(super) fn sds(name: &str, secrets: &Secrets) -> SdsSecretConfig {
    let sds_config = match secrets {
        Secrets::Stream => ads(),
        Secrets::Directory(dir) => file(&format!("{dir}/{name}.yaml")),
    };
    SdsSecretConfig { name: name.to_owned(), sds_config }
}

fn lb_policy(balancer: Option<&LoadBalancer>) -> LbPolicy {
    match balancer {
        None | Some(LoadBalancer::LeastRequest | LoadBalancer::Passthrough) => LbPolicy::LeastRequest,
        Some(LoadBalancer::Random) => LbPolicy::Random,
        Some(LoadBalancer::RoundRobin) => LbPolicy::RoundRobin,
        Some(
            LoadBalancer::HashHeader(_)
            | LoadBalancer::HashCookie { .. }
            | LoadBalancer::HashSourceIp
            | LoadBalancer::HashQueryParameter(_),
        ) => LbPolicy::RingHash,
    }
}

fn breakers(pool: Option<&ConnectionPool>) -> Option<CircuitBreakers> {
    let limit = |pick: fn(&ConnectionPool) -> Option<u32>| number(pool.and_then(pick).unwrap_or(NO_LIMIT));
    let thresholds = Thresholds {
        max_connections: limit(|pool| pool.max_connections),
        max_pending_requests: limit(|pool| pool.max_pending_requests),
        max_requests: limit(|pool| pool.max_requests),
        max_retries: limit(|pool| pool.max_retries),
        track_remaining: true,
        ..Default::default()
    };
    Some(CircuitBreakers { thresholds: vec![thresholds], ..Default::default() })
}

fn outlier(detection: &OutlierDetection) -> OutlierMessage {
    OutlierMessage {
        consecutive_5xx: detection.consecutive_5xx.and_then(number),
        enforcing_consecutive_5xx: number(if detection.consecutive_5xx == Some(0) { 0 } else { 100 }),
        consecutive_gateway_failure: detection.consecutive_gateway_errors.and_then(number),
        enforcing_consecutive_gateway_failure: number(match detection.consecutive_gateway_errors {
            None | Some(0) => 0,
            Some(_) => 100,
        }),
        split_external_local_origin_errors: detection.split_external_local_origin_errors,
        consecutive_local_origin_failure: detection.consecutive_local_origin_failures.and_then(number),
        interval: detection.interval.and_then(duration),
        base_ejection_time: detection.base_ejection_time.and_then(duration),
        max_ejection_percent: detection.max_ejection_percent.and_then(number),
        enforcing_success_rate: number(0),
        ..Default::default()
    }
}

fn http_options(
    protocol: PortProtocol,
    pool: Option<&ConnectionPool>,
) -> HashMap<String, envoy_types::pb::google::protobuf::Any> {
    let h2 = ProtocolConfig::Http2ProtocolOptions(Http2ProtocolOptions::default());
    let explicit =
        |config| UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig { protocol_config: Some(config) });
    let protocol = match protocol {
        PortProtocol::Tcp | PortProtocol::Tls | PortProtocol::Udp => return HashMap::new(),
        PortProtocol::Http2 | PortProtocol::Grpc => explicit(h2),
        PortProtocol::Http | PortProtocol::Auto if pool.is_some_and(|pool| pool.h2_upgrade) => explicit(h2),
        PortProtocol::Http | PortProtocol::Auto => {
            UpstreamProtocolOptions::UseDownstreamProtocolConfig(UseDownstreamHttpConfig {
                http_protocol_options: Some(Http1ProtocolOptions::default()),
                http2_protocol_options: Some(Http2ProtocolOptions::default()),
                ..Default::default()
            })
        }
    };
    let common = pool.map(|pool| CommonHttp {
        idle_timeout: pool.idle_timeout.and_then(duration),
        max_requests_per_connection: pool.max_requests_per_connection.filter(|max| *max > 0).and_then(number),
        ..Default::default()
    });
    let options = HttpProtocolOptions {
        common_http_protocol_options: common,
        upstream_protocol_options: Some(protocol),
        ..Default::default()
    };
    HashMap::from([(HTTP_OPTIONS.to_owned(), pack_any(options))])
}
