//! Which pods get a sidecar, as the injection webhook decides it.

use serde_json::Value;

use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::{Labels, Look};

/// ConfigMaps of the injector begin with this.
pub(crate) const INJECTOR: &str = "istio-sidecar-injector";
pub(crate) const PROXY: &str = "istio-proxy";
pub(crate) const INJECT: &str = "sidecar.istio.io/inject";
pub(crate) const INJECTION: &str = "istio-injection";
pub(crate) const REVISION: &str = "istio.io/rev";
pub(crate) const DATAPLANE_MODE: &str = "istio.io/dataplane-mode";
pub(crate) const AMBIENT: &str = "ambient";
const REDIRECTION: &str = "ambient.istio.io/redirection";

/// What a pod itself asks for: its label comes before its annotation.
pub(crate) fn pod_wish<'a>(labels: &'a Labels, annotations: &'a Labels) -> Option<&'a str> {
    labels.get(INJECT).or_else(|| annotations.get(INJECT)).map(String::as_str)
}

/// All containers of a pod's specification, those of initialisation too, where native sidecars are.
pub(crate) fn containers(pod_spec: &Value) -> impl Iterator<Item = &Value> {
    pod_spec.list("/containers").iter().chain(pod_spec.list("/initContainers"))
}

/// Whether the sidecar is among containers, with an image.
pub(crate) fn has_proxy<'a>(mut containers: impl Iterator<Item = &'a Value>) -> bool {
    containers.find(|container| container.text("/name") == PROXY).is_some_and(|proxy| !proxy.text("/image").is_empty())
}

pub(crate) fn is_ambient_pod(pod: &Resource) -> bool {
    pod.annotations.get(REDIRECTION).is_some_and(|value| value == "enabled")
}

/// Whether a namespace's workloads have no sidecars but a proxy per node. A label for sidecars comes first.
pub(crate) fn is_ambient_namespace(namespace: &Resource) -> bool {
    let label = |name: &str| namespace.labels.get(name).map(String::as_str).unwrap_or_default();
    label(INJECTION) != "enabled" && label(REVISION).is_empty() && label(DATAPLANE_MODE) == AMBIENT
}

/// Whether a pod is part of the mesh, with a sidecar or without one.
pub(crate) fn pod_in_mesh(snapshot: &Snapshot, pod: &Resource) -> bool {
    is_ambient_pod(pod)
        || has_proxy(containers(pod.spec()))
        || is_injected(snapshot, &pod.namespace, &pod.labels, &pod.annotations)
}

/// Whether a deployment's pods get a sidecar.
pub(crate) fn deployment_in_mesh(snapshot: &Snapshot, deployment: &Resource) -> bool {
    let template = deployment.body.at("/spec/template");
    let (labels, annotations) = (template.labels("/metadata/labels"), template.labels("/metadata/annotations"));
    has_proxy(template.list("/spec/containers").iter())
        || is_injected(snapshot, &deployment.namespace, &labels, &annotations)
}

fn is_injected(snapshot: &Snapshot, namespace: &str, labels: &Labels, annotations: &Labels) -> bool {
    if let Some(wish) = pod_wish(labels, annotations) {
        return wish == "true";
    }
    let namespace = snapshot.all("Namespace").find(|found| found.name == namespace);
    namespace.and_then(|found| found.labels.get(INJECTION)).is_some_and(|label| label == "enabled")
}

/// The injector's ConfigMap of a revision.
pub(crate) fn injector_of(revision: &str) -> String {
    match revision {
        "" | "default" => INJECTOR.to_owned(),
        named => format!("{INJECTOR}-{named}"),
    }
}

/// The values in a ConfigMap of the injector.
pub(crate) fn injector_values(map: &Resource) -> Value {
    serde_json::from_str(map.body.text("/data/values")).unwrap_or_default()
}
