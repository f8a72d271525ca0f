//! What Prometheus asks for: whom to scrape, all samples at once, and the aggregator's own metrics.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use orrery_store::Selector;

use crate::error::ApiError;
use crate::params::Params;
use crate::shared::Shared;
use crate::targets::Discovered;

/// Selectors of one request.
const MOST_SELECTORS: usize = 32;
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn discovery(State(shared): State<Arc<Shared>>) -> Json<Vec<Discovered>> {
    let now = shared.now();
    Json(shared.targets.lock().discovered(now))
}

pub(super) async fn federate(State(shared): State<Arc<Shared>>, params: Params) -> Result<Response, ApiError> {
    let selectors: Result<Vec<Selector>, _> =
        params.all("match[]").take(MOST_SELECTORS + 1).map(Selector::parse).collect();
    let selectors = selectors.map_err(|error| ApiError::bad(format!("parameter \"match[]\": {error}")))?;
    if selectors.len() > MOST_SELECTORS {
        return Err(ApiError::bad(format!("parameter \"match[]\": {MOST_SELECTORS} selectors are the most")));
    }
    let text = shared.series.read().export(&selectors, shared.now());
    Ok(([(CONTENT_TYPE, TEXT)], text).into_response())
}

pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let (series, samples, appended, refusals) = {
        let store = shared.series.read();
        (store.series_count(), store.sample_count(), store.appended(), store.refusals())
    };
    let (traces, bytes, counts) = {
        let store = shared.traces.read();
        (store.len(), store.bytes(), store.counts())
    };
    let mut out = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, value: u64| {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    };
    metric("orrery_telemetry_series", "gauge", "Time series held.", series as u64);
    metric("orrery_telemetry_samples", "gauge", "Samples held.", samples as u64);
    metric("orrery_telemetry_samples_appended_total", "counter", "Samples taken.", appended);
    metric(
        "orrery_telemetry_samples_pushed_out_total",
        "counter",
        "Samples pushed out of a full series.",
        refusals.pushed_out,
    );
    metric("orrery_telemetry_traces", "gauge", "Traces held.", traces as u64);
    metric("orrery_telemetry_trace_store_bytes", "gauge", "Estimated bytes of all traces.", bytes as u64);
    metric("orrery_telemetry_spans_total", "counter", "Spans taken.", counts.spans);
    metric(
        "orrery_telemetry_spans_dropped_total",
        "counter",
        "Spans dropped from traces with too many.",
        counts.dropped,
    );
    metric("orrery_telemetry_traces_evicted_total", "counter", "Traces forgotten to make room.", counts.evicted);
    metric("orrery_telemetry_targets", "gauge", "Senders seen lately.", shared.targets.lock().len() as u64);
    metric("orrery_telemetry_streams", "gauge", "Clients of the live graph.", shared.streams.lock().clients() as u64);
    metric(
        "orrery_telemetry_http_requests_total",
        "counter",
        "HTTP requests.",
        shared.requests.load(Ordering::Relaxed),
    );
    let _ = writeln!(out, "# HELP orrery_telemetry_samples_refused_total Samples refused.");
    let _ = writeln!(out, "# TYPE orrery_telemetry_samples_refused_total counter");
    for (reason, count) in [
        ("too_many_series", refusals.too_many_series),
        ("out_of_order", refusals.out_of_order),
        ("kind_changed", refusals.kind_changed),
        ("malformed", refusals.malformed),
    ] {
        let _ = writeln!(out, "orrery_telemetry_samples_refused_total{{reason=\"{reason}\"}} {count}");
    }
    ([(CONTENT_TYPE, TEXT)], out).into_response()
}
