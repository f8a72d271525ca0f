//! Fields and kinds that Istio deprecated.

use crate::code::Code;
use crate::finding::Report;
use crate::snapshot::Snapshot;
use crate::value::Look;

const RBAC: &str = "rbac.istio.io";
/// Kinds of that group, which AuthorizationPolicy took the place of.
const RBAC_KINDS: [&str; 4] = ["ClusterRbacConfig", "RbacConfig", "ServiceRole", "ServiceRoleBinding"];

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    for service in snapshot.all("VirtualService") {
        let routes = service.spec().list("/http").iter();
        let percent =
            |route: &serde_json::Value| route.at("/fault/delay/percent").as_i64().is_some_and(|share| share > 0);
        if let Some((index, _)) = routes.enumerate().find(|(_, route)| percent(route)) {
            report.add(
                Code::Deprecated,
                service,
                &format!("/spec/http/{index}/fault/delay/percent"),
                "http[].fault.delay.percent is deprecated: use percentage",
            );
        }
    }
    for sidecar in snapshot.all("Sidecar") {
        if sidecar.spec().has("/outboundTrafficPolicy/egressProxy") {
            report.add(
                Code::Deprecated,
                sidecar,
                "/spec/outboundTrafficPolicy/egressProxy",
                "outboundTrafficPolicy.egressProxy is deprecated and ignored",
            );
        }
    }
    for definition in snapshot.all("CustomResourceDefinition") {
        let (group, kind) = (definition.spec().text("/group"), definition.spec().text("/names/kind"));
        if group == RBAC && RBAC_KINDS.contains(&kind) {
            report.add(
                Code::Deprecated,
                definition,
                "/spec/names/kind",
                format!("{kind} of {RBAC} is gone: use AuthorizationPolicy"),
            );
        }
    }
}
