//! DestinationRules: TLS without verification, subsets without pods, hosts that nobody knows.

use std::collections::HashMap;

use serde_json::Value;

use crate::code::Code;
use crate::finding::Report;
use crate::hosts::Hosts;
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::{Labels, Look, selects};

const HOSTNAME: &str = "kubernetes.io/hostname";
const REGION: &str = "topology.kubernetes.io/region";
const ZONE: &str = "topology.kubernetes.io/zone";
const SUBZONE: &str = "topology.istio.io/subzone";

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
    let hosts = Hosts::of(snapshot);
    let nodes: HashMap<&str, &Resource> = snapshot.all("Node").map(|node| (node.name.as_str(), node)).collect();
    let pods: Vec<Labels> = snapshot.all("Pod").map(|pod| placed_labels(pod, &nodes)).collect();
    for rule in snapshot.all("DestinationRule") {
        let host = rule.spec().text("/host");
        let Some(known) = hosts.find(host, &rule.namespace, &rule.spec().texts("/exportTo")) else {
            let message = format!("no service and no ServiceEntry that the rule sees has the host {host}");
            report.add(Code::UnknownDestinationRuleHost, rule, "/spec/host", message);
            continue;
        };
        for (index, subset) in rule.spec().list("/subsets").iter().enumerate() {
            let mut selector = known.selector.clone();
            selector.extend(subset.labels("/labels"));
            if !pods.iter().any(|labels| selects(&selector, labels)) {
                let pairs: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
                report.add(
                    Code::DestinationRuleSubsetNotSelectPods,
                    rule,
                    &format!("/spec/subsets/{index}"),
                    format!("no pod has the labels {} of the subset {}", pairs.join(","), subset.text("/name")),
                );
            }
        }
    }
}

/// A pod's labels, and those that it gets from its node: the place, as far as each part of it is inside a known one.
fn placed_labels(pod: &Resource, nodes: &HashMap<&str, &Resource>) -> Labels {
    let mut labels = pod.labels.clone();
    let name = pod.spec().text("/nodeName");
    if name.is_empty() {
        return labels;
    }
    labels.insert(HOSTNAME.to_owned(), name.to_owned());
    let Some(node) = nodes.get(name) else { return labels };
    let part = |key: &str| node.labels.get(key).filter(|value| !value.is_empty()).cloned();
    labels.extend(part(REGION).map(|region| (REGION.to_owned(), region)));
    if let Some(zone) = part(ZONE) {
        labels.insert(ZONE.to_owned(), zone);
        labels.extend(part(SUBZONE).map(|subzone| (SUBZONE.to_owned(), subzone)));
    }
    labels
}
