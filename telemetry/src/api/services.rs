//! Services: the list, one in detail, and its charts.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use orrery_graph::{Window, Workload, is_known};
use orrery_store::query::Range;
use orrery_store::{Matcher, SeriesStore};
use serde::Serialize;

use super::Answer;
use crate::error::ApiError;
use crate::observe::observe;
use crate::params::Params;
use crate::shared::Shared;
use crate::summary::{Numbers, Signals, Summary, round};

/// Most points of one chart.
const MOST_POINTS: i64 = 2000;
/// Shortest window of a chart's rates, milliseconds: less would show the rhythm of pushes.
const LEAST_WINDOW: i64 = 5000;

/// A service in a list.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    namespace: Arc<str>,
    name: Arc<str>,
    host: Arc<str>,
    versions: Vec<Arc<str>>,
    #[serde(flatten)]
    pub(super) numbers: Numbers,
}

/// A service with everybody around it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Detail {
    #[serde(flatten)]
    entry: Entry,
    inbound: Vec<Peer>,
    outbound: Vec<Called>,
    workloads: Vec<Peer>,
    codes: BTreeMap<Arc<str>, f64>,
    flags: BTreeMap<Arc<str>, f64>,
}

/// A workload that calls the service, or does its work.
#[derive(Serialize)]
struct Peer {
    namespace: Arc<str>,
    workload: Arc<str>,
    app: Arc<str>,
    version: Arc<str>,
    #[serde(flatten)]
    numbers: Numbers,
}

/// A service that this service calls.
#[derive(Serialize)]
struct Called {
    namespace: Arc<str>,
    name: Arc<str>,
    /// The workload that calls.
    workload: Arc<str>,
    #[serde(flatten)]
    numbers: Numbers,
}

/// One line of a chart: Unix seconds and values, `null` where there is none.
type Line = Vec<(f64, Option<f64>)>;

/// The lines of an overview.
#[derive(Serialize)]
pub(super) struct Chart {
    rps: Line,
    errors: Line,
    p95: Line,
}

/// The lines of a service. Bytes are per second.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Series {
    rps: Line,
    error_rps: Line,
    p50: Line,
    p95: Line,
    p99: Line,
    request_bytes: Line,
    response_bytes: Line,
}

pub(super) async fn list(State(shared): State<Arc<Shared>>, params: Params) -> Answer<Vec<Entry>> {
    let namespaces = params.namespaces()?;
    let mut all = entries(&summary(&shared, &params)?, None);
    all.retain(|entry| namespaces.as_ref().is_none_or(|names| names.contains(&*entry.namespace)));
    Ok(Json(all))
}

pub(super) async fn detail(
    State(shared): State<Arc<Shared>>,
    Path((namespace, name)): Path<(String, String)>,
    params: Params,
) -> Answer<Detail> {
    let summary = summary(&shared, &params)?;
    let key = (Arc::from(namespace.as_str()), Arc::from(name.as_str()));
    let missing = || ApiError::missing(format!("no traffic to service {namespace}/{name} is known"));
    let service = summary.services.get(&key).ok_or_else(missing)?;
    let entry = entries(&summary, Some(&key)).into_iter().next().ok_or_else(missing)?;
    let outbound = summary.calls.iter().filter(|((source, _), _)| service.workloads.contains_key(source));
    let mut codes = BTreeMap::new();
    let mut flags = BTreeMap::new();
    for (code, responses) in service.signals.rates.values().flat_map(|rates| &rates.codes) {
        *codes.entry(code.clone()).or_default() += round(responses.flags.values().sum(), 1000.0);
        for (flag, rate) in &responses.flags {
            *flags.entry(flag.clone()).or_default() += round(*rate, 1000.0);
        }
    }
    Ok(Json(Detail {
        inbound: service.callers.iter().map(|(workload, signals)| peer(workload, signals, true)).collect(),
        outbound: outbound
            .map(|((source, (namespace, name)), signals)| Called {
                namespace: namespace.clone(),
                name: name.clone(),
                workload: source.name.clone(),
                numbers: felt(signals),
            })
            .collect(),
        workloads: service.workloads.iter().map(|(workload, signals)| peer(workload, signals, false)).collect(),
        entry,
        codes,
        flags,
    }))
}

