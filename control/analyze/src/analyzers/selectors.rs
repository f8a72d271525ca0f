//! Sidecars and Telemetries: at most one for each workload, and one for the rest of a namespace.

use std::collections::{BTreeMap, BTreeSet};

use crate::code::Code;
use crate::finding::Report;
use crate::injection::{is_ambient_namespace, is_ambient_pod};
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

/// A pod, and those that select it.
type Claimed<'a> = (&'a Resource, Vec<&'a Resource>);

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

/// Sidecars of what has none are in vain, and conflict with nothing.
pub(super) fn check_sidecars(snapshot: &Snapshot, report: &mut Report) {
    let mut in_vain = BTreeSet::new();
    let mut tell = |sidecar: &Resource, why: &str, report: &mut Report| {
        if in_vain.insert(sidecar.path()) {
            report.add(Code::IneffectivePolicy, sidecar, "/spec", format!("{why} in ambient mode, without sidecars"));
        }
    };
    for (pod, sidecars) in SIDECAR.check_workloads(snapshot, report) {
        if is_ambient_pod(pod) {
            for sidecar in sidecars {
                tell(sidecar, "a workload that it selects is", report);
            }
        } else {
            SIDECAR.check_conflict(&sidecars, pod, report);
        }
    }
    let general = snapshot.all("Sidecar").filter(|sidecar| sidecar.spec().labels(SIDECAR.selector).is_empty());
    for (namespace, sidecars) in by_namespace(general) {
        if snapshot.all("Namespace").any(|found| found.name == namespace && is_ambient_namespace(found)) {
            for sidecar in sidecars {
                tell(sidecar, "its namespace is", report);
            }
        } else {
            SIDECAR.check_several(namespace, &sidecars, report);
        }
    }
}

pub(super) fn check_telemetries(snapshot: &Snapshot, report: &mut Report) {
    for (pod, telemetries) in TELEMETRY.check_workloads(snapshot, report) {
        TELEMETRY.check_conflict(&telemetries, pod, report);
    }
}

pub(super) fn check_default_telemetries(snapshot: &Snapshot, report: &mut Report) {
    let general = snapshot.all("Telemetry").filter(|telemetry| !telemetry.spec().has("/selector"));
    for (namespace, telemetries) in by_namespace(general) {
        TELEMETRY.check_several(namespace, &telemetries, report);
    }
}

fn by_namespace<'a>(resources: impl Iterator<Item = &'a Resource>) -> BTreeMap<&'a str, Vec<&'a Resource>> {
    let mut all: BTreeMap<&str, Vec<&Resource>> = BTreeMap::new();
    for resource in resources {
        all.entry(&resource.namespace).or_default().push(resource);
    }
    all
}

impl Exclusive {
    /// Tells of selectors that select nothing; gives all pods that are selected.
    fn check_workloads<'a>(&self, snapshot: &'a Snapshot, report: &mut Report) -> Vec<Claimed<'a>> {
        let all = snapshot.all(self.kind).map(|found| (found, found.spec().labels(self.selector)));
        let selecting: Vec<(&Resource, Labels)> = all.filter(|(_, selector)| !selector.is_empty()).collect();
        for (resource, selector) in &selecting {
            if !snapshot.pods_with(selector).any(|pod| pod.namespace == resource.namespace) {
                let labels: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
                report.add(
                    Code::ReferencedResourceNotFound,
                    resource,
                    &format!("/spec{}", self.selector),
                    format!("no pod of the namespace {} has the labels {}", resource.namespace, labels.join(",")),
                );
            }
        }
        let claims = |pod: &'a Resource| {
            let own = selecting.iter().filter(|(resource, _)| resource.namespace == pod.namespace);
            own.filter(|(_, selector)| selects(selector, &pod.labels)).map(|(resource, _)| *resource).collect()
        };
        snapshot.all("Pod").map(|pod| (pod, claims(pod))).collect()
    }

    fn check_conflict(&self, claims: &[&Resource], pod: &Resource, report: &mut Report) {
        self.report(claims, &format!("the pod {}", pod.path()), self.conflict, report);
    }

    fn check_several(&self, namespace: &str, claims: &[&Resource], report: &mut Report) {
        self.report(claims, &format!("all of the namespace {namespace}"), self.several, report);
    }

    fn report(&self, claims: &[&Resource], what: &str, code: Code, report: &mut Report) {
        for claim in claims.iter().filter(|_| claims.len() > 1) {
            let others: Vec<String> =
                claims.iter().filter(|other| !other.is(claim)).map(|other| other.path()).collect();
            let message = format!("{what} is also selected by the {} {}", self.kind, others.join(", "));
            report.add(code, claim, &format!("/spec{}", self.selector), message);
        }
    }
}
