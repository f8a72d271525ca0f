//! The HTTP side: which path answers what on which port. Every answer is read only.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};

use crate::shared::Shared;

mod graph;
mod jaeger;
mod overview;
mod prometheus;
mod services;
mod status;

/// Pages, the API behind them, and everything that the other ports offer.
pub(crate) fn ui(shared: &Arc<Shared>) -> Router {
    let api = Router::new()
        .route("/api/namespaces/graph", get(graph::graph))
        .route("/api/graph/stream", get(graph::stream))
        .route("/api/overview", get(overview::overview))
        .route("/api/services", get(services::list))
        .route("/api/namespaces/{namespace}/services/{name}", get(services::detail))
        .route("/api/namespaces/{namespace}/services/{name}/series", get(services::series))
        .nest("/api/tracing", jaeger::router())
        .with_state(shared.clone());
    // The pages' own 404 is for people; below /api a program asks.
    let pages = orrery_ui::router().fallback(orrery_ui::not_found);
    finish(shared, prometheus(shared).merge(api).merge(pages))
}

/// Prometheus' port.
pub(crate) fn query(shared: &Arc<Shared>) -> Router {
    finish(shared, prometheus(shared))
}

/// Jaeger's port.
pub(crate) fn tracing(shared: &Arc<Shared>) -> Router {
    let router = Router::new().route("/healthz", get(status::healthz)).with_state(shared.clone());
    finish(shared, router.nest("/api", jaeger::router().with_state(shared.clone())))
}

fn prometheus(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/federate", get(prometheus::federate))
        .route("/metrics", get(prometheus::metrics))
        .route("/api/sd/prometheus", get(prometheus::discovery))
        .route("/api/status", get(status::status))
        .route("/healthz", get(status::healthz))
        .with_state(shared.clone())
}

fn finish(shared: &Arc<Shared>, router: Router) -> Router {
    router.layer(from_fn_with_state(shared.clone(), count))
}

async fn count(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    shared.count_request();
    next.run(request).await
}

/// What handlers answer.
type Answer<T> = Result<Json<T>, crate::error::ApiError>;