pub(super) async fn series(
    State(shared): State<Arc<Shared>>,
    Path((namespace, name)): Path<(String, String)>,
    params: Params,
) -> Answer<Series> {
    let length = params.duration("duration", 600_000, shared.retention())?;
    let step = params.duration("step", (length / 120).max(1000), length)?;
    if length / step > MOST_POINTS {
        return Err(ApiError::bad(format!("parameter \"step\": {MOST_POINTS} points are the most: take longer steps")));
    }
    let reporter = params.one("reporter")?.unwrap_or("destination");
    if !["destination", "source", "waypoint"].contains(&reporter) {
        return Err(ApiError::bad(format!(
            "parameter \"reporter\": {reporter:?} is neither destination nor source nor waypoint"
        )));
    }
    let now = shared.now();
    let end = params.moment("queryTime", now - shared.retention(), now)?;
    // Aligned, so that the points of one chart stay where they are when it is fetched again.
    let end = end - end.rem_euclid(step);
    let range = Range { from: end - length, to: end, step };
    let matchers = [
        Matcher::equal("reporter", reporter),
        Matcher::equal("destination_service_namespace", namespace),
        Matcher::equal("destination_service_name", name),
    ];
    let store = shared.series.read();
    let requests = Requests::read(&store, &matchers, range);
    let bytes = |name| {
        let seconds = window(range) as f64 / 1000.0;
        let observed = store.observed_range(name, &matchers, range, window(range));
        observed.into_iter().map(|(at, delta)| (seconds_of(at), Some(round(delta.sum / seconds, 10.0)))).collect()
    };
    Ok(Json(Series {
        p50: requests.quantile(0.5),
        p95: requests.quantile(0.95),
        p99: requests.quantile(0.99),
        request_bytes: bytes("istio_request_bytes"),
        response_bytes: bytes("istio_response_bytes"),
        rps: requests.all,
        error_rps: requests.failed,
    }))
}

/// The lines of all services together: as the callees report, which every call in the mesh reaches at most once.
pub(super) fn chart(store: &SeriesStore, matchers: &[Matcher], range: Range) -> Chart {
    let mut matchers = matchers.to_vec();
    matchers.push(Matcher::equal("reporter", "destination"));
    let requests = Requests::read(store, &matchers, range);
    Chart { p95: requests.quantile(0.95), rps: requests.all, errors: requests.failed }
}

/// The services of a summary, or one of them.
pub(super) fn entries(summary: &Summary, only: Option<&(Arc<str>, Arc<str>)>) -> Vec<Entry> {
    let wanted = summary.services.iter().filter(|(name, _)| only.is_none_or(|only| only == *name));
    wanted
        .map(|((namespace, name), service)| {
            let mut versions: Vec<_> = service.workloads.keys().map(|workload| workload.version.clone()).collect();
            versions.retain(|version| is_known(version) && **version != *"latest");
            versions.sort();
            versions.dedup();
            let (namespace, name, host) = (namespace.clone(), name.clone(), service.host.clone());
            Entry { namespace, name, host, versions, numbers: service.signals.numbers() }
        })
        .collect()
}

fn summary(shared: &Shared, params: &Params) -> Result<Summary, ApiError> {
    let length = params.duration("duration", 60_000, shared.retention())?;
    let now = shared.now();
    let end = params.moment("queryTime", now - shared.retention(), now)?;
    Ok(Summary::of(&observe(&shared.series.read(), Window::new(end, length))))
}

fn peer(workload: &Workload, signals: &Signals, caller: bool) -> Peer {
    Peer {
        namespace: workload.namespace.clone(),
        workload: workload.name.clone(),
        app: workload.app.clone(),
        version: workload.version.clone(),
        numbers: if caller { felt(signals) } else { signals.numbers() },
    }
}

/// Durations as the caller saw them.
fn felt(signals: &Signals) -> Numbers {
    Numbers { p50: signals.felt(0.5), p95: signals.felt(0.95), p99: signals.felt(0.99), ..signals.numbers() }
}

struct Requests {
    all: Line,
    failed: Line,
    durations: Vec<(i64, orrery_store::BucketDelta)>,
}

impl Requests {
    fn read(store: &SeriesStore, matchers: &[Matcher], range: Range) -> Self {
        let window = window(range);
        let line = |matchers: &[Matcher]| -> Line {
            let rates = store.rate_range("istio_requests_total", matchers, range, window);
            rates.into_iter().map(|(at, rate)| (seconds_of(at), Some(round(rate, 1000.0)))).collect()
        };
        let with = |extra: Vec<Matcher>| matchers.iter().cloned().chain(extra).collect::<Vec<_>>();
        // Two disjoint halves: HTTP itself failed, or it was well and gRPC failed in it.
        let http = Matcher::matches("response_code", "0|5..");
        let fine = Matcher::not_matches("response_code", "0|5..");
        let grpc = Matcher::matches("grpc_response_status", "[1-9]|1[0-6]");
        let failed = match (http, fine, grpc) {
            (Ok(http), Ok(fine), Ok(grpc)) => {
                let first = line(&with(vec![http]));
                let second = line(&with(vec![fine, grpc]));
                first.into_iter().zip(second).map(|((at, a), (_, b))| (at, a.zip(b).map(|(a, b)| a + b))).collect()
            }
            (_, _, _) => Vec::new(),
        };
        let durations = store.observed_range("istio_request_duration_milliseconds", matchers, range, window);
        Self { all: line(matchers), failed, durations }
    }

    fn quantile(&self, q: f64) -> Line {
        let point = |(at, delta): &(i64, orrery_store::BucketDelta)| {
            (seconds_of(*at), delta.quantile(q).map(|value| round(value, 100.0)))
        };
        self.durations.iter().map(point).collect()
    }
}

fn window(range: Range) -> i64 {
    range.step.max(LEAST_WINDOW)
}

fn seconds_of(millis: i64) -> f64 {
    millis as f64 / 1000.0
}
