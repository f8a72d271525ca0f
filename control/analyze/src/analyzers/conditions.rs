//! Status conditions that say that something does not work.

use serde_json::Value;

use crate::code::Code;
use crate::finding::Report;
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::Look;

/// Conditions of the mesh and of the Gateway API that are `True` when all is well.
const POSITIVE: [&str; 8] = [
    "Accepted",
    "Programmed",
    "Ready",
    "ResolvedRefs",
    "Reconciled",
    "WaypointAccepted",
    "ZtunnelAccepted",
    "istio.io/WaypointBound",
];

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    for resource in snapshot.resources().iter().filter(|resource| is_of_mesh(resource)) {
        let status = resource.body.at("/status");
        check_list(resource, status, "/status", report);
        for list in ["parents", "ancestors"] {
            for (index, parent) in status.list(&format!("/{list}")).iter().enumerate() {
                check_list(resource, parent, &format!("/status/{list}/{index}"), report);
            }
        }
    }
}

/// Kinds on which the mesh writes conditions.
fn is_of_mesh(resource: &Resource) -> bool {
    resource.kind == "Service"
        || resource.group.ends_with(".istio.io")
        || resource.group == crate::snapshot::GATEWAY_API
}

fn check_list(resource: &Resource, holder: &Value, pointer: &str, report: &mut Report) {
    for (index, condition) in holder.list("/conditions").iter().enumerate() {
        let (kind, status, reason) = (condition.text("/type"), condition.text("/status"), condition.text("/reason"));
        let known = POSITIVE.contains(&kind) || kind.starts_with("istio.io/");
        // A policy whose targets are partly missing is accepted all the same.
        let negative = status == "False" || reason == "PartiallyInvalid";
        if known && negative {
            report.add(
                Code::NegativeConditionStatus,
                resource,
                &format!("{pointer}/conditions/{index}"),
                format!("{kind} is {status} ({reason}): {}", condition.text("/message")),
            );
        }
    }
}
