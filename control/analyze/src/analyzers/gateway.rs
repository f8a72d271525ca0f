//! Istio's Gateways: their workloads, the ports of those, and who claims the same host and port.

use std::collections::{BTreeMap, BTreeSet};

use crate::code::Code;
use crate::finding::Report;
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::{Labels, Look, selects};

pub(super) fn check_ports(snapshot: &Snapshot, report: &mut Report) {
    for gateway in snapshot.gateways() {
        let selector = gateway.spec().labels("/selector");
        let pods: Vec<&Resource> = snapshot.pods_with(&selector).collect();
        if pods.is_empty() {
            report_missing(gateway, &selector, report);
            continue;
        }
        let ports = service_ports(snapshot, &pods);
        for (index, server) in gateway.spec().list("/servers").iter().enumerate() {
            if !server.has("/port") {
                continue;
            }
            let port = server.port("/port/number").unwrap_or_default();
            if !ports.contains(&port) {
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

/// Tells that a gateway selects no workload.
pub(super) fn report_missing(gateway: &Resource, selector: &Labels, report: &mut Report) {
    let message = format!("no pod has the labels {}", describe(selector));
    report.add(Code::ReferencedResourceNotFound, gateway, "/spec/selector", message);
}

/// Ports of the services that lead to these pods, and the ports that they lead to.
fn service_ports(snapshot: &Snapshot, pods: &[&Resource]) -> BTreeSet<u64> {
    let mut ports = BTreeSet::new();
    for service in snapshot.all("Service") {
        let selector = service.spec().labels("/selector");
        if !pods.iter().any(|pod| pod.namespace == service.namespace && selects(&selector, &pod.labels)) {
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

/// As `kubectl` writes selectors, in the order of their keys.
fn describe(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

/// What one Gateway claims of one port: of several servers on the port the last counts, as in Istio's analysis.
struct Claim<'a> {
    gateway: &'a Resource,
    hosts: Vec<&'a str>,
    bind: &'a str,
}

/// Claims by selector, and then by port and Gateway.
type Claims<'a> = BTreeMap<String, (Labels, BTreeMap<(u64, String), Claim<'a>>)>;

pub(super) fn check_conflicts(snapshot: &Snapshot, report: &mut Report) {
    let claims = claims(snapshot);
    for gateway in snapshot.gateways() {
        let selector = gateway.spec().labels("/selector");
        let (written, path) = (describe(&selector), gateway.path());
        let rivals: Vec<_> = claims
            .iter()
            .filter(|(other, (labels, _))| share_workload(snapshot, (&written, &selector), (other, labels)))
            .flat_map(|(_, (_, claims))| claims)
            .collect();
        if rivals.is_empty() && !selector.is_empty() {
            report_missing(gateway, &selector, report);
            continue;
        }
        for (index, server) in gateway.spec().list("/servers").iter().enumerate() {
            let (port, hosts) = (server.port("/port/number").unwrap_or_default(), server.texts("/hosts"));
            let takes = |claim: &Claim<'_>| {
                claim.bind == server.text("/bind") && hosts.iter().any(|host| claim.hosts.contains(host))
            };
            let others: BTreeSet<String> = rivals
                .iter()
                .filter(|((number, name), claim)| *number == port && *name != path && takes(claim))
                .map(|(_, claim)| claim.gateway.path())
                .collect();
            if !others.is_empty() {
                let others: Vec<String> = others.into_iter().collect();
                report.add(
                    Code::ConflictingGateways,
                    gateway,
                    &format!("/spec/servers/{index}"),
                    format!(
                        "port {port} with the hosts {} is also claimed by {} for workloads with {written}",
                        hosts.join(","),
                        others.join(", "),
                    ),
                );
            }
        }
    }
}

fn claims(snapshot: &Snapshot) -> Claims<'_> {
    let mut claims = Claims::new();
    for gateway in snapshot.gateways() {
        let selector = gateway.spec().labels("/selector");
        for server in gateway.spec().list("/servers") {
            let port = server.port("/port/number").unwrap_or_default();
            let claim = Claim { gateway, hosts: server.texts("/hosts"), bind: server.text("/bind") };
            let (_, of_selector) =
                claims.entry(describe(&selector)).or_insert_with(|| (selector.clone(), BTreeMap::new()));
            of_selector.insert((port, gateway.path()), claim);
        }
    }
    claims
}

/// Whether two selectors are the same, or the text of one is a part of the other's and some pod has the labels of both.
fn share_workload(snapshot: &Snapshot, (one, labels): (&str, &Labels), (other, others): (&str, &Labels)) -> bool {
    let nested = || one.contains(other) || other.contains(one);
    one == other || (nested() && snapshot.pods_with(labels).any(|pod| selects(others, &pod.labels)))
}
