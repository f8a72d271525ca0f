//! Where a route sends requests, and what it changes on the way.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::RuntimeFractionalPercent;
use envoy_types::pb::envoy::config::route::v3::route_action::hash_policy::{
    ConnectionProperties, Cookie, Header as HashHeader, PolicySpecifier, QueryParameter,
};
use envoy_types::pb::envoy::config::route::v3::route_action::{
    ClusterNotFoundResponseCode, ClusterSpecifier, HashPolicy, HostRewriteSpecifier, RequestMirrorPolicy,
};
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::cluster_weight::HostRewriteSpecifier as ClusterHost;
use envoy_types::pb::envoy::config::route::v3::{RouteAction, WeightedCluster};
use envoy_types::pb::envoy::r#type::matcher::v3::RegexMatchAndSubstitute;
use orrery_api::{Destination, HttpRoute, LoadBalancer, Mirror, Object, RouteSemantics, WeightedDestination};

use super::headers::Changes;
use super::matching::regex;
use super::retry::retry_policy;
use super::{Caller, timeouts};
use crate::build::cluster::outbound_name;
use crate::build::value::{duration, flag, number, percent};
use crate::policy::rules_for;
use crate::registry::RegistryService;

/// Where requests for a destination that there is none of go: to no cluster.
const NOWHERE: &str = "UnknownService";

/// Forwards to the destinations of a route. The host of `changes` is rewritten unless the route itself rewrites it.
pub(super) fn forward(
    caller: &Caller<'_>,
    object: &Object,
    http: &HttpRoute,
    port: u16,
    authority: Option<&str>,
    semantics: RouteSemantics,
) -> RouteAction {
    let hash_policy: Vec<HashPolicy> =
        http.route.iter().flat_map(|one| hash_of(caller, object, &one.destination, port)).collect();
    let mut action = timeouts(http.timeout.unwrap_or(Duration::ZERO));
    action.cluster_specifier = Some(split(caller, object, &http.route, port));
    action.retry_policy = match &http.retries {
        Some(retries) if retries.attempts == 0 => None,
        retries => Some(retry_policy(retries.as_ref(), http.route.len() == 1 && !hash_policy.is_empty())),
    };
    if semantics == RouteSemantics::GatewayApi {
        action.set_cluster_not_found_response_code(ClusterNotFoundResponseCode::InternalServerError);
        // Whoever asks for retries gets them for broken connections and late answers too, as the standard advises.
        if let Some(policy) = action.retry_policy.as_mut().filter(|_| http.retries.is_some()) {
            policy.retry_on.push_str(",reset");
        }
    }
    action.hash_policy = hash_policy;
    action.request_mirror_policies = http.mirrors.iter().map(|one| mirror(caller, object, one, port)).collect();
    let mut host = authority;
    if let Some(rewrite) = &http.rewrite {
        match &rewrite.uri_regex {
            Some((pattern, substitution)) => {
                action.regex_rewrite =
                    Some(RegexMatchAndSubstitute { pattern: Some(regex(pattern)), substitution: substitution.clone() });
            }
            None => action.prefix_rewrite = rewrite.uri.clone().unwrap_or_default(),
        }
        host = rewrite.authority.as_deref().filter(|host| !host.is_empty()).or(host);
    }
    action.host_rewrite_specifier = host.map(|host| HostRewriteSpecifier::HostRewriteLiteral(host.to_owned()));
    action
}

/// One cluster, or several by weight. The changes of an only destination are part of the route's.
fn split(caller: &Caller<'_>, object: &Object, route: &[WeightedDestination], port: u16) -> ClusterSpecifier {
    match route {
        [only] => ClusterSpecifier::Cluster(cluster(caller, object, &only.destination, port)),
        many => {
            let weight = |one: &WeightedDestination| {
                let changes = Changes::of(&one.headers);
                ClusterWeight {
                    name: cluster(caller, object, &one.destination, port),
                    weight: number(one.weight),
                    request_headers_to_add: changes.request_add,
                    request_headers_to_remove: changes.request_remove,
                    response_headers_to_add: changes.response_add,
                    response_headers_to_remove: changes.response_remove,
                    host_rewrite_specifier: changes.authority.map(ClusterHost::HostRewriteLiteral),
                    ..Default::default()
                }
            };
            let clusters = many.iter().filter(|one| one.weight > 0).map(weight);
            ClusterSpecifier::WeightedClusters(WeightedCluster { clusters: clusters.collect(), ..Default::default() })
        }
    }
}

