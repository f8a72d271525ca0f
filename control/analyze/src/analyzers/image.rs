//! The sidecar's image: old ones, and `auto` where nothing replaces it.

use serde_json::Value;

use crate::code::Code;
use crate::finding::Report;
use crate::injection::{NamespaceMode, PROXY, REVISION, containers, injector_values, namespace_mode, pod_wish};
use crate::resource::Resource;
use crate::snapshot::{Snapshot, is_system};
use crate::value::{Labels, Look, label_selector_selects};

/// What the injector puts in place of.
const AUTO: &str = "auto";
/// Variants of the same version.
const VARIANTS: [&str; 2] = ["-distroless", "-debug"];

pub(super) fn check_versions(snapshot: &Snapshot, report: &mut Report) {
    for namespace in snapshot.all("Namespace").filter(|found| namespace_mode(&found.labels) == NamespaceMode::Injected)
    {
        let Some(values) = injector_values(snapshot, namespace.labels.get(REVISION)) else { continue };
        let current = current_image(&values);
        let old: Vec<&str> = snapshot
            .all("Pod")
            .filter(|pod| pod.namespace == namespace.name && has_other_image(pod, &current))
            .map(|pod| pod.name.as_str())
            .collect();
        if !old.is_empty() {
            report.add(
                Code::PodsIstioProxyImageMismatchInNamespace,
                namespace,
                "",
                format!("the sidecar's image is not {current}, the current one, in {}", old.join(", ")),
            );
        }
    }
}

/// A pod may choose its image or have none.
fn has_other_image(pod: &Resource, current: &str) -> bool {
    pod_wish(&pod.labels, &pod.annotations) != Some(false)
        && !pod.annotations.contains_key("sidecar.istio.io/proxyImage")
        && containers(pod.spec())
            .filter(|container| container.text("/name") == PROXY)
            .any(|proxy| version_of(proxy.text("/image")) != version_of(current))
}

/// The image that the injector would use now.
fn current_image(values: &Value) -> String {
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

fn version_of(image: &str) -> &str {
    VARIANTS.iter().find_map(|variant| image.strip_suffix(variant)).unwrap_or(image)
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
    for deployment in snapshot.all("Deployment").filter(|found| !is_system(&found.namespace)) {
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
    containers(pod_spec).any(|container| container.text("/name") == PROXY && container.text("/image") == AUTO)
}

fn is_injected(snapshot: &Snapshot, deployment: &Resource, labels: &Labels) -> bool {
    let mut of_namespace = snapshot
        .all("Namespace")
        .find(|namespace| namespace.name == deployment.namespace)
        .map(|namespace| namespace.labels.clone())
        .unwrap_or_default();
    of_namespace.insert("kubernetes.io/metadata.name".to_owned(), deployment.namespace.clone());
    snapshot.all("MutatingWebhookConfiguration").any(|configuration| {
        configuration.body.list("/webhooks").iter().any(|webhook| {
            label_selector_selects(webhook.at("/namespaceSelector"), &of_namespace)
                && label_selector_selects(webhook.at("/objectSelector"), labels)
        })
    })
}
