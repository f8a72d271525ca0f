//! Istio's annotations: their names, the kinds that they belong to, and their values.

mod format;
mod known;

use known::{Annotation, Place, Stage};

use crate::code::Code;
use crate::finding::Report;
use crate::injection::INJECT;
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::{Look, step};

/// Kinds whose annotations are looked at.
const KINDS: [&str; 4] = ["Namespace", "Service", "Pod", "Deployment"];
/// Set by controllers, not by people.
const AUTOMATIC: [&str; 3] = ["gateway.istio.io/controller-version", "istio.io/rev", "sidecar.istio.io/status"];
/// Set by the injector where the CNI plugin redirects instead of an init container.
const BY_INJECTOR: [&str; 4] = [
    "sidecar.istio.io/interceptionMode",
    "traffic.sidecar.istio.io/excludeInboundPorts",
    "traffic.sidecar.istio.io/includeInboundPorts",
    "traffic.sidecar.istio.io/includeOutboundIPRanges",
];
/// The container that redirects, where there is no CNI plugin.
const REDIRECTION: &str = "istio-init";

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    for resource in KINDS.into_iter().flat_map(|kind| snapshot.all(kind)) {
        for (name, value) in own(resource) {
            check_annotation(resource, name, value, report);
        }
    }
}

/// Istio's annotations that somebody wrote.
fn own(resource: &Resource) -> impl Iterator<Item = (&String, &String)> {
    resource.annotations.iter().filter(|(name, _)| is_istio(name) && !AUTOMATIC.contains(&name.as_str()))
}

/// Annotations that Istio calls its own by their domain, and the one of Kubernetes that it documents.
fn is_istio(name: &str) -> bool {
    let domain = name.split('/').next().unwrap_or_default();
    name == "kubernetes.io/ingress.class" || domain.ends_with("istio.io")
}

fn check_annotation(resource: &Resource, name: &str, value: &str, report: &mut Report) {
    let pointer = pointer_to(name);
    let Some(known) = Annotation::find(name) else {
        report.add(Code::UnknownAnnotation, resource, &pointer, format!("there is no annotation {name}"));
        return;
    };
    // Who has the label too knows that it takes the annotation's place.
    let replaced = name == INJECT && resource.labels.contains_key(INJECT);
    if known.deprecated && !replaced {
        report.add(Code::DeprecatedAnnotation, resource, &pointer, format!("the annotation {name} is deprecated"));
    }
    match known.place {
        Place::Anywhere => {}
        Place::On(kinds) if !kinds.contains(&resource.kind.as_str()) => report.add(
            Code::MisplacedAnnotation,
            resource,
            &pointer,
            format!("the annotation {name} belongs on a {}", kinds.join(" or ")),
        ),
        Place::On(_) => {
            if let Some(expected) = known.format.complaint(value) {
                report.add(
                    Code::InvalidAnnotation,
                    resource,
                    &pointer,
                    format!("{name} is {value:?}; it must be {expected}"),
                );
            }
        }
    }
}

/// Annotations that may change. Not part of what is run by default: the injector sets several of them itself.
pub(super) fn check_stage(snapshot: &Snapshot, report: &mut Report) {
    for resource in KINDS.into_iter().flat_map(|kind| snapshot.all(kind)) {
        let mut inits = resource.spec().list("/initContainers").iter();
        let injected_by_cni = resource.kind == "Pod" && !inits.any(|init| init.text("/name") == REDIRECTION);
        for (name, _) in own(resource) {
            let is_alpha = Annotation::find(name).is_some_and(|known| match known.stage {
                Stage::Alpha => true,
                Stage::Beta | Stage::Stable => false,
            });
            if is_alpha && !(injected_by_cni && BY_INJECTOR.contains(&name.as_str())) {
                report.add(
                    Code::AlphaAnnotation,
                    resource,
                    &pointer_to(name),
                    format!("the annotation {name} is alpha, and may change or go"),
                );
            }
        }
    }
}

fn pointer_to(name: &str) -> String {
    format!("/metadata/annotations/{}", step(name))
}
