//! Telemetries: signals that go nowhere, and deprecated providers.

use serde_json::Value;

use crate::code::Code;
use crate::finding::Report;
use crate::snapshot::Snapshot;
use crate::value::Look;

/// An access log without a provider is not written at all unless the mesh has a default.
pub(super) fn check_providers(snapshot: &Snapshot, report: &mut Report) {
    if snapshot.mesh_config.has_default_provider("accessLogging") {
        return;
    }
    for telemetry in snapshot.all("Telemetry") {
        for (index, entry) in telemetry.spec().list("/accessLogging").iter().enumerate() {
            let disabled = entry.at("/disabled") == &Value::Bool(true);
            if !disabled && entry.list("/providers").is_empty() {
                report.add(
                    Code::InvalidTelemetryProvider,
                    telemetry,
                    &format!("/spec/accessLogging/{index}"),
                    "no provider is named, and the mesh has no default: this access log is ignored",
                );
            }
        }
    }
}

pub(super) fn check_lightstep(snapshot: &Snapshot, report: &mut Report) {
    for telemetry in snapshot.all("Telemetry") {
        for (index, entry) in telemetry.spec().list("/tracing").iter().enumerate() {
            for provider in entry.list("/providers") {
                let name = provider.text("/name");
                if snapshot.mesh_config.provider(name).is_some_and(|provider| provider.has("/lightstep")) {
                    report.add(
                        Code::Deprecated,
                        telemetry,
                        &format!("/spec/tracing/{index}/providers"),
                        format!("the provider {name} is Lightstep's own, which is deprecated: use OpenTelemetry"),
                    );
                }
            }
        }
    }
}
