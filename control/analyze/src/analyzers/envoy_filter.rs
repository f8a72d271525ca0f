//! EnvoyFilters: operations that do not fit what they are applied to, or whose effect depends on order.
//!
//! The mesh's own data plane takes no EnvoyFilter; a directory is analyzed for those who run Istio with it.

use crate::code::Code;
use crate::finding::Report;
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::Look;

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    for filter in snapshot.all("EnvoyFilter") {
        for index in 0..filter.spec().list("/configPatches").len() {
            check_patch(filter, index, report);
        }
    }
}

fn check_patch(filter: &Resource, index: usize, report: &mut Report) {
    let patch = filter.spec().at(&format!("/configPatches/{index}"));
    let (operation, target) = (patch.text("/patch/operation"), patch.text("/applyTo"));
    let pointer = format!("/spec/configPatches/{index}");
    // Only filters stand in a list whose order other EnvoyFilters change.
    let is_filter = matches!(target, "HTTP_FILTER" | "NETWORK_FILTER" | "LISTENER_FILTER");
    let is_route = matches!(target, "ROUTE_CONFIGURATION" | "HTTP_ROUTE");
    let mut misused = |code: Code| {
        report.add(code, filter, &pointer, format!("{operation} cannot be used with applyTo: {target}"));
    };
    match operation {
        "ADD" if is_route => misused(Code::EnvoyFilterUsesAddOperationIncorrectly),
        "REMOVE" if is_route => misused(Code::EnvoyFilterUsesRemoveOperationIncorrectly),
        "REPLACE" if !is_filter && target != "VIRTUAL_HOST" => {
            misused(Code::EnvoyFilterUsesReplaceOperationIncorrectly);
        }
        "INSERT_BEFORE" | "INSERT_AFTER" => check_order(filter, index, report),
        "REPLACE" | "MERGE" | "REMOVE" if is_filter => check_order(filter, index, report),
        _ => {}
    }
}

/// Relative operations are applied in an order that only a priority fixes.
fn check_order(filter: &Resource, index: usize, report: &mut Report) {
    let spec = filter.spec();
    let ordered = spec.at("/priority").as_i64().is_some_and(|priority| priority != 0);
    if ordered {
        return;
    }
    let pointer = format!("/spec/configPatches/{index}");
    let of_version = spec.has(&format!("/configPatches/{index}/match/proxy/proxyVersion"));
    if of_version {
        report.add(
            Code::EnvoyFilterUsesRelativeOperationWithProxyVersion,
            filter,
            &pointer,
            "a relative operation without a priority is bound to a version of the proxy",
        );
    } else {
        report.add(
            Code::EnvoyFilterUsesRelativeOperation,
            filter,
            &pointer,
            "a relative operation without a priority depends on the order in which filters are applied",
        );
    }
}
