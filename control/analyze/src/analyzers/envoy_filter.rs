//! EnvoyFilters: operations that do not fit what they are applied to, or whose effect depends on order.
//!
//! The mesh's own data plane takes no EnvoyFilter; a directory is analyzed for those who run Istio with it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::code::Code;
use crate::finding::Report;
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::Look;

/// Each code once a filter, with all patches that it is about.
pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    // Names of what earlier patches for a version of the proxy are about.
    let mut versioned: Vec<&str> = Vec::new();
    for filter in snapshot.all("EnvoyFilter") {
        let mut found: BTreeMap<Code, Vec<usize>> = BTreeMap::new();
        let ordered = filter.spec().at("/priority").as_i64().is_some_and(|priority| priority != 0);
        for (index, patch) in filter.spec().list("/configPatches").iter().enumerate() {
            if !patch.has("/patch") {
                break;
            }
            let subject = subject(patch);
            let code =
                misuse(patch).or_else(|| if ordered { None } else { order(patch, versioned.contains(&subject)) });
            if let Some(code) = code {
                found.entry(code).or_default().push(index);
            }
            if !patch.text("/match/proxy/proxyVersion").is_empty() {
                versioned.push(subject);
            }
        }
        for (code, patches) in found {
            tell(filter, code, &patches, report);
        }
    }
}

/// The name of what a patch is about: its value's, or that of the filter that it matches.
fn subject(patch: &Value) -> &str {
    let Some(value) = patch.at("/patch/value").as_object() else { return "" };
    match value.get("name").and_then(Value::as_str) {
        Some(name) => name,
        None => patch.text("/match/listener/filterChain/filter/name"),
    }
}

/// An operation that has no effect on what it is applied to.
fn misuse(patch: &Value) -> Option<Code> {
    let target = patch.text("/applyTo");
    let is_route = matches!(target, "ROUTE_CONFIGURATION" | "HTTP_ROUTE");
    let replaceable = matches!(target, "HTTP_FILTER" | "NETWORK_FILTER" | "VIRTUAL_HOST");
    match patch.text("/patch/operation") {
        "ADD" if is_route => Some(Code::EnvoyFilterUsesAddOperationIncorrectly),
        "REMOVE" if is_route => Some(Code::EnvoyFilterUsesRemoveOperationIncorrectly),
        "REPLACE" if !replaceable => Some(Code::EnvoyFilterUsesReplaceOperationIncorrectly),
        _ => None,
    }
}

/// An operation whose effect depends on the order in which filters are applied.
fn order(patch: &Value, versioned: bool) -> Option<Code> {
    let relative = matches!(patch.text("/patch/operation"), "INSERT_BEFORE" | "INSERT_AFTER" | "REMOVE" | "REPLACE");
    match (relative, versioned) {
        (true, true) => Some(Code::EnvoyFilterUsesRelativeOperationWithProxyVersion),
        (true, false) => Some(Code::EnvoyFilterUsesRelativeOperation),
        (false, _) => None,
    }
}

fn tell(filter: &Resource, code: Code, patches: &[usize], report: &mut Report) {
    let Some(first) = patches.first() else { return };
    let places: Vec<String> = patches
        .iter()
        .map(|index| {
            let patch = filter.spec().at(&format!("/configPatches/{index}"));
            format!("configPatches[{index}] ({} of {})", patch.text("/patch/operation"), patch.text("/applyTo"))
        })
        .collect();
    let why = match code {
        Code::EnvoyFilterUsesRelativeOperation => {
            "the effect depends on the order of filters, and there is no priority"
        }
        Code::EnvoyFilterUsesRelativeOperationWithProxyVersion => {
            "there is no priority, and another patch of the same name is bound to a version of the proxy"
        }
        _ => "the operation has no effect there",
    };
    report.add(code, filter, &format!("/spec/configPatches/{first}"), format!("{}: {why}", places.join(", ")));
}
