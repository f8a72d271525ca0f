//! Reads the stored series for the graph.

use std::sync::Arc;

use orrery_graph::{Counted, Durations, Observations, Window};
use orrery_store::{Family, Series, SeriesStore};

/// Everything that happened in a window.
pub(crate) fn observe(store: &SeriesStore, window: Window) -> Observations {
    let mut seen = Observations::default();
    for series in all(store, "istio_requests_total") {
        seen.add_requests(labels(series), counted(series, window));
    }
    for series in all(store, "istio_tcp_received_bytes_total") {
        seen.add_tcp(labels(series), counted(series, window));
    }
    for series in all(store, "istio_request_duration_milliseconds") {
        if let Some(delta) = series.observed(window.end - window.length, window.end) {
            seen.add_durations(labels(series), Durations { bounds: delta.bounds, counts: delta.counts });
        }
    }
    seen
}

fn all<'a>(store: &'a SeriesStore, name: &str) -> &'a [Series] {
    store.family(name).map_or(&[], Family::all)
}

fn labels<'a>(series: &'a Series) -> impl Fn(&str) -> Option<&'a Arc<str>> {
    move |name| series.labels().shared(name)
}

fn counted(series: &Series, window: Window) -> Counted {
    Counted {
        rate: series.rate(window.end, window.length),
        live: series.rate(window.end, window.live),
        last_seen: series.changed_at().unwrap_or(0),
    }
}
