//! How the aggregator itself does.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::shared::Shared;

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn status(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let (series, samples, refusals) = {
        let store = shared.series.read();
        (store.series_count(), store.sample_count(), store.refusals())
    };
    let (traces, bytes, counts) = {
        let store = shared.traces.read();
        (store.len(), store.bytes(), store.counts())
    };
    let refused = refusals.too_many_series + refusals.out_of_order + refusals.kind_changed + refusals.malformed;
    Json(json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "uptimeSeconds": shared.started.elapsed().map_or(0, |up| up.as_secs()),
        "retentionSeconds": shared.config.retention.as_secs(),
        "series": series,
        "seriesLimit": shared.config.limits.series,
        "samples": samples,
        "samplesRefused": refused,
        "samplesPushedOut": refusals.pushed_out,
        "traces": traces,
        "tracesLimit": shared.config.limits.traces,
        "traceBytes": bytes,
        "spans": counts.spans,
        "spansDropped": counts.dropped,
        "tracesEvicted": counts.evicted,
        "senders": shared.targets.lock().len(),
        "streams": shared.streams.lock().clients(),
    }))
}
