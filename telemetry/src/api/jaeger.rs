//! Jaeger's query API, as its UI, Grafana and Kiali use it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use orrery_store::{SpanKind, TraceQuery};
use serde::Serialize;
use serde_json::{Value, json};

use super::Answer;
use crate::error::ApiError;
use crate::params::Params;
use crate::shared::Shared;

mod write;

/// Traces in an answer when no number is asked for, and at most.
const USUAL: u64 = 100;
const MOST: u64 = 1500;

/// Jaeger's envelope.
#[derive(Serialize)]
struct Envelope<T> {
    data: T,
    total: usize,
    limit: usize,
    offset: usize,
    errors: Option<Vec<Value>>,
}

fn envelope<T>(data: Vec<T>) -> Json<Envelope<Vec<T>>> {
    Json(Envelope { total: data.len(), data, limit: 0, offset: 0, errors: None })
}

/// Everything below `/api`.
pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/services", get(services))
        .route("/services/{service}/operations", get(operations))
        .route("/operations", get(operations_with_kind))
        .route("/traces", get(search))
        .route("/traces/{id}", get(trace))
        .route("/dependencies", get(dependencies))
}

async fn services(State(shared): State<Arc<Shared>>) -> Json<Envelope<Vec<Arc<str>>>> {
    envelope(shared.traces.read().services())
}

async fn operations(State(shared): State<Arc<Shared>>, Path(service): Path<String>) -> Json<Envelope<Vec<Arc<str>>>> {
    let mut names: Vec<_> = shared.traces.read().operations(&service).into_iter().map(|(name, _)| name).collect();
    names.dedup();
    envelope(names)
}

async fn operations_with_kind(State(shared): State<Arc<Shared>>, params: Params) -> Answer<Envelope<Vec<Value>>> {
    let service = params.one("service")?.ok_or_else(|| ApiError::bad("parameter \"service\" is required"))?;
    let all = shared.traces.read().operations(service);
    Ok(envelope(all.into_iter().map(|(name, kind)| json!({ "name": name, "spanKind": kind_name(kind) })).collect()))
}

async fn search(State(shared): State<Arc<Shared>>, params: Params) -> Answer<Envelope<Vec<Value>>> {
    let ids: Result<Vec<_>, _> = params.all("traceID").map(trace_id).collect();
    let ids = ids?;
    let query = query(&params)?;
    let store = shared.traces.read();
    let found = if ids.is_empty() {
        store.search(&query)
    } else {
        ids.iter().take(query.limit).filter_map(|id| store.trace(id)).collect()
    };
    Ok(envelope(found.into_iter().map(write::trace).collect()))
}

async fn trace(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer<Envelope<Vec<Value>>> {
    let parsed = trace_id(&id)?;
    let store = shared.traces.read();
    let trace = store.trace(&parsed).ok_or_else(|| ApiError::missing(format!("trace {id} is not known (any more)")))?;
    Ok(envelope(vec![write::trace(trace)]))
}

async fn dependencies(State(shared): State<Arc<Shared>>, params: Params) -> Answer<Envelope<Vec<Value>>> {
    let now = shared.now().unsigned_abs();
    let end = params.number("endTs", 0..=u64::MAX / 1000)?.unwrap_or(now);
    let back = params.number("lookback", 0..=u64::MAX / 1000)?.unwrap_or(shared.retention().unsigned_abs());
    let calls = shared.traces.read().dependencies(end.saturating_sub(back) * 1000, end * 1000);
    let write = |(parent, child, count)| json!({ "parent": parent, "child": child, "callCount": count });
    Ok(envelope(calls.into_iter().map(write).collect()))
}

fn query(params: &Params) -> Result<TraceQuery, ApiError> {
    let owned = |name| Ok::<_, ApiError>(params.one(name)?.map(str::to_owned));
    let tags = match params.one("tags")? {
        None => Vec::new(),
        Some(text) => {
            let parsed: Result<std::collections::BTreeMap<String, String>, _> = serde_json::from_str(text);
            let parsed = parsed
                .map_err(|error| ApiError::bad(format!("parameter \"tags\": not a JSON object of strings: {error}")))?;
            parsed.into_iter().collect()
        }
    };
    let mut query = TraceQuery {
        service: owned("service")?,
        operation: owned("operation")?,
        tags,
        start: params.number("start", 0..=u64::MAX)?,
        end: params.number("end", 0..=u64::MAX)?,
        least: duration(params, "minDuration")?,
        most: duration(params, "maxDuration")?,
        limit: params.number("limit", 1..=MOST)?.unwrap_or(USUAL) as usize,
    };
    for tag in params.all("tag") {
        let (name, value) = tag
            .split_once(':')
            .ok_or_else(|| ApiError::bad(format!("parameter \"tag\": {tag:?} is not name:value")))?;
        query.tags.push((name.into(), value.into()));
    }
    Ok(query)
}

/// A duration as Go writes it (`1.5s`, `200ms`, `3us`), in microseconds.
fn duration(params: &Params, name: &str) -> Result<Option<u64>, ApiError> {
    let Some(text) = params.one(name)? else { return Ok(None) };
    let bad = || ApiError::bad(format!("parameter {name:?}: {text:?} is not a duration such as 200ms, 1.5s or 30us"));
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(bad)?;
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ns" => 0.001,
        "us" | "µs" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 6e7,
        "h" => 3.6e9,
        _ => return Err(bad()),
    };
    let number: f64 = number.parse().map_err(|_| bad())?;
    Ok(Some((number * factor) as u64))
}

/// A trace id of up to 32 hexadecimal digits; leading zeros may be missing, as Jaeger accepts it.
fn trace_id(text: &str) -> Result<[u8; 16], ApiError> {
    let fine = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    let number = if fine { u128::from_str_radix(text, 16).ok() } else { None };
    number
        .map(u128::to_be_bytes)
        .ok_or_else(|| ApiError::bad(format!("trace id {text:?} is not 1 to 32 hexadecimal digits")))
}

fn kind_name(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "",
        SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    }
}
