//! Fields that Istio deprecated.

use crate::code::Code;
use crate::finding::Report;
use crate::snapshot::Snapshot;
use crate::value::Look;

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    for service in snapshot.all("VirtualService") {
        for (index, route) in service.spec().list("/http").iter().enumerate() {
            for (field, instead) in [("fault/delay/percent", "percentage"), ("fault/abort/percent", "percentage")] {
                if route.has(&format!("/{field}")) {
                    report.add(
                        Code::Deprecated,
                        service,
                        &format!("/spec/http/{index}/{field}"),
                        format!("http[].{} is deprecated: use {instead}", field.replace('/', ".")),
                    );
                }
            }
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
}
