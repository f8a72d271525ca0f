//! DestinationRules: TLS without verification, subsets without pods, hosts that nobody knows.

use serde_json::Value;

use crate::code::Code;
use crate::finding::Report;
use crate::host::{covers, full_name};
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::{Labels, Look, selects};

/// Labels that come from where a pod runs, not from the pod.
const PLACE_LABELS: [&str; 5] = [
    "topology.istio.io/cluster",
    "topology.istio.io/network",
    "topology.istio.io/subzone",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

pub(super) fn check_certificates(snapshot: &Snapshot, report: &mut Report) {
    for rule in snapshot.all("DestinationRule") {
        let spec = rule.spec();
        let selected = spec.has("/workloadSelector");
        let tls = spec.at("/trafficPolicy/tls");
        if verifies_nothing(tls, selected) {
            report.add(
                Code::NoServerCertificateVerificationDestinationLevel,
                rule,
                "/spec/trafficPolicy/tls",
                format!(
                    "TLS of mode {} to {} verifies no certificate: caCertificates is not set",
                    tls.text("/mode"),
                    spec.text("/host")
                ),
            );
        }
        for (index, port) in spec.list("/trafficPolicy/portLevelSettings").iter().enumerate() {
            let tls = port.at("/tls");
            if verifies_nothing(tls, selected) {
                report.add(
                    Code::NoServerCertificateVerificationPortLevel,
                    rule,
                    &format!("/spec/trafficPolicy/portLevelSettings/{index}/tls"),
                    format!(
                        "TLS of mode {} to {} port {} verifies no certificate: caCertificates is not set",
                        tls.text("/mode"),
                        spec.text("/host"),
                        port.port("/port/number").unwrap_or_default()
                    ),
                );
            }
        }
    }
}

/// A sidecar can use a credential's CA only if the rule selects workloads.
fn verifies_nothing(tls: &Value, selected: bool) -> bool {
    let credential = selected && !tls.text("/credentialName").is_empty();
    matches!(tls.text("/mode"), "SIMPLE" | "MUTUAL") && tls.text("/caCertificates").is_empty() && !credential
}

pub(super) fn check_subsets(snapshot: &Snapshot, report: &mut Report) {
    for rule in snapshot.all("DestinationRule") {
        let host = full_name(rule.spec().text("/host"), &rule.namespace);
        let Some(service) = service_of(snapshot, &host) else {
            check_host(snapshot, rule, &host, report);
            continue;
        };
        let selector = service.spec().labels("/selector");
        if selector.is_empty() {
            continue;
        }
        let pods: Vec<&Resource> = snapshot
            .all("Pod")
            .filter(|pod| pod.namespace == service.namespace && selects(&selector, &pod.labels))
            .collect();
        for (index, subset) in rule.spec().list("/subsets").iter().enumerate() {
            let labels = subset.labels("/labels");
            if !labels.is_empty() && !pods.iter().any(|pod| is_in_subset(snapshot, pod, &labels)) {
                let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
                report.add(
                    Code::DestinationRuleSubsetNotSelectPods,
                    rule,
                    &format!("/spec/subsets/{index}"),
                    format!(
                        "no pod of {host} has the labels {} of the subset {}",
                        pairs.join(","),
                        subset.text("/name")
                    ),
                );
            }
        }
    }
}

fn service_of<'a>(snapshot: &'a Snapshot, host: &str) -> Option<&'a Resource> {
    let (name, namespace) = host.strip_suffix(".svc.cluster.local")?.split_once('.')?;
    snapshot.all("Service").find(|service| service.name == name && service.namespace == namespace)
}

fn check_host(snapshot: &Snapshot, rule: &Resource, host: &str, report: &mut Report) {
    let entry = snapshot
        .all("ServiceEntry")
        .any(|entry| entry.spec().texts("/hosts").iter().any(|known| covers(known, host) || covers(host, known)));
    if !entry && !host.starts_with('*') {
        report.add(Code::UnknownDestinationRuleHost, rule, "/spec/host", format!("nothing has the host {host}"));
    }
}

fn is_in_subset(snapshot: &Snapshot, pod: &Resource, labels: &Labels) -> bool {
    let node = snapshot.all("Node").find(|node| node.name == pod.spec().text("/nodeName"));
    labels.iter().all(|(key, value)| {
        let of_pod = pod.labels.get(key);
        let of_place =
            PLACE_LABELS.contains(&key.as_str()).then(|| node.and_then(|node| node.labels.get(key))).flatten();
        !value.is_empty() && of_pod.or(of_place) == Some(value)
    })
}
