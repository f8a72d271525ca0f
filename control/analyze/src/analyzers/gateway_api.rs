//! The Gateway API: CRDs that are too old, and policies that cannot reach its gateways.

use crate::code::Code;
use crate::finding::Report;
use crate::snapshot::{GATEWAY_API, Snapshot};
use crate::value::{Look, selects};

const BUNDLE: &str = "gateway.networking.k8s.io/bundle-version";
/// The label that ties a pod to the Gateway for which it was made.
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

/// Kinds that select workloads or target gateways.
const POLICIES: [&str; 4] = ["AuthorizationPolicy", "RequestAuthentication", "Telemetry", "WasmPlugin"];

/// Bundles from which on a kind is read by Istio; others have been served for longer.
const MINIMUM: [(&str, (u32, u32)); 4] =
    [("backendtlspolicies", (1, 4)), ("grpcroutes", (1, 1)), ("tcproutes", (1, 6)), ("tlsroutes", (1, 5))];

pub(super) fn check_versions(snapshot: &Snapshot, report: &mut Report) {
    for definition in snapshot.all("CustomResourceDefinition") {
        let Some(plural) = definition.name.strip_suffix(&format!(".{GATEWAY_API}")) else { continue };
        let minimum = MINIMUM.iter().find(|(name, _)| *name == plural).map(|(_, version)| *version);
        let installed = definition.annotations.get(BUNDLE);
        if let (Some(minimum), Some(text)) = (minimum, installed)
            && version(text).is_some_and(|version| version < minimum)
        {
            report.add(
                Code::GatewayAPICRDVersionBelowMinimum,
                definition,
                "/metadata/annotations",
                format!("{} is of the bundle {text}; v{}.{} is needed", definition.name, minimum.0, minimum.1),
            );
        }
    }
}

/// Major and minor number of `v1.4.1` and the like.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.strip_prefix('v')?.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

pub(super) fn check_selectors(snapshot: &Snapshot, report: &mut Report) {
    let gateways: Vec<_> = snapshot.all("Pod").filter(|pod| pod.labels.contains_key(GATEWAY_NAME)).collect();
    for policy in POLICIES.into_iter().flat_map(|kind| snapshot.all(kind)) {
        let spec = policy.spec();
        if spec.has("/targetRef") || !spec.has("/selector") {
            continue;
        }
        let selector = spec.labels("/selector/matchLabels");
        let selected =
            gateways.iter().filter(|pod| pod.namespace == policy.namespace && selects(&selector, &pod.labels));
        for gateway in selected.filter_map(|pod| pod.labels.get(GATEWAY_NAME)) {
            report.add(
                Code::IneffectiveSelector,
                policy,
                "/spec/selector",
                format!("a selector has no effect on the gateway {gateway} of the Gateway API"),
            );
        }
    }
}
