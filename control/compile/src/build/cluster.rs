//! Clusters: what is called, and how.

mod assignment;
mod balance;
mod locality;
mod pool;
mod transport;

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::common_lb_config::LocalityConfigSpecifier;
use envoy_types::pb::envoy::config::cluster::v3::cluster::common_lb_config::LocalityWeightedLbConfig;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, CommonLbConfig, DiscoveryType, EdsClusterConfig, LbPolicy,
};
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{BindConfig, SocketAddress};
use envoy_types::pb::envoy::config::endpoint::v3::{ClusterLoadAssignment, LocalityLbEndpoints};
use envoy_types::pb::envoy::r#type::v3::Percent;
use orrery_api::{Algorithm, Key, Labels, Subset, TrafficPolicy};

pub(super) use transport::sds;

use super::value::{address, ads, duration, fields, list, metadata, object, text};
use crate::compile::Compiled;
use crate::policy::{Client, HostRules, rules_for};
use crate::proxy::{Audience, Interception, Proxy, Secrets};
use crate::registry::{Finding, PortProtocol, RegistryService, ServiceEndpoint, ServicePortInfo};
use crate::settings::UpstreamDefaults;
use crate::world::World;

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
    /// Rules name Secrets, and the proxies may have them.
    credentials: bool,
    /// Who calls, where that decides which endpoints come first.
    place: String,
    labels: BTreeMap<String, String>,
}

impl ClusterKey {
    /// The clusters of a service as an audience has them.
    pub(crate) fn of(world: &World, audience: &Audience, service: &RegistryService) -> Self {
        let client = Client { namespace: &audience.namespace, labels: Some(&audience.labels) };
        let rules = rules_for(world, &service.host, &service.namespace, client);
        let ordered = locality::matters(rules.as_ref(), &world.settings().upstream);
        let credentials = rules.as_ref().is_some_and(|rules| transport::may_have_secrets(rules, audience.kind));
        let keys = rules.map(|rules| rules.keys.into_iter().cloned().collect()).unwrap_or_default();
        Self {
            host: service.host.clone(),
            rules: keys,
            secrets: audience.secrets.clone(),
            credentials,
            place: if ordered { audience.locality.clone() } else { String::new() },
            labels: if ordered { audience.labels.0.clone() } else { BTreeMap::new() },
        }
    }
}

/// Clusters for all ports and subsets of a service, and their endpoints.
pub(crate) fn of_key(world: &World, key: &ClusterKey, compiled: &mut Compiled) {
    let Some(service) = world.registry().service(&key.host) else { return };
    let host_rules = HostRules::of_keys(world, &key.rules);
    let rules = host_rules.as_ref();
    let labels = Labels(key.labels.clone());
    let caller = locality::Caller { place: &key.place, labels: &labels };
    for port in service.ports.iter().filter(|port| port.protocol != PortProtocol::Udp) {
        Target { world, key, caller, service, port, rules, subset: None }.add(compiled);
        for subset in rules.iter().flat_map(|rules| &rules.subsets) {
            Target { world, key, caller, service, port, rules, subset: Some(subset) }.add(compiled);
        }
    }
}

/// Where what nobody knows goes.
pub(super) fn special(world: &World, compiled: &mut Compiled) {
    let defaults = &world.settings().upstream;
    let black_hole = Cluster {
        name: "BlackHoleCluster".to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static.into())),
        connect_timeout: duration(defaults.connect_timeout),
        ..Default::default()
    };
    compiled.add("BlackHoleCluster", &black_hole);
    for name in ["PassthroughCluster", INBOUND_PASSTHROUGH] {
        let passthrough = Cluster {
            name: name.to_owned(),
            cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::OriginalDst.into())),
            connect_timeout: duration(defaults.connect_timeout),
            lb_policy: LbPolicy::ClusterProvided.into(),
            typed_extension_protocol_options: pool::http_options(PortProtocol::Http, None, defaults),
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
pub(super) fn inbound(
    world: &World,
    proxy: &Proxy,
    service: &RegistryService,
    port: &ServicePortInfo,
    target: u16,
) -> Cluster {
    let name = format!("inbound|{}||", port.number);
    let to = proxy.app_address.unwrap_or(proxy.address);
    let endpoint = assignment::lb_endpoint(address(&to.to_string(), target), None, 1);
    let group = LocalityLbEndpoints { lb_endpoints: vec![endpoint], ..Default::default() };
    let defaults = UpstreamDefaults { h2_upgrade: false, ..world.settings().upstream.clone() };
    Cluster {
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static.into())),
        connect_timeout: duration(defaults.connect_timeout),
        circuit_breakers: pool::breakers(None, None),
        load_assignment: Some(ClusterLoadAssignment {
            cluster_name: name.clone(),
            endpoints: vec![group],
            ..Default::default()
        }),
        typed_extension_protocol_options: pool::http_options(port.protocol, None, &defaults),
        upstream_bind_config: (proxy.interception == Interception::Redirect && proxy.address.is_ipv4())
            .then(from_proxy),
        metadata: metadata(vec![("istio", fields(vec![("services", services(service))]))]),
        name,
        ..Default::default()
    }
}

/// One cluster to make: a port of a service, or of a subset of it.
struct Target<'a> {
    world: &'a World,
    key: &'a ClusterKey,
    caller: locality::Caller<'a>,
    service: &'a RegistryService,
    port: &'a ServicePortInfo,
    rules: Option<&'a HostRules<'a>>,
    subset: Option<&'a Subset>,
}

