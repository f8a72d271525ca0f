//! The admin interface, port 15000: what the proxy knows and does, under the paths that Envoy's has.
//!
//! It is bound to loopback. What changes something takes POST, and refuses requests that a browser sends for a page.

mod clusters;
mod dump;

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, http};
use orrery_core::snapshot::Snapshot;
use orrery_xds::AdsStatus;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::agent::Svid;
use crate::config::Config;
use crate::readiness::Waiting;
use crate::stats::{self, StatsState};

#[derive(Clone)]
pub(crate) struct AdminState {
    pub(crate) config: Arc<Config>,
    pub(crate) stats: StatsState,
    pub(crate) snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    pub(crate) svid: watch::Receiver<Option<Arc<Svid>>>,
    pub(crate) ads: AdsStatus,
    pub(crate) quit: CancellationToken,
}

/// Path, method and purpose of everything here; the index page is made of it.
const PAGES: [(&str, &str, &str); 12] = [
    ("/certs", "GET", "the proxy's certificate and when it ends"),
    ("/clusters", "GET", "clusters and their endpoints; ?format=json"),
    ("/config_dump", "GET", "the configuration in force, as Envoy prints it"),
    ("/drain_listeners", "POST", "report not ready, so that no new traffic comes"),
    ("/listeners", "GET", "listeners and their addresses; ?format=json"),
    ("/logging", "POST", "?level=debug changes the log level; without it, tells it"),
    ("/quitquitquit", "POST", "drain and end the proxy"),
    ("/ready", "GET", "200 when the proxy can take traffic"),
    ("/server_info", "GET", "version, node and state"),
    ("/stats", "GET", "metrics in Prometheus' format"),
    ("/stats/prometheus", "GET", "the same"),
    ("/xds", "GET", "what was received from the control plane and what was refused"),
];

pub(crate) fn router(state: AdminState) -> Router {
    let stats = Router::new()
        .route("/ready", get(stats::ready))
        .route("/stats", get(stats::metrics))
        .route("/stats/prometheus", get(stats::metrics))
        .with_state(state.stats.clone());
    let admin = Router::new()
        .route("/", get(index))
        .route("/certs", get(certificates))
        .route("/clusters", get(show_clusters))
        .route("/config_dump", get(config_dump))
        .route("/drain_listeners", post(drain))
        .route("/listeners", get(listeners))
        .route("/logging", post(logging))
        .route("/quitquitquit", post(quit))
        .route("/server_info", get(server_info))
        .route("/xds", get(xds))
        .with_state(state);
    admin.merge(stats).layer(from_fn(refuse_browsers))
}

/// A page of another origin may reach loopback through the browser, also by a name that resolves there. What it sends
/// carries an origin, or a host that is no address.
async fn refuse_browsers(request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let by_address = host.parse::<std::net::SocketAddr>().is_ok()
        || host.parse::<std::net::IpAddr>().is_ok()
        || host.split(':').next() == Some("localhost");
    let changes = request.method() == http::Method::POST;
    if !by_address || (changes && request.headers().contains_key(ORIGIN)) {
        let why = "the admin interface answers only requests by address, and changes nothing for web pages\n";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    next.run(request).await
}

async fn index(State(state): State<AdminState>) -> Html<String> {
    let rows: String = PAGES
        .iter()
        .map(|(path, method, purpose)| match *method {
            "GET" => format!("<li><a href=\"{path}\">{path}</a>: {purpose}</li>"),
            _ => format!("<li>{path} ({method}): {purpose}</li>"),
        })
        .collect();
    // Node ids hold names of Kubernetes objects only, but they come from outside.
    let id = state.config.node.id.replace('&', "&amp;").replace('<', "&lt;");
    Html(format!("<!doctype html><title>Orrery proxy</title><h1>Orrery proxy</h1><p>{id}</p><ul>{rows}</ul>"))
}

#[derive(Deserialize)]
struct Format {
    format: Option<String>,
}

impl Format {
    fn is_json(&self) -> bool {
        self.format.as_deref() == Some("json")
    }
}

fn snapshot(state: &AdminState) -> Arc<Snapshot> {
    state.snapshots.borrow().clone().unwrap_or_default()
}

async fn config_dump(State(state): State<AdminState>) -> Json<Value> {
    Json(dump::config_dump(&state.config, &snapshot(&state)))
}

async fn show_clusters(State(state): State<AdminState>, Query(format): Query<Format>) -> Response {
    let snapshot = snapshot(&state);
    if format.is_json() {
        Json(clusters::json(&snapshot)).into_response()
    } else {
        clusters::text(&snapshot).into_response()
    }
}

async fn listeners(State(state): State<AdminState>, Query(format): Query<Format>) -> Response {
    let snapshot = snapshot(&state);
    let mut all: Vec<_> =
        snapshot.listeners.values().map(|listener| (listener.name.to_string(), listener.address)).collect();
    all.sort();
    if format.is_json() {
        let statuses: Vec<Value> =
            all.iter().map(|(name, address)| json!({"name": name, "local_address": address})).collect();
        return Json(json!({"listener_statuses": statuses})).into_response();
    }
    all.iter().map(|(name, address)| format!("{name}::{address}\n")).collect::<String>().into_response()
}

async fn certificates(State(state): State<AdminState>) -> Json<Value> {
    let svid = state.svid.borrow().clone();
    let certificates: Vec<Value> = svid
        .iter()
        .map(|svid| {
            let left = svid.not_after.duration_since(SystemTime::now()).unwrap_or_default();
            json!({"cert_chain": [{
                "path": "default",
                "serial_number": svid.serial,
                "subject_alt_names": [{"uri": svid.spiffe_id}],
                "valid_from": seconds(svid.not_before),
                "expiration_time": seconds(svid.not_after),
                "seconds_until_expiration": left.as_secs(),
            }]})
        })
        .collect();
    Json(json!({"certificates": certificates}))
}

fn seconds(moment: SystemTime) -> u64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

async fn drain(State(state): State<AdminState>) -> &'static str {
    state.stats.readiness.wait(Waiting::Draining);
    "OK\n"
}

async fn quit(State(state): State<AdminState>) -> &'static str {
    state.quit.cancel();
    "OK\n"
}

#[derive(Deserialize)]
struct Level {
    level: Option<String>,
}

async fn logging(State(state): State<AdminState>, Query(wanted): Query<Level>) -> Response {
    let log_level = &state.config.log_level;
    match wanted.level.as_deref().map(|level| log_level.set(level)) {
        Some(Err(error)) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
        Some(Ok(())) | None => format!("{}\n", log_level.current()).into_response(),
    }
}

async fn server_info(State(state): State<AdminState>) -> Json<Value> {
    let missing = state.stats.readiness.missing();
    let config = &state.config;
    Json(json!({
        "version": format!("orrery/{}", env!("CARGO_PKG_VERSION")),
        "state": if missing.is_empty() { "LIVE" } else { "INITIALIZING" },
        "missing": missing,
        "node": {"id": config.node.id, "cluster": config.service_name(), "metadata": config.metadata()},
    }))
}

async fn xds(State(state): State<AdminState>) -> Response {
    ([(CONTENT_TYPE, "application/json")], state.ads.report().to_string()).into_response()
}
