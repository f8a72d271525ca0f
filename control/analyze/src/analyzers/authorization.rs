//! AuthorizationPolicies that hold for nothing, or speak of namespaces that do not exist.

use crate::code::Code;
use crate::finding::Report;
use crate::injection::pod_in_mesh;
use crate::resource::Resource;
use crate::snapshot::{ROOT_NAMESPACE, Snapshot};
use crate::value::{Look, selects};

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    for policy in snapshot.all("AuthorizationPolicy") {
        check_workloads(snapshot, policy, report);
        check_namespaces(snapshot, policy, report);
    }
}

fn check_workloads(snapshot: &Snapshot, policy: &Resource, report: &mut Report) {
    let spec = policy.spec();
    if spec.has("/targetRef") || !spec.list("/targetRefs").is_empty() {
        return;
    }
    let selector = spec.labels("/selector/matchLabels");
    let mesh_wide = policy.namespace == ROOT_NAMESPACE;
    if mesh_wide && selector.is_empty() {
        return;
    }
    let held = snapshot.all("Pod").any(|pod| {
        (mesh_wide || pod.namespace == policy.namespace)
            && selects(&selector, &pod.labels)
            && pod_in_mesh(snapshot, pod)
    });
    if !held {
        let labels: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let message = match (labels.is_empty(), mesh_wide) {
            (true, _) => format!("no workload of the mesh runs in the namespace {}", policy.namespace),
            (false, true) => format!("no workload of the mesh has the labels {}", labels.join(",")),
            (false, false) => {
                format!(
                    "no workload of the mesh in the namespace {} has the labels {}",
                    policy.namespace,
                    labels.join(",")
                )
            }
        };
        report.add(Code::NoMatchingWorkloadsFound, policy, "/spec/selector", message);
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
                            format!("no namespace is named {pattern:?}"),
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
        (None, None) => pattern == name,
    }
}
