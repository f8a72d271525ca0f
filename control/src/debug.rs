//! What the control plane tells about itself: readiness, version, metrics and Istio's `/debug` pages.
//!
//! Read only, and only what is no secret. The configuration API is in [`crate::configuration`].

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use orrery_ca::Authority;
use orrery_serve::{Hub, ResourceType};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::metrics::{Family, Metrics};
use crate::process;
use crate::reconcile::Handle;
use crate::status::{Board, ProxyStatus};

/// What the pages are made from.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) board: Board,
    pub(crate) metrics: Metrics,
    pub(crate) handle: Handle,
    pub(crate) hub: Hub,
    pub(crate) authority: Arc<Authority>,
    pub(crate) cluster_id: Arc<str>,
    pub(crate) started: Instant,
}

/// The routes.
pub(crate) fn router(sources: Sources) -> Router {
    Router::new()
        .route("/ready", get(ready))
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .route("/debug", get(index))
        .route("/debug/syncz", get(syncz))
        .route("/debug/proxies", get(proxies))
        .route("/debug/pushes", get(pushes))
        .route("/debug/configz", get(configz))
        .route("/debug/problems", get(problems))
        .route("/debug/registryz", get(registryz))
        .route("/debug/endpointz", get(endpointz))
        .route("/debug/config_dump", get(config_dump))
        .with_state(sources)
}

async fn ready(State(sources): State<Sources>) -> Response {
    if sources.handle.is_ready() {
        (StatusCode::OK, "ready\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the configuration directory is being read\n").into_response()
    }
}

/// `orrery/<version>` is what Kiali shows as the control plane's version.
async fn version() -> String {
    format!("{}-orrery-Clean\n", env!("CARGO_PKG_VERSION"))
}

async fn metrics(State(sources): State<Sources>) -> Response {
    let metrics = &sources.metrics;
    let version = env!("CARGO_PKG_VERSION");
    metrics.set(Family::Info, &[("version", version)], 1.0);
    metrics.set(Family::Build, &[("component", "pilot"), ("tag", version)], 1.0);
    metrics.set(Family::Uptime, &[], sources.started.elapsed().as_secs_f64());
    let connected = sources.hub.connected() as f64;
    metrics.set(Family::Connected, &[("version", version)], connected);
    let end = sources.authority.root().not_after();
    let stamp = end.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let left = end.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO).as_secs_f64();
    for (timestamp, seconds) in
        [(Family::RootExpiryTimestamp, Family::RootExpiry), (Family::ChainExpiryTimestamp, Family::ChainExpiry)]
    {
        metrics.set(timestamp, &[], stamp);
        metrics.set(seconds, &[], left);
    }
    process::measure(metrics);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.encode()).into_response()
}

async fn index() -> Json<Value> {
    Json(json!({
        "/debug/syncz": "what each proxy was sent and has acknowledged",
        "/debug/proxies": "connected proxies, with what they refused and why",
        "/debug/pushes": "the last changes, their causes, and how long they took to arrive everywhere",
        "/debug/configz": "all configuration objects",
        "/debug/problems": "mistakes in the files of the configuration directory",
        "/debug/registryz": "all services",
        "/debug/endpointz": "all endpoints, as one proxy sees them with ?proxyID=<name>.<namespace>",
        "/debug/config_dump": "names and versions of a proxy's resources, with ?proxyID=<name>.<namespace>",
    }))
}

/// Istio's `SyncStatus`, a list over all proxies.
async fn syncz(State(sources): State<Sources>) -> Json<Vec<Value>> {
    let tables = sources.board.read();
    Json(tables.proxies.values().map(|proxy| sync_status(proxy, &sources.cluster_id)).collect())
}

fn sync_status(proxy: &ProxyStatus, cluster_id: &str) -> Value {
    let mut status = json!({
        "cluster_id": cluster_id,
        "proxy": proxy.name(),
        "proxy_type": proxy.kind(),
        "proxy_version": env!("CARGO_PKG_VERSION"),
        "istio_version": env!("CARGO_PKG_VERSION"),
    });
    for (kind, name) in [
        (ResourceType::Cluster, "cluster"),
        (ResourceType::Listener, "listener"),
        (ResourceType::Route, "route"),
        (ResourceType::Endpoint, "endpoint"),
    ] {
        if let Some(state) = proxy.types.get(&kind) {
            status[format!("{name}_sent")] = json!(state.sent);
            status[format!("{name}_acked")] = json!(state.acked);
        }
    }
    status
}

async fn proxies(State(sources): State<Sources>) -> Json<Vec<Value>> {
    let tables = sources.board.read();
    let describe = |proxy: &ProxyStatus| {
        let types: serde_json::Map<String, Value> =
            proxy.types.iter().map(|(kind, state)| (kind.to_string(), json!(state))).collect();
        let connected = proxy.connected.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        json!({
            "id": proxy.identity.id,
            "proxy": proxy.name(),
            "namespace": proxy.identity.namespace,
            "serviceAccount": proxy.identity.service_account,
            "peer": format!("{:?}", proxy.peer),
            "protocol": format!("{:?}", proxy.variant),
            "connectedSince": connected,
            "publishedRevision": proxy.published,
            "syncedRevision": proxy.synced,
            "types": types,
        })
    };
    Json(tables.proxies.values().map(describe).collect())
}

async fn pushes(State(sources): State<Sources>) -> Response {
    let tables = sources.board.read();
    Json(&tables.pushes).into_response()
}

async fn configz(State(sources): State<Sources>) -> Response {
    answer(sources.handle.inspect(|state| json!(state.objects(None, None, None))).await)
}

async fn problems(State(sources): State<Sources>) -> Response {
    answer(sources.handle.inspect(|state| json!(state.problems())).await)
}

async fn registryz(State(sources): State<Sources>) -> Response {
    answer(sources.handle.inspect(|state| state.services()).await)
}

#[derive(Deserialize)]
struct Proxy {
    #[serde(rename = "proxyID")]
    proxy_id: Option<String>,
}

async fn endpointz(State(sources): State<Sources>, Query(query): Query<Proxy>) -> Response {
    answer(sources.handle.inspect(move |state| state.endpoints(query.proxy_id.as_deref())).await)
}

async fn config_dump(State(sources): State<Sources>, Query(query): Query<Proxy>) -> Response {
    let Some(proxy) = query.proxy_id else {
        return (StatusCode::BAD_REQUEST, "say which proxy: ?proxyID=<name>.<namespace>\n").into_response();
    };
    let missing = format!("no proxy {proxy} is connected; /debug/syncz lists them\n");
    match sources.handle.inspect(move |state| state.dump(&proxy)).await {
        Some(Some(dump)) => Json(dump).into_response(),
        Some(None) => (StatusCode::NOT_FOUND, missing).into_response(),
        None => answer(None),
    }
}

fn answer(value: Option<Value>) -> Response {
    match value {
        Some(value) => Json(value).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "the control plane is stopping\n").into_response(),
    }
}
