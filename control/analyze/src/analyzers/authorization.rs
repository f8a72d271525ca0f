//! AuthorizationPolicies that hold for nothing, or speak of namespaces that do not exist.

use crate::code::Code;
use crate::finding::Report;
use crate::injection::pod_in_mesh;
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::Look;

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    for policy in snapshot.all("AuthorizationPolicy") {
        check_workloads(snapshot, policy, report);
        check_namespaces(snapshot, policy, report);
    }
}

fn check_workloads(snapshot: &Snapshot, policy: &Resource, report: &mut Report) {
    let mesh_wide = policy.namespace == snapshot.mesh_config.root_namespace();
    let selector = policy.spec().has("/selector").then(|| policy.spec().labels("/selector/matchLabels"));
    if mesh_wide && selector.is_none() {
        return;
    }
    let selector = selector.unwrap_or_default();
    let held = snapshot
        .pods_with(&selector)
        .any(|pod| (mesh_wide || pod.namespace == policy.namespace) && pod_in_mesh(snapshot, pod));
    if !held {
        let labels: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let place = if mesh_wide { String::new() } else { format!(" in the namespace {}", policy.namespace) };
        let asked = if labels.is_empty() { String::new() } else { format!(" with the labels {}", labels.join(",")) };
        report.add(
            Code::NoMatchingWorkloadsFound,
            policy,
            "/spec/selector",
            format!("there is no workload of the mesh{place}{asked}"),
        );
    }
}

fn check_namespaces(snapshot: &Snapshot, policy: &Resource, report: &mut Report) {
    for (rule_index, rule) in policy.spec().list("/rules").iter().enumerate() {
        for (index, from) in rule.list("/from").iter().enumerate() {
            for field in ["namespaces", "notNamespaces"] {
                for (place, pattern) in from.texts(&format!("/source/{field}")).into_iter().enumerate() {
                    if !snapshot.all("Namespace").any(|namespace| matches(pattern, &namespace.name)) {
                        report.add(
                            Code::ReferencedResourceNotFound,
                            policy,
                            &format!("/spec/rules/{rule_index}/from/{index}/source/{field}/{place}"),
                            format!("rules[{rule_index}].from[{index}].source.{field}[{place}]: no namespace is named {pattern:?}"),
                        );
                    }
                }
            }
        }
    }
}

/// Istio's string match: exact, prefix `a*`, suffix `*a`, or anything `*`.
fn matches(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(suffix), _) => name.ends_with(suffix),
        (None, Some(prefix)) => name.starts_with(prefix),
        (None, None) => pattern.eq_ignore_ascii_case(name),
    }
}
