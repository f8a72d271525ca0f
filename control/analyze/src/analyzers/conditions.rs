//! Status conditions that say that something does not work.

use serde_json::Value;

use crate::code::Code;
use crate::finding::Report;
use crate::resource::Resource;
use crate::snapshot::{GATEWAY_API, ISTIO_NETWORKING, Snapshot};
use crate::value::Look;

/// A kind, and its conditions that tell of trouble when they are `False`.
struct Watched {
    group: &'static str,
    kind: &'static str,
    conditions: &'static [&'static str],
}

const WAYPOINT: &[&str] = &["istio.io/WaypointBound"];
const PROGRAM: &[&str] = &["Accepted", "Programmed", "ResolvedRefs"];

const WATCHED: [Watched; 7] = [
    Watched { group: "", kind: "Service", conditions: WAYPOINT },
    Watched { group: ISTIO_NETWORKING, kind: "ServiceEntry", conditions: WAYPOINT },
    Watched { group: ISTIO_NETWORKING, kind: "WorkloadEntry", conditions: WAYPOINT },
    Watched {
        group: "security.istio.io",
        kind: "AuthorizationPolicy",
        conditions: &["WaypointAccepted", "ZtunnelAccepted"],
    },
    Watched { group: GATEWAY_API, kind: "Gateway", conditions: PROGRAM },
    Watched { group: GATEWAY_API, kind: "HTTPRoute", conditions: PROGRAM },
    Watched { group: GATEWAY_API, kind: "GRPCRoute", conditions: PROGRAM },
];

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    for watched in WATCHED {
        for resource in snapshot.all(watched.kind).filter(|resource| resource.group == watched.group) {
            let status = resource.body.at("/status");
            check_list(&watched, resource, status, "/status", report);
            for (index, parent) in status.list("/parents").iter().enumerate() {
                check_list(&watched, resource, parent, &format!("/status/parents/{index}"), report);
            }
        }
    }
}

fn check_list(watched: &Watched, resource: &Resource, holder: &Value, pointer: &str, report: &mut Report) {
    for (index, condition) in holder.list("/conditions").iter().enumerate() {
        let (kind, status, reason) = (condition.text("/type"), condition.text("/status"), condition.text("/reason"));
        // A policy of which a waypoint enforces a part only is accepted all the same.
        let partial =
            resource.kind == "AuthorizationPolicy" && kind == "WaypointAccepted" && reason == "PartiallyInvalid";
        if (watched.conditions.contains(&kind) && status == "False") || partial {
            report.add(
                Code::NegativeConditionStatus,
                resource,
                &format!("{pointer}/conditions/{index}"),
                format!("{kind} is {status} ({reason}): {}", condition.text("/message")),
            );
        }
    }
}
