//! Metrics and readiness for scrapers and probes: ports 15020, 15021 and 15090.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use orrery_emit::registry::Registry;

use crate::readiness::Readiness;

/// Prometheus' text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Clone)]
pub(crate) struct StatsState {
    pub(crate) readiness: Readiness,
    pub(crate) registry: Registry,
}

/// Port 15020: metrics and readiness.
pub(crate) fn router(state: StatsState) -> Router {
    let routes = Router::new()
        .route("/stats/prometheus", get(metrics))
        .route("/metrics", get(metrics))
        .route("/healthz/ready", get(ready));
    routes.with_state(state)
}

/// Port 15021: readiness.
pub(crate) fn health_router(state: StatsState) -> Router {
    Router::new().route("/healthz/ready", get(ready)).with_state(state)
}

/// Port 15090: metrics.
pub(crate) fn metrics_router(state: StatsState) -> Router {
    Router::new().route("/stats/prometheus", get(metrics)).with_state(state)
}

pub(crate) async fn metrics(State(state): State<StatsState>) -> Response {
    ([(CONTENT_TYPE, TEXT)], state.registry.encode()).into_response()
}

pub(crate) async fn ready(State(state): State<StatsState>) -> Response {
    let missing = state.readiness.missing();
    if missing.is_empty() {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", missing.join("; "))).into_response()
}
