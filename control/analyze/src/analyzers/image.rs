//! The sidecar's image: old ones, and `auto` where nothing replaces it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::proxy_config::ImageTypes;
use crate::code::Code;
use crate::finding::Report;
use crate::injection::{INJECTION, INJECTOR, PROXY, REVISION, containers, injector_of, injector_values};
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::{Labels, Look, label_selector_selects};

/// What the injector puts something in place of.
const AUTO: &str = "auto";
/// By which a pod chooses its image itself.
const OWN_IMAGE: &str = "sidecar.istio.io/proxyImage";
/// Names of Istio's webhooks end on this.
const ISTIO: &str = "istio.io";

pub(super) fn check_versions(snapshot: &Snapshot, report: &mut Report) {
    let maps = snapshot.all("ConfigMap").filter(|map| map.name.starts_with(INJECTOR));
    let images: BTreeMap<&str, String> = maps.map(|map| (map.name.as_str(), image_of(&injector_values(map)))).collect();
    let types = ImageTypes::of(snapshot);
    for namespace in snapshot.all("Namespace") {
        let Some(image) = injector(namespace).and_then(|name| images.get(name.as_str())) else { continue };
        let mut old: Vec<&str> = snapshot
            .all("Pod")
            .filter(|pod| pod.namespace == namespace.name && has_other_image(pod, image, &types.of_pod(pod)))
            .map(|pod| pod.name.as_str())
            .collect();
        old.sort_unstable();
        if !old.is_empty() {
            report.add(
                Code::PodsIstioProxyImageMismatchInNamespace,
                namespace,
                "",
                format!("the sidecar's image is not {image}, the current one, in {}", old.join(", ")),
            );
        }
    }
}

/// The ConfigMap by which a namespace's pods are injected, if they are.
fn injector(namespace: &Resource) -> Option<String> {
    match (namespace.labels.get(REVISION), namespace.labels.get(INJECTION)) {
        (Some(revision), _) => Some(injector_of(revision)),
        (None, Some(label)) if label == "enabled" => Some(injector_of("")),
        (None, Some(_) | None) => None,
    }
}

fn has_other_image(pod: &Resource, image: &str, image_type: &str) -> bool {
    let variant = format!("{image}-{image_type}");
    let chosen = pod.annotations.get(OWN_IMAGE).is_some_and(|own| !own.is_empty());
    let mut proxies = containers(pod.spec()).filter(|container| container.text("/name") == PROXY);
    !chosen && proxies.any(|proxy| proxy.text("/image") != image && proxy.text("/image") != variant)
}

/// The image that the injector would use now.
fn image_of(values: &Value) -> String {
    let (image, hub) = (values.text("/global/proxy/image"), values.text("/global/hub"));
    if image.contains('/') {
        return image.to_owned();
    }
    let tag = match values.at("/global/tag") {
        Value::String(tag) => tag.clone(),
        other => other.to_string(),
    };
    format!("{hub}/{image}:{tag}")
}

pub(super) fn check_auto(snapshot: &Snapshot, report: &mut Report) {
    for pod in snapshot.all("Pod").filter(|pod| has_auto_image(pod.spec())) {
        report.add(
            Code::ImageAutoWithoutInjectionError,
            pod,
            "/spec/containers",
            "the pod runs with the image auto, which injection should have replaced",
        );
    }
    for deployment in snapshot.all("Deployment") {
        let template = deployment.body.at("/spec/template");
        let labels = template.labels("/metadata/labels");
        if has_auto_image(template.at("/spec")) && !is_injected(snapshot, deployment, &labels) {
            report.add(
                Code::ImageAutoWithoutInjectionWarning,
                deployment,
                "/spec/template/spec/containers",
                "a container has the image auto, and no injection webhook selects the deployment's pods",
            );
        }
    }
}

fn has_auto_image(pod_spec: &Value) -> bool {
    let mut containers = pod_spec.list("/containers").iter();
    containers.any(|container| container.text("/name") == PROXY && container.text("/image") == AUTO)
}

fn is_injected(snapshot: &Snapshot, deployment: &Resource, labels: &Labels) -> bool {
    let namespace = snapshot.all("Namespace").find(|namespace| namespace.name == deployment.namespace);
    let of_namespace = namespace.map(|namespace| namespace.labels.clone()).unwrap_or_default();
    let configurations = snapshot.all("MutatingWebhookConfiguration");
    let mut webhooks = configurations.flat_map(|configuration| configuration.body.list("/webhooks"));
    webhooks.any(|webhook| {
        webhook.text("/name").ends_with(ISTIO)
            && label_selector_selects(webhook.at("/namespaceSelector"), &of_namespace)
            && label_selector_selects(webhook.at("/objectSelector"), labels)
    })
}
