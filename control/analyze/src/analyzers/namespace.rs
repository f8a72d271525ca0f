//! Namespaces and pods that are not injected, or asked to be in several ways.

use std::collections::BTreeSet;

use crate::code::Code;
use crate::finding::Report;
use crate::injection::{NamespaceMode, has_proxy, injects_by_default, is_ambient_pod, namespace_mode, pod_wish};
use crate::snapshot::{Snapshot, is_system};
use crate::value::Look;

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    let by_default = injects_by_default(snapshot);
    let mut injected = BTreeSet::new();
    for namespace in snapshot.all("Namespace").filter(|namespace| !is_system(&namespace.name)) {
        match namespace_mode(&namespace.labels) {
            NamespaceMode::Injected => {
                injected.insert(namespace.name.as_str());
            }
            NamespaceMode::Disabled | NamespaceMode::Ambient => {}
            NamespaceMode::Contradictory => report.add(
                Code::NamespaceMultipleInjectionLabels,
                namespace,
                "/metadata/labels",
                "the labels istio-injection, istio.io/rev and istio.io/dataplane-mode exclude each other",
            ),
            NamespaceMode::Unlabelled if by_default => {
                injected.insert(namespace.name.as_str());
                report.add(
                    Code::NamespaceInjectionEnabledByDefault,
                    namespace,
                    "/metadata/labels",
                    "the namespace has no injection label, and is injected because that is the default",
                );
            }
            NamespaceMode::Unlabelled => report.add(
                Code::NamespaceNotInjected,
                namespace,
                "/metadata/labels",
                "the namespace has no injection label: its workloads are not part of the mesh",
            ),
        }
    }
    for pod in snapshot.all("Pod").filter(|pod| injected.contains(pod.namespace.as_str())) {
        let outside = pod.spec().at("/hostNetwork") == &serde_json::Value::Bool(true)
            || is_ambient_pod(pod)
            || pod_wish(&pod.labels, &pod.annotations) == Some(false);
        if !outside && !has_proxy(pod.spec()) {
            report.add(
                Code::PodMissingProxy,
                pod,
                "/spec/containers",
                "the namespace is injected, and the pod has no sidecar",
            );
        }
    }
}
