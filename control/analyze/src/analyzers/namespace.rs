//! Namespaces and pods that are not injected, or asked to be in several ways.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::code::Code;
use crate::finding::Report;
use crate::injection::{
    AMBIENT, DATAPLANE_MODE, INJECTION, REVISION, containers, has_proxy, injector_of, injector_values, pod_wish,
};
use crate::resource::Resource;
use crate::snapshot::{ROOT_NAMESPACE, Snapshot};
use crate::value::Look;

const ENABLED: &str = "enabled";

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    let mut injected = BTreeSet::new();
    for namespace in snapshot.all("Namespace").filter(|namespace| namespace.name != ROOT_NAMESPACE) {
        if check_namespace(snapshot, namespace, report) {
            injected.insert(namespace.name.as_str());
        }
    }
    for pod in snapshot.all("Pod").filter(|pod| injected.contains(pod.namespace.as_str())) {
        let refuses = pod_wish(&pod.labels, &pod.annotations).is_some_and(|wish| wish.eq_ignore_ascii_case("false"));
        let on_host = pod.spec().at("/hostNetwork") == &Value::Bool(true);
        if !refuses && !on_host && !has_proxy(containers(pod.spec())) {
            report.add(
                Code::PodMissingProxy,
                pod,
                "/spec/containers",
                format!("the namespace is injected, and the pod {} has no sidecar", pod.path()),
            );
        }
    }
}

/// Whether the namespace's label asks for sidecars in its pods.
fn check_namespace(snapshot: &Snapshot, namespace: &Resource, report: &mut Report) -> bool {
    let label = |name: &str| namespace.labels.get(name).map(String::as_str);
    let (injection, revision) = (label(INJECTION), label(REVISION));
    check_labels(namespace, report);
    if label(DATAPLANE_MODE) == Some(AMBIENT) {
        return false;
    }
    if injection.unwrap_or_default().is_empty() && revision.is_none() {
        if injects_by_default(snapshot) {
            report.add(
                Code::NamespaceInjectionEnabledByDefault,
                namespace,
                "/metadata/name",
                "the namespace has no injection label, and is injected because that is the default",
            );
        } else {
            report.add(
                Code::NamespaceNotInjected,
                namespace,
                "/metadata/name",
                "the namespace has no injection label: its workloads are not part of the mesh",
            );
        }
    }
    injection == Some(ENABLED)
}

/// A label that disables injection goes with any other.
fn check_labels(namespace: &Resource, report: &mut Report) {
    let label = |name: &'static str| namespace.labels.get(name).map(|value| format!("{name}={value}"));
    let others_count = namespace.labels.get(INJECTION).is_none_or(|value| value == ENABLED);
    let others = [REVISION, DATAPLANE_MODE].into_iter().filter(|_| others_count);
    let asked: Vec<String> = [INJECTION].into_iter().chain(others).filter_map(label).collect();
    if asked.len() > 1 {
        report.add(
            Code::NamespaceMultipleInjectionLabels,
            namespace,
            "/metadata/labels",
            format!("the labels {} exclude each other", asked.join(" and ")),
        );
    }
}

/// `enableNamespacesByDefault` of the injector's values.
fn injects_by_default(snapshot: &Snapshot) -> bool {
    let name = injector_of("");
    let map = snapshot.all("ConfigMap").find(|map| map.name == name);
    map.is_some_and(|map| {
        injector_values(map).at("/sidecarInjectorWebhook/enableNamespacesByDefault") == &Value::Bool(true)
    })
}
