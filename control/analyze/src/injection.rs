//! Which pods get a sidecar, as the injection webhook decides it.

use serde_json::Value;

use crate::resource::Resource;
use crate::snapshot::{ROOT_NAMESPACE, Snapshot};
use crate::value::{Labels, Look};

const INJECTOR: &str = "istio-sidecar-injector";
pub(crate) const PROXY: &str = "istio-proxy";
pub(crate) const INJECT: &str = "sidecar.istio.io/inject";
const INJECTION: &str = "istio-injection";
pub(crate) const REVISION: &str = "istio.io/rev";
const DATAPLANE_MODE: &str = "istio.io/dataplane-mode";
const REDIRECTION: &str = "ambient.istio.io/redirection";

/// What a namespace's labels ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamespaceMode {
    Injected,
    Disabled,
    Ambient,
    /// Several labels at once that say different things.
    Contradictory,
    Unlabelled,
}

pub(crate) fn namespace_mode(labels: &Labels) -> NamespaceMode {
    let injection = labels.get(INJECTION).map(String::as_str);
    let revision = labels.contains_key(REVISION);
    let ambient = labels.get(DATAPLANE_MODE).is_some_and(|mode| mode == "ambient");
    match (injection, revision, ambient) {
        (Some("enabled"), true, _) | (Some("enabled"), _, true) => NamespaceMode::Contradictory,
        (Some("enabled"), false, false) => NamespaceMode::Injected,
        (Some(_), _, _) => NamespaceMode::Disabled,
        (None, true, true) => NamespaceMode::Contradictory,
        (None, true, false) => NamespaceMode::Injected,
        (None, false, true) => NamespaceMode::Ambient,
        (None, false, false) => NamespaceMode::Unlabelled,
    }
}

/// What the pod itself asks for: its label comes before its annotation.
pub(crate) fn pod_wish(labels: &Labels, annotations: &Labels) -> Option<bool> {
    labels.get(INJECT).or_else(|| annotations.get(INJECT)).map(|value| value == "true")
}

/// All containers of a pod's specification, those of initialisation too, where native sidecars are.
pub(crate) fn containers(pod_spec: &Value) -> impl Iterator<Item = &Value> {
    pod_spec.list("/containers").iter().chain(pod_spec.list("/initContainers"))
}

pub(crate) fn has_proxy(pod_spec: &Value) -> bool {
    containers(pod_spec).any(|container| container.text("/name") == PROXY)
}

pub(crate) fn is_ambient_pod(pod: &Resource) -> bool {
    pod.annotations.get(REDIRECTION).is_some_and(|value| value == "enabled")
}

/// Whether a pod is part of the mesh, with a sidecar or without one.
pub(crate) fn pod_in_mesh(snapshot: &Snapshot, pod: &Resource) -> bool {
    if is_ambient_pod(pod) {
        return true;
    }
    in_mesh(snapshot, &pod.namespace, &pod.labels, &pod.annotations, pod.spec())
}

/// Whether a deployment's pods are part of the mesh.
pub(crate) fn deployment_in_mesh(snapshot: &Snapshot, deployment: &Resource) -> bool {
    let template = deployment.body.at("/spec/template");
    let (labels, annotations) = (template.labels("/metadata/labels"), template.labels("/metadata/annotations"));
    in_mesh(snapshot, &deployment.namespace, &labels, &annotations, template.at("/spec"))
}

fn in_mesh(snapshot: &Snapshot, namespace: &str, labels: &Labels, annotations: &Labels, pod_spec: &Value) -> bool {
    if has_proxy(pod_spec) {
        return true;
    }
    if let Some(wish) = pod_wish(labels, annotations) {
        return wish;
    }
    let found = snapshot.all("Namespace").find(|found| found.name == namespace);
    match found.map_or(NamespaceMode::Unlabelled, |found| namespace_mode(&found.labels)) {
        NamespaceMode::Injected | NamespaceMode::Ambient | NamespaceMode::Contradictory => true,
        NamespaceMode::Disabled => false,
        NamespaceMode::Unlabelled => injects_by_default(snapshot),
    }
}

/// `enableNamespacesByDefault` of the injector's values.
pub(crate) fn injects_by_default(snapshot: &Snapshot) -> bool {
    injector_values(snapshot, None)
        .is_some_and(|values| values.at("/sidecarInjectorWebhook/enableNamespacesByDefault") == &Value::Bool(true))
}

/// The values in the sidecar injector's ConfigMap, of which each revision has its own.
pub(crate) fn injector_values(snapshot: &Snapshot, revision: Option<&String>) -> Option<Value> {
    let name = match revision {
        None => INJECTOR.to_owned(),
        Some(revision) => format!("{INJECTOR}-{revision}"),
    };
    let map = snapshot.all("ConfigMap").find(|found| found.namespace == ROOT_NAMESPACE && found.name == name)?;
    serde_json::from_str(map.body.text("/data/values")).ok()
}
