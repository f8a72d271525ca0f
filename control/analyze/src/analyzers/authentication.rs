//! JWKS that the control plane fetches from anywhere.

use crate::code::Code;
use crate::finding::Report;
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::Look;

const BLOCKED: &str = "BLOCKED_CIDRS_IN_JWKS_URIS";
/// Policies that are named; the rest is counted.
const NAMED: usize = 5;

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    let policies: Vec<String> = snapshot.all("RequestAuthentication").map(Resource::path).collect();
    if policies.is_empty() {
        return;
    }
    let named = policies[..policies.len().min(NAMED)].join(", ");
    let more = match policies.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let control_planes =
        snapshot.all("Deployment").filter(|found| found.labels.get("app").is_some_and(|app| app == "istiod"));
    for deployment in control_planes.filter(|deployment| !blocks(deployment)) {
        report.add(
            Code::JwksUriFetchUnrestricted,
            deployment,
            "/spec/template/spec/containers",
            format!("{BLOCKED} is not set: the keys of {named}{more} are fetched from any address"),
        );
    }
}

fn blocks(deployment: &Resource) -> bool {
    let containers = deployment.body.list("/spec/template/spec/containers");
    let mut variables = containers.iter().flat_map(|container| container.list("/env"));
    variables.any(|variable| variable.text("/name") == BLOCKED && !variable.text("/value").is_empty())
}