impl Target<'_> {
    fn add(&self, compiled: &mut Compiled) {
        let name = outbound_name(self.port.number, self.subset_name(), &self.service.host);
        let policy = self.policy();
        let endpoints: Vec<&ServiceEndpoint> = self
            .world
            .registry()
            .endpoints(self.service)
            .iter()
            .filter(|endpoint| self.subset.is_none_or(|subset| subset.labels.select(&endpoint.labels)))
            .filter(|endpoint| endpoint.ready && endpoint.ports.contains_key(&self.port.number))
            .collect();
        let assignment = self.assignment(&name, &endpoints, &policy);
        let cluster = self.cluster(&name, &policy, &endpoints, &assignment);
        if self.service.finding == Finding::Listed {
            compiled.add(&name, &assignment);
        }
        compiled.add(&name, &cluster);
    }

    fn subset_name(&self) -> &str {
        self.subset.map_or("", |subset| &subset.name)
    }

    fn defaults(&self) -> &UpstreamDefaults {
        &self.world.settings().upstream
    }

    /// What holds for this cluster: rules, then the mesh's defaults.
    fn policy(&self) -> TrafficPolicy {
        let subset = self.subset.and_then(|subset| subset.policy.as_ref());
        let ruled = self.rules.map(|rules| rules.effective(subset, self.port.number));
        let mut policy = ruled.unwrap_or_default();
        let defaults = self.defaults();
        policy.connection_pool = policy.connection_pool.or_else(|| defaults.connection_pool.clone());
        policy.outlier_detection = policy.outlier_detection.or_else(|| defaults.outlier_detection.clone());
        policy
    }

    fn cluster(
        &self,
        name: &str,
        policy: &TrafficPolicy,
        endpoints: &[&ServiceEndpoint],
        assignment: &ClusterLoadAssignment,
    ) -> Cluster {
        let pool = policy.connection_pool.clone().unwrap_or_default();
        let defaults = self.defaults();
        let discovery = self.discovery(policy);
        let eds = EdsClusterConfig { eds_config: ads(), service_name: name.to_owned() };
        let (lb_policy, lb_config) = match discovery {
            DiscoveryType::OriginalDst => (LbPolicy::ClusterProvided, None),
            _ => balance::policy(policy.load_balancer.as_ref()),
        };
        let transports = self.transports(policy, endpoints);
        let mut made = Cluster {
            name: name.to_owned(),
            cluster_discovery_type: Some(ClusterDiscoveryType::Type(discovery.into())),
            eds_cluster_config: (discovery == DiscoveryType::Eds).then_some(eds),
            load_assignment: (discovery == DiscoveryType::StrictDns).then(|| assignment.clone()),
            lb_policy: lb_policy.into(),
            lb_config,
            connect_timeout: duration(pool.connect_timeout.unwrap_or(defaults.connect_timeout)),
            circuit_breakers: pool::breakers(Some(&pool), policy.retry_budget.as_ref()),
            outlier_detection: policy.outlier_detection.as_ref().map(balance::outlier),
            common_lb_config: Some(self.common_balancing(policy)),
            typed_extension_protocol_options: pool::http_options(self.port.protocol, Some(&pool), defaults),
            upstream_connection_options: pool.keepalive.or(defaults.keepalive).map(pool::keepalive),
            metadata: metadata(vec![("istio", fields(self.origin()))]),
            ..Default::default()
        };
        transports.put_into(&mut made);
        made
    }

    fn discovery(&self, policy: &TrafficPolicy) -> DiscoveryType {
        let algorithm = policy.load_balancer.as_ref().and_then(|balancer| balancer.algorithm.as_ref());
        match (self.service.finding, algorithm) {
            (Finding::OriginalDestination, _) | (_, Some(Algorithm::Passthrough)) => DiscoveryType::OriginalDst,
            (Finding::Listed, _) => DiscoveryType::Eds,
            (Finding::Dns, _) => DiscoveryType::StrictDns,
        }
    }

    /// Panic is off unless a rule asks for it, as in Istio: what is ejected stays so.
    fn common_balancing(&self, policy: &TrafficPolicy) -> CommonLbConfig {
        let least = policy.outlier_detection.as_ref().and_then(|outlier| outlier.min_health_percent);
        let weighted = locality::of(policy, self.defaults()).is_some_and(|setting| setting.is_weighted());
        let by_locality = LocalityConfigSpecifier::LocalityWeightedLbConfig(LocalityWeightedLbConfig {});
        CommonLbConfig {
            healthy_panic_threshold: Some(Percent { value: least.unwrap_or(0).into() }),
            locality_config_specifier: weighted.then_some(by_locality),
            ..Default::default()
        }
    }

    fn origin(&self) -> Vec<(&'static str, envoy_types::pb::google::protobuf::Value)> {
        let mut istio = vec![("services", services(self.service))];
        if let Some(rules) = self.rules {
            let key = &rules.object.key;
            let origin =
                format!("/apis/networking.istio.io/v1/namespaces/{}/destination-rule/{}", key.namespace, key.name);
            istio.push(("config", text(&origin)));
        }
        if self.subset.is_some() {
            istio.push(("subset", text(self.subset_name())));
        }
        istio
    }
}

fn services(service: &RegistryService) -> envoy_types::pb::google::protobuf::Value {
    list(vec![object(fields(vec![
        ("host", text(&service.host)),
        ("name", text(&service.name)),
        ("namespace", text(&service.namespace)),
    ]))])
}
