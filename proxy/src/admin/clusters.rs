//! Clusters and endpoints, in the two forms in which Envoy's admin interface prints them.

use std::fmt::Write;
use std::sync::Arc;

use orrery_core::cluster::{Cluster, Endpoint, Health};
use orrery_core::snapshot::Snapshot;
use serde_json::{Value, json};

fn sorted(snapshot: &Snapshot) -> Vec<&Arc<Cluster>> {
    let mut all: Vec<_> = snapshot.clusters.values().collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

pub(crate) fn text(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for cluster in sorted(snapshot) {
        let (name, limits) = (&cluster.name, cluster.limits);
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{name}::default_priority::max_connections::{}", limits.max_connections);
        let _ = writeln!(text, "{name}::default_priority::max_requests::{}", limits.max_requests);
        for endpoint in &cluster.endpoints.all {
            let address = endpoint.address;
            let _ = writeln!(text, "{name}::{address}::health_flags::{}", flags(endpoint));
            let _ = writeln!(text, "{name}::{address}::weight::{}", endpoint.weight);
            let _ = writeln!(text, "{name}::{address}::priority::{}", endpoint.priority);
        }
    }
    text
}

pub(crate) fn json(snapshot: &Snapshot) -> Value {
    let status = |endpoint: &Arc<Endpoint>| {
        json!({
            "address": {"socket_address": {"address": endpoint.address.ip(), "port_value": endpoint.address.port()}},
            "health_status": {"eds_health_status": health(endpoint.health)},
            "weight": endpoint.weight,
            "priority": endpoint.priority,
        })
    };
    let statuses: Vec<Value> = sorted(snapshot)
        .into_iter()
        .map(|cluster| {
            let hosts: Vec<Value> = cluster.endpoints.all.iter().map(status).collect();
            json!({"name": cluster.name.as_str(), "added_via_api": true, "host_statuses": hosts})
        })
        .collect();
    json!({"cluster_statuses": statuses})
}

fn flags(endpoint: &Endpoint) -> &'static str {
    match endpoint.health {
        Health::Healthy => "healthy",
        Health::Degraded => "/degraded_eds_health",
        Health::Draining | Health::Unhealthy => "/failed_eds_health",
    }
}

pub(crate) fn health(health: Health) -> &'static str {
    match health {
        Health::Healthy => "HEALTHY",
        Health::Degraded => "DEGRADED",
        Health::Draining => "DRAINING",
        Health::Unhealthy => "UNHEALTHY",
    }
}
