//! JWKS that the control plane fetches from anywhere.

use crate::code::Code;
use crate::finding::Report;
use crate::snapshot::Snapshot;
use crate::value::Look;

const BLOCKED: &str = "BLOCKED_CIDRS_IN_JWKS_URIS";

/// Only where the control plane's deployment is known: otherwise its environment is not.
pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    let control_planes: Vec<_> =
        snapshot.all("Deployment").filter(|found| found.labels.get("app").is_some_and(|app| app == "istiod")).collect();
    let blocks = |environment: &serde_json::Value| {
        environment.text("/name") == BLOCKED && !environment.text("/value").is_empty()
    };
    let unrestricted = !control_planes.is_empty()
        && !control_planes.iter().any(|deployment| {
            deployment
                .body
                .list("/spec/template/spec/containers")
                .iter()
                .any(|container| container.list("/env").iter().any(blocks))
        });
    if !unrestricted {
        return;
    }
    for policy in snapshot.all("RequestAuthentication") {
        for (index, rule) in policy.spec().list("/jwtRules").iter().enumerate() {
            let uri = rule.text("/jwksUri");
            if !uri.is_empty() {
                report.add(
                    Code::JwksUriFetchUnrestricted,
                    policy,
                    &format!("/spec/jwtRules/{index}/jwksUri"),
                    format!(
                        "the control plane fetches {uri}, and no address range is blocked for it: {BLOCKED} is not set"
                    ),
                );
            }
        }
    }
}
