//! Where connections that are not HTTP go: TCP routes of virtual services.

use envoy_types::pb::envoy::config::listener::v3::FilterChain;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::weighted_cluster::ClusterWeight;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::{
    ClusterSpecifier, WeightedCluster,
};
use orrery_api::{Object, WeightedDestination};

use super::Scene;
use super::hosts::meeting;
use super::merge::Attached;
use crate::build::{http, route};

/// A chain to the destinations of the first TCP route for a server; none without one.
pub(super) fn tcp(scene: &Scene<'_>, attached: &Attached<'_>) -> Option<FilterChain> {
    let port = attached.server.port;
    let (object, destinations) = tcp_route(scene, attached)?;
    let to = split(scene, attached, object, destinations)?;
    let prefix = format!("outbound_{}_{port}", scene.proxy.address);
    Some(http::tcp_chain(scene.world.settings(), &prefix, to))
}

/// The first TCP route for a server, of the oldest virtual service that has one; datagrams take it too.
pub(super) fn tcp_route<'a>(
    scene: &Scene<'a>,
    attached: &Attached<'_>,
) -> Option<(&'a Object, &'a [WeightedDestination])> {
    let port = attached.server.port;
    scene.bound.to(&attached.name).iter().find_map(|bound| {
        if meeting(&attached.server.hosts, bound).is_empty() {
            return None;
        }
        let route = bound.service.tcp.iter().find(|route| route.ports.is_empty() || route.ports.contains(&port))?;
        Some((bound.object, route.route.as_slice()))
    })
}

fn split(
    scene: &Scene<'_>,
    attached: &Attached<'_>,
    object: &Object,
    destinations: &[WeightedDestination],
) -> Option<ClusterSpecifier> {
    let caller = scene.caller(attached);
    let cluster = |one: &WeightedDestination| route::cluster(&caller, object, &one.destination, attached.server.port);
    match destinations {
        [] => None,
        [only] => Some(ClusterSpecifier::Cluster(cluster(only))),
        many => {
            let weighted = many.iter().filter(|one| one.weight > 0);
            let clusters: Vec<ClusterWeight> = weighted
                .map(|one| ClusterWeight { name: cluster(one), weight: one.weight, ..Default::default() })
                .collect();
            (!clusters.is_empty()).then_some(ClusterSpecifier::WeightedClusters(WeightedCluster { clusters }))
        }
    }
}