/// Host and port of a destination: its own port, the service's only one, or the port that was asked for.
fn target(caller: &Caller<'_>, object: &Object, destination: &Destination, port: u16) -> (String, u16) {
    let host = caller.world.resolve(&destination.host.value, &object.key.namespace);
    let service = caller.world.registry().service_for(&host, caller.namespace);
    let only = service.and_then(|service| match service.ports.as_slice() {
        [only] => Some(only.number),
        _ => None,
    });
    let host = match service.and_then(|service| service.alias_of(caller)) {
        Some(target) => target.host.clone(),
        None => host,
    };
    (host, destination.port.or(only).unwrap_or(port))
}

/// The cluster of a destination.
pub(in crate::build) fn cluster(caller: &Caller<'_>, object: &Object, destination: &Destination, port: u16) -> String {
    if destination.host.value.is_empty() {
        return NOWHERE.to_owned();
    }
    let (host, port) = target(caller, object, destination, port);
    outbound_name(port, destination.subset.as_ref().map_or("", |subset| subset.value.as_str()), &host)
}

/// What spans of the route are called: where it leads, and the path that it takes.
pub(super) fn operation(caller: &Caller<'_>, object: &Object, http: &HttpRoute, port: u16, path: &str) -> String {
    match http.route.as_slice() {
        [only] => {
            let (host, port) = target(caller, object, &only.destination, port);
            format!("{host}:{port}{path}")
        }
        _ => format!("{}:{port}{path}", object.key.name),
    }
}

fn mirror(caller: &Caller<'_>, object: &Object, mirror: &Mirror, port: u16) -> RequestMirrorPolicy {
    RequestMirrorPolicy {
        cluster: cluster(caller, object, &mirror.destination, port),
        runtime_fraction: Some(RuntimeFractionalPercent {
            default_value: Some(percent(mirror.percent)),
            ..Default::default()
        }),
        trace_sampled: flag(false),
        ..Default::default()
    }
}

fn hash_of(caller: &Caller<'_>, object: &Object, destination: &Destination, port: u16) -> Vec<HashPolicy> {
    let (host, port) = target(caller, object, destination, port);
    let Some(service) = caller.world.registry().service_for(&host, caller.namespace) else { return Vec::new() };
    let subset = destination.subset.as_ref().map_or("", |subset| subset.value.as_str());
    hash(caller, service, subset, port)
}

/// Consistent hashing belongs to the destination's rule, but is asked for in the route.
pub(super) fn hash(caller: &Caller<'_>, service: &RegistryService, subset: &str, port: u16) -> Vec<HashPolicy> {
    let Some(rules) = rules_for(caller.world, &service.host, &service.namespace, caller.namespace) else {
        return Vec::new();
    };
    let named = rules.subsets.iter().find(|one| one.name == subset).and_then(|one| one.policy.load_balancer.clone());
    let at_port =
        rules.policy.ports.iter().find(|one| one.port == port).and_then(|one| one.policy.load_balancer.clone());
    let specifier = match named.or(at_port).or_else(|| rules.policy.load_balancer.clone()) {
        Some(LoadBalancer::HashHeader(name)) => {
            PolicySpecifier::Header(HashHeader { header_name: name, ..Default::default() })
        }
        Some(LoadBalancer::HashCookie { name, path, ttl }) => {
            PolicySpecifier::Cookie(Cookie { name, path, ttl: duration(ttl), ..Default::default() })
        }
        Some(LoadBalancer::HashSourceIp) => {
            PolicySpecifier::ConnectionProperties(ConnectionProperties { source_ip: true })
        }
        Some(LoadBalancer::HashQueryParameter(name)) => PolicySpecifier::QueryParameter(QueryParameter { name }),
        Some(
            LoadBalancer::LeastRequest | LoadBalancer::Random | LoadBalancer::RoundRobin | LoadBalancer::Passthrough,
        )
        | None => {
            return Vec::new();
        }
    };
    vec![HashPolicy { policy_specifier: Some(specifier), ..Default::default() }]
}
