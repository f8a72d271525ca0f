//! The graph, once or as a stream.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use orrery_graph::Window;
use orrery_graph::kiali::Graph;

use super::Answer;
use crate::error::ApiError;
use crate::params::Params;
use crate::shared::Shared;
use crate::stream::{Question, subscribe};

pub(super) async fn graph(State(shared): State<Arc<Shared>>, params: Params) -> Answer<Graph> {
    let question = question(&shared, &params)?;
    let now = shared.now();
    let end = params.moment("queryTime", now - shared.retention(), now)?;
    Ok(axum::Json(shared.graph(question.options(), Window::new(end, question.duration))))
}

pub(super) async fn stream(State(shared): State<Arc<Shared>>, params: Params) -> Result<impl IntoResponse, ApiError> {
    subscribe(&shared, &question(&shared, &params)?)
}

fn question(shared: &Shared, params: &Params) -> Result<Question, ApiError> {
    Ok(Question {
        graph_type: params.graph_type()?,
        inject_service_nodes: params.flag("injectServiceNodes", false)?,
        include_idle_edges: params.flag("includeIdleEdges", false)?,
        namespaces: params.namespaces()?,
        duration: params.duration("duration", 60_000, shared.retention())?,
        flow: params.flow()?,
    })
}
