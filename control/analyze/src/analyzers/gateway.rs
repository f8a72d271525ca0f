//! Istio's Gateways: their workloads, the ports of those, and who claims the same host and port.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::code::Code;
use crate::finding::Report;
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::{Labels, Look, selects};

/// Ports of the gateway that Istio installs by itself.
const USUAL_PORTS: [u64; 5] = [80, 443, 15021, 15443, 31400];

/// Whether it selects the gateway that Istio installs by itself, in the control plane's namespace: it may be there without
/// being among what is analyzed.
pub(super) fn is_usual(selector: &Labels) -> bool {
    selector.len() == 1 && selector.get("istio").is_some_and(|value| value == "ingressgateway")
}

pub(super) fn check_ports(snapshot: &Snapshot, report: &mut Report) {
    for gateway in snapshot.gateways() {
        let selector = gateway.spec().labels("/selector");
        if selector.is_empty() {
            continue;
        }
        let pods: Vec<&Resource> = snapshot.pods_with(&selector).collect();
        if pods.is_empty() && !is_usual(&selector) {
            report.add(
                Code::ReferencedResourceNotFound,
                gateway,
                "/spec/selector",
                format!("no pod has the labels {}", describe(&selector)),
            );
            continue;
        }
        let ports = match pods.is_empty() {
            true => BTreeSet::from(USUAL_PORTS),
            false => service_ports(snapshot, &pods),
        };
        for (index, server) in gateway.spec().list("/servers").iter().enumerate() {
            if let Some(port) = server.port("/port/number").filter(|port| !ports.contains(port)) {
                report.add(
                    Code::GatewayPortNotDefinedOnService,
                    gateway,
                    &format!("/spec/servers/{index}/port/number"),
                    format!("no service of the pods with {} has port {port}", describe(&selector)),
                );
            }
        }
    }
}

/// Ports of the services that lead to these pods, and the ports that they lead to.
fn service_ports(snapshot: &Snapshot, pods: &[&Resource]) -> BTreeSet<u64> {
    let mut ports = BTreeSet::new();
    for service in snapshot.all("Service") {
        let selector = service.spec().labels("/selector");
        let leads = |pod: &&Resource| {
            pod.namespace == service.namespace && !selector.is_empty() && selects(&selector, &pod.labels)
        };
        if !pods.iter().any(leads) {
            continue;
        }
        for port in service.spec().list("/ports") {
            if matches!(port.text("/protocol"), "" | "TCP") {
                ports.extend(port.port("/port"));
                ports.extend(port.port("/targetPort"));
            }
        }
    }
    ports
}

fn describe(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

/// One server of a Gateway.
struct Claim<'a> {
    gateway: &'a Resource,
    selector: Labels,
    index: usize,
    server: &'a Value,
    port: u64,
}

pub(super) fn check_conflicts(snapshot: &Snapshot, report: &mut Report) {
    let claims: Vec<Claim<'_>> = snapshot.gateways().flat_map(claims_of).collect();
    for claim in &claims {
        let hosts = claim.server.texts("/hosts");
        let others: BTreeSet<String> = claims
            .iter()
            .filter(|other| !other.gateway.is(claim.gateway) && other.port == claim.port)
            .filter(|other| other.server.text("/bind") == claim.server.text("/bind"))
            .filter(|other| other.server.texts("/hosts").iter().any(|host| hosts.contains(host)))
            .filter(|other| share_workload(snapshot, &claim.selector, &other.selector))
            .map(|other| other.gateway.path())
            .collect();
        if !others.is_empty() {
            let others: Vec<String> = others.into_iter().collect();
            report.add(
                Code::ConflictingGateways,
                claim.gateway,
                &format!("/spec/servers/{}", claim.index),
                format!(
                    "port {} with the hosts {} is also claimed by {} for workloads with {}",
                    claim.port,
                    hosts.join(","),
                    others.join(", "),
                    describe(&claim.selector)
                ),
            );
        }
    }
}

fn claims_of(gateway: &Resource) -> Vec<Claim<'_>> {
    let servers = gateway.spec().list("/servers").iter().enumerate();
    servers
        .filter_map(|(index, server)| {
            let port = server.port("/port/number")?;
            Some(Claim { gateway, selector: gateway.spec().labels("/selector"), index, server, port })
        })
        .collect()
}

/// Whether two selectors select the same workload: one implies the other, or a pod has the labels of both.
fn share_workload(snapshot: &Snapshot, one: &Labels, other: &Labels) -> bool {
    selects(one, other) || selects(other, one) || snapshot.pods_with(one).any(|pod| selects(other, &pod.labels))
}
