//! OTLP over gRPC.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tonic::transport::server::Router;
use tonic::{Request, Response, Status};

use super::{Refused, take_metrics, take_spans};
use crate::shared::Shared;

/// Calls of one connection at one time.
const MOST_STREAMS: u32 = 64;

struct Intake(Arc<Shared>);

/// The server with both services.
pub(crate) fn server(shared: &Arc<Shared>) -> Router {
    let limit = shared.config.limits.message_bytes;
    let metrics = MetricsServiceServer::new(Intake(shared.clone())).max_decoding_message_size(limit);
    let traces = TraceServiceServer::new(Intake(shared.clone())).max_decoding_message_size(limit);
    tonic::transport::Server::builder().max_concurrent_streams(MOST_STREAMS).add_service(metrics).add_service(traces)
}

#[tonic::async_trait]
impl MetricsService for Intake {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        Ok(Response::new(metrics_answer(take_metrics(&self.0, &request.get_ref().resource_metrics))))
    }
}

#[tonic::async_trait]
impl TraceService for Intake {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        Ok(Response::new(spans_answer(take_spans(&self.0, &request.get_ref().resource_spans))))
    }
}

pub(super) fn metrics_answer(refused: Refused) -> ExportMetricsServiceResponse {
    let partial = ExportMetricsPartialSuccess { rejected_data_points: refused.count, error_message: refused.reason };
    ExportMetricsServiceResponse { partial_success: (partial.rejected_data_points > 0).then_some(partial) }
}

pub(super) fn spans_answer(refused: Refused) -> ExportTraceServiceResponse {
    let partial = ExportTracePartialSuccess { rejected_spans: refused.count, error_message: refused.reason };
    ExportTraceServiceResponse { partial_success: (partial.rejected_spans > 0).then_some(partial) }
}
