//! OTLP over HTTP, in protobuf.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use std::time::Duration;

use super::grpc::{metrics_answer, spans_answer};
use super::{take_metrics, take_spans};
use crate::shared::Shared;

/// Time in which a message must have arrived.
const SLOWEST: Duration = Duration::from_secs(30);
const PROTOBUF: &str = "application/x-protobuf";

/// `/v1/metrics` and `/v1/traces`.
pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/metrics", post(metrics))
        .route("/v1/traces", post(traces))
        .layer(from_fn(in_time))
        .layer(DefaultBodyLimit::max(shared.config.limits.message_bytes))
        .with_state(shared.clone())
}

/// A sender that never finishes its message is not waited for.
async fn in_time(request: Request, next: Next) -> Response {
    let answered = tokio::time::timeout(SLOWEST, next.run(request)).await;
    answered.unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response())
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    match decode::<ExportMetricsServiceRequest>(&headers, &body) {
        Ok(request) => answer(&metrics_answer(take_metrics(&shared, &request.resource_metrics))),
        Err(refusal) => refusal,
    }
}

async fn traces(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    match decode::<ExportTraceServiceRequest>(&headers, &body) {
        Ok(request) => answer(&spans_answer(take_spans(&shared, &request.resource_spans))),
        Err(refusal) => refusal,
    }
}

#[allow(clippy::result_large_err, reason = "the error is the response itself, and is returned at once")]
fn decode<M: Message + Default>(headers: &HeaderMap, body: &[u8]) -> Result<M, Response> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    if kind.split(';').next().map(str::trim) != Some(PROTOBUF) {
        let message = format!("content type {kind:?} is not taken: send {PROTOBUF}\n");
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, message).into_response());
    }
    M::decode(body)
        .map_err(|error| (StatusCode::BAD_REQUEST, format!("not an OTLP message: {error}\n")).into_response())
}

fn answer(message: &impl Message) -> Response {
    ([(CONTENT_TYPE, PROTOBUF)], message.encode_to_vec()).into_response()
}
