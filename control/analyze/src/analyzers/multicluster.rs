//! Services that are not the same in all clusters of a mesh, although they are one service there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::code::Code;
use crate::finding::Report;
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::Look;

/// The cluster whose files have no name for it.
const OWN: &str = "this cluster";

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    let mut services: BTreeMap<String, Vec<(&str, &Resource)>> = BTreeMap::new();
    let others = snapshot.other_clusters.iter().flat_map(|(cluster, resources)| {
        resources.iter().filter(|resource| resource.kind == "Service").map(move |service| (cluster.as_str(), service))
    });
    for (cluster, service) in snapshot.all("Service").map(|service| (OWN, service)).chain(others) {
        services.entry(service.path()).or_default().push((cluster, service));
    }
    for (path, clusters) in services {
        let Some(((_, first), rest)) = clusters.split_first() else { continue };
        let differences: BTreeSet<&str> = rest.iter().flat_map(|(_, other)| differences(first, other)).collect();
        if !differences.is_empty() {
            let names: Vec<&str> = clusters.iter().map(|(cluster, _)| *cluster).collect();
            let differences: Vec<&str> = differences.into_iter().collect();
            report.add(
                Code::MultiClusterInconsistentService,
                first,
                "",
                format!("{path} differs between {}: {}", names.join(", "), differences.join("; ")),
            );
        }
    }
}

fn differences(one: &Resource, other: &Resource) -> Vec<&'static str> {
    let headless = |service: &Resource| service.spec().text("/clusterIP") == "None";
    let kind = |service: &'_ Resource| service.spec().text("/type").to_owned();
    let mut found = Vec::new();
    if headless(one) != headless(other) {
        found.push("it is headless in some, with a cluster IP in others");
    }
    if kind(one) != kind(other) {
        found.push("its type differs");
    }
    if ports(one) != ports(other) {
        found.push("its ports differ");
    }
    found
}

/// In the order of their names: how a file orders them means nothing.
fn ports(service: &Resource) -> Vec<&Value> {
    let mut ports: Vec<&Value> = service.spec().list("/ports").iter().collect();
    ports.sort_by_key(|port| port.text("/name"));
    ports
}
