//! Documents that Istio's definitions or its webhook would refuse.

use crate::code::Code;
use crate::finding::Report;
use crate::snapshot::Snapshot;

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    for resource in snapshot.resources() {
        for violation in orrery_schema::check(&resource.body).unwrap_or_default() {
            report.add(Code::SchemaValidationError, resource, &violation.pointer, violation.to_string());
        }
    }
}
