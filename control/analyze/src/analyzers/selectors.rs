//! Sidecars and Telemetries: at most one for each workload, and one for the rest of a namespace.

use std::collections::BTreeMap;

use crate::code::Code;
use crate::finding::Report;
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::{Labels, Look, selects};

/// A kind of which at most one may select a workload.
struct Exclusive {
    kind: &'static str,
    /// Where its labels stand in `spec`.
    selector: &'static str,
    conflict: Code,
    several: Code,
}

const SIDECAR: Exclusive = Exclusive {
    kind: "Sidecar",
    selector: "/workloadSelector/labels",
    conflict: Code::ConflictingSidecarWorkloadSelectors,
    several: Code::MultipleSidecarsWithoutWorkloadSelectors,
};

const TELEMETRY: Exclusive = Exclusive {
    kind: "Telemetry",
    selector: "/selector/matchLabels",
    conflict: Code::ConflictingTelemetryWorkloadSelectors,
    several: Code::MultipleTelemetriesWithoutWorkloadSelectors,
};

pub(super) fn check_sidecars(snapshot: &Snapshot, report: &mut Report) {
    SIDECAR.check_selectors(snapshot, report);
}

pub(super) fn check_default_sidecars(snapshot: &Snapshot, report: &mut Report) {
    SIDECAR.check_defaults(snapshot, report);
}

pub(super) fn check_telemetries(snapshot: &Snapshot, report: &mut Report) {
    TELEMETRY.check_selectors(snapshot, report);
}

pub(super) fn check_default_telemetries(snapshot: &Snapshot, report: &mut Report) {
    TELEMETRY.check_defaults(snapshot, report);
}

impl Exclusive {
    fn all<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = (&'a Resource, Labels)> {
        snapshot
            .all(self.kind)
            .filter(|found| !found.spec().has("/targetRef") && found.spec().list("/targetRefs").is_empty())
            .map(|found| (found, found.spec().labels(self.selector)))
    }

    fn check_selectors(&self, snapshot: &Snapshot, report: &mut Report) {
        let selecting: Vec<_> = self.all(snapshot).filter(|(_, selector)| !selector.is_empty()).collect();
        let pointer = format!("/spec{}", self.selector);
        for (resource, selector) in &selecting {
            let mut pods = snapshot.pods_with(selector).filter(|pod| pod.namespace == resource.namespace);
            if pods.next().is_none() {
                let labels: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
                report.add(
                    Code::ReferencedResourceNotFound,
                    resource,
                    &pointer,
                    format!("no pod of the namespace {} has the labels {}", resource.namespace, labels.join(",")),
                );
            }
        }
        for pod in snapshot.all("Pod") {
            let claims: Vec<_> = selecting
                .iter()
                .filter(|(resource, selector)| resource.namespace == pod.namespace && selects(selector, &pod.labels))
                .map(|(resource, _)| *resource)
                .collect();
            self.report_conflict(&claims, &format!("the pod {}", pod.path()), self.conflict, report);
        }
    }

    fn check_defaults(&self, snapshot: &Snapshot, report: &mut Report) {
        let mut by_namespace: BTreeMap<&str, Vec<&Resource>> = BTreeMap::new();
        for (resource, _) in self.all(snapshot).filter(|(_, selector)| selector.is_empty()) {
            by_namespace.entry(&resource.namespace).or_default().push(resource);
        }
        for (namespace, resources) in by_namespace {
            self.report_conflict(&resources, &format!("all of the namespace {namespace}"), self.several, report);
        }
    }

    fn report_conflict(&self, claims: &[&Resource], what: &str, code: Code, report: &mut Report) {
        if claims.len() < 2 {
            return;
        }
        for claim in claims {
            let others: Vec<String> =
                claims.iter().filter(|other| !other.is(claim)).map(|other| other.path()).collect();
            report.add(
                code,
                claim,
                &format!("/spec{}", self.selector),
                format!("{what} is also selected by the {} {}", self.kind, others.join(", ")),
            );
        }
    }
}
