//! The whole mesh at a glance.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use orrery_graph::security::SecuredShare;
use orrery_graph::{Health, Window};
use orrery_store::query::Range;
use serde::Serialize;

use super::Answer;
use super::services::{self, Entry};
use crate::observe::observe;
use crate::params::Params;
use crate::shared::Shared;
use crate::summary::{Numbers, ServiceSummary, Summary, round};

/// Services in each list of the worst.
const WORST: usize = 6;
/// Points of a chart.
const POINTS: i64 = 60;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Overview {
    namespaces: Vec<Namespace>,
    totals: Totals,
    top_latency: Vec<Entry>,
    top_errors: Vec<Entry>,
    series: services::Chart,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Totals {
    namespaces: usize,
    services: usize,
    workloads: usize,
    #[serde(flatten)]
    numbers: Numbers,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Namespace {
    name: Arc<str>,
    services: usize,
    workloads: usize,
    rps: f64,
    error_rate: f64,
    p95: Option<f64>,
    health: &'static str,
    mtls: Option<f64>,
}

pub(super) async fn overview(State(shared): State<Arc<Shared>>, params: Params) -> Answer<Overview> {
    let length = params.duration("duration", 60_000, shared.retention())?;
    let now = shared.now();
    let store = shared.series.read();
    let summary = Summary::of(&observe(&store, Window::new(now, length)));
    let range = Range { from: now - length, to: now, step: (length / POINTS).max(1000) };
    let series = services::chart(&store, &[], range);
    drop(store);
    let namespaces = namespaces(&summary);
    let entries: Vec<Entry> =
        services::entries(&summary, None).into_iter().filter(|entry| entry.numbers.rps > 0.0).collect();
    let slowness = |entry: &Entry| entry.numbers.p95.unwrap_or(0.0);
    let failing = entries.iter().filter(|entry| entry.numbers.error_rate > 0.0).cloned().collect();
    Ok(Json(Overview {
        totals: Totals {
            namespaces: namespaces.len(),
            services: summary.services.len(),
            workloads: summary.workloads.len(),
            numbers: summary.total.numbers(),
        },
        namespaces,
        top_latency: worst(entries, slowness),
        top_errors: worst(failing, |entry| entry.numbers.error_rate),
        series,
    }))
}

fn worst(mut entries: Vec<Entry>, by: impl Fn(&Entry) -> f64) -> Vec<Entry> {
    entries.sort_by(|a, b| by(b).partial_cmp(&by(a)).unwrap_or(Ordering::Equal));
    entries.truncate(WORST);
    entries
}

fn namespaces(summary: &Summary) -> Vec<Namespace> {
    let mut services: BTreeMap<&Arc<str>, Vec<&ServiceSummary>> = BTreeMap::new();
    for ((namespace, _), service) in &summary.services {
        services.entry(namespace).or_default().push(service);
    }
    for workload in &summary.workloads {
        services.entry(&workload.namespace).or_default();
    }
    services.into_iter().map(|(name, services)| namespace(summary, name, &services)).collect()
}

fn namespace(summary: &Summary, name: &Arc<str>, services: &[&ServiceSummary]) -> Namespace {
    let rps: f64 = services.iter().map(|service| service.signals.rps()).sum();
    let failed: f64 = services.iter().map(|service| service.signals.rps() * service.signals.error_rate()).sum();
    let mut secured = SecuredShare::default();
    for service in services {
        secured.merge(service.signals.secured());
    }
    Namespace {
        name: name.clone(),
        services: services.len(),
        workloads: summary.workloads.iter().filter(|workload| workload.namespace == *name).count(),
        rps: round(rps, 1000.0),
        error_rate: if rps > 0.0 { round(failed / rps, 100_000.0) } else { 0.0 },
        p95: services.iter().filter_map(|service| service.signals.quantile(0.95)).max_by(f64::total_cmp),
        health: services.iter().map(|service| service.signals.health()).max().unwrap_or(Health::NotAvailable).name(),
        mtls: secured.percent().map(f64::round),
    }
}
