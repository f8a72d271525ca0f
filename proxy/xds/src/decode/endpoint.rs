//! Endpoint assignments.

use std::mem::take;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::{HealthStatus, Metadata};
use envoy_types::pb::envoy::config::endpoint::v3 as pb;
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use orrery_core::cluster::{Endpoint, Endpoints, Health, Locality, WorkloadIdentity};

use super::plain::{host_and_port, labels, metadata_text, number};
use super::{Result, Within, nothing_left, refuse};

/// The endpoints of an assignment and its cluster's name.
pub(crate) fn assignment(mut assignment: pb::ClusterLoadAssignment) -> Result<(Arc<str>, Endpoints)> {
    let name = take(&mut assignment.cluster_name);
    let mut all = Vec::new();
    for (at, group) in take(&mut assignment.endpoints).into_iter().enumerate() {
        locality(group, &mut all).within(&format!("endpoints[{at}]"))?;
    }
    // Overprovisioning and drop percentages do not change which endpoint a request may take here.
    assignment.policy = None;
    nothing_left(&assignment)?;
    Ok((name.into(), Endpoints { all }))
}

fn locality(mut group: pb::LocalityLbEndpoints, all: &mut Vec<Arc<Endpoint>>) -> Result<()> {
    let place = group.locality.take().unwrap_or_default();
    let place = Locality { region: place.region.into(), zone: place.zone.into(), sub_zone: place.sub_zone.into() };
    let weight = number(group.load_balancing_weight.take(), 0);
    let place = Place { locality: place, weight, priority: group.priority };
    for (at, endpoint) in take(&mut group.lb_endpoints).into_iter().enumerate() {
        let decoded = self::endpoint(endpoint, &place).within(&format!("lb_endpoints[{at}]"))?;
        all.push(Arc::new(decoded));
    }
    group.priority = 0;
    group.metadata = None;
    nothing_left(&group)
}

/// What a locality's endpoints have in common.
struct Place {
    locality: Locality,
    weight: u32,
    priority: u32,
}

fn endpoint(endpoint: pb::LbEndpoint, place: &Place) -> Result<Endpoint> {
    let target = match endpoint.host_identifier {
        Some(HostIdentifier::Endpoint(target)) => target,
        Some(HostIdentifier::EndpointName(_)) | None => return refuse("endpoint", "it is missing"),
    };
    let (host, port) = host_and_port(target.address)?;
    let (address, host) = match host.parse::<IpAddr>() {
        Ok(ip) => (SocketAddr::new(ip, port), None),
        Err(_) => (SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port), Some(Arc::from(host))),
    };
    let health = match HealthStatus::try_from(endpoint.health_status) {
        Ok(HealthStatus::Unknown | HealthStatus::Healthy) => Health::Healthy,
        Ok(HealthStatus::Degraded) => Health::Degraded,
        Ok(HealthStatus::Draining) => Health::Draining,
        Ok(HealthStatus::Unhealthy | HealthStatus::Timeout) => Health::Unhealthy,
        Err(_) => return refuse("health_status", format!("{} is none", endpoint.health_status)),
    };
    let metadata = endpoint.metadata.as_ref();
    let transport = metadata.and_then(|metadata| metadata.filter_metadata.get("envoy.transport_socket_match"));
    Ok(Endpoint {
        address,
        host,
        health,
        weight: number(endpoint.load_balancing_weight, 1).max(1),
        priority: place.priority,
        locality: place.locality.clone(),
        locality_weight: place.weight,
        transport_labels: transport.map(|fields| labels(&fields.fields)).unwrap_or_default(),
        workload: workload(metadata),
    })
}

/// `workload;namespace;canonical-name;canonical-revision;cluster`; anything else is no identity.
fn workload(metadata: Option<&Metadata>) -> Option<WorkloadIdentity> {
    let mut parts = metadata_text(metadata, "istio", "workload")?.split(';').map(Arc::<str>::from);
    Some(WorkloadIdentity {
        workload: parts.next()?,
        namespace: parts.next()?,
        canonical_name: parts.next()?,
        canonical_revision: parts.next()?,
        cluster: parts.next().unwrap_or_else(|| Arc::from("")),
    })
}
