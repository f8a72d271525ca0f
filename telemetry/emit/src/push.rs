//! The push to the aggregator: metrics every interval, spans in batches, over OTLP/gRPC.
//!
//! The aggregator may be away: metrics are cumulative, so nothing is lost but resolution; spans are dropped and counted
//! by their queue. Nothing here grows while it is away.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind as OtelKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_sdk::Resource as SdkResource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use thiserror::Error;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::otlp::{Pushed, attributes_of, messages};
use crate::registry::{Registry, Resource};
use crate::spans::{SpanKind, SpanQueue, SpanRecord, Value};

/// Most spans in one message.
const BATCH: usize = 512;
/// A push that is not answered within this counts as failed.
const TIMEOUT: Duration = Duration::from_secs(2);
/// So often all series are sent, changed or not, so that a new aggregator knows idle ones too.
const COMPLETE_EVERY: Duration = Duration::from_secs(10);
/// Most label sets of a kind in one message: some 2.5 MB, where collectors take 4 and the aggregator takes 16.
const LABEL_SETS: usize = 500;

/// Where to push, and how often.
#[derive(Clone, Debug)]
pub struct PushConfig {
    /// `http://host:4317`.
    pub endpoint: String,
    pub interval: Duration,
}

/// Why pushing cannot begin.
#[derive(Debug, Error)]
pub enum PushError {
    #[error("the telemetry endpoint {endpoint} is no URL of the form http://host:port: {source}")]
    Endpoint { endpoint: String, source: tonic::transport::Error },
    #[error("the span exporter for {endpoint} cannot be built: {source}")]
    Exporter { endpoint: String, source: opentelemetry_otlp::ExporterBuildError },
}

/// Pushes until `shutdown`, then once more.
///
/// # Errors
/// When the endpoint is no URL; an aggregator that does not answer is no error.
pub async fn run(
    config: PushConfig,
    registry: Registry,
    spans: SpanQueue,
    shutdown: CancellationToken,
) -> Result<(), PushError> {
    let endpoint = Endpoint::from_shared(config.endpoint.clone())
        .map_err(|source| PushError::Endpoint { endpoint: config.endpoint.clone(), source })?;
    let channel = endpoint.connect_timeout(TIMEOUT).timeout(TIMEOUT).connect_lazy();
    let exporter = span_exporter(&config, registry.resource())?;
    let metrics = push_metrics(MetricsServiceClient::new(channel), registry, config.interval, shutdown.clone());
    let spans = push_spans(exporter, spans, config.interval, shutdown);
    tokio::join!(metrics, spans);
    Ok(())
}

async fn push_metrics(
    mut client: MetricsServiceClient<Channel>,
    registry: Registry,
    every: Duration,
    shutdown: CancellationToken,
) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pushed = Pushed::default();
    let mut reached = true;
    let mut complete = Instant::now();
    loop {
        let last = tokio::select! {
            _ = ticks.tick() => false,
            () = shutdown.cancelled() => true,
        };
        if !reached || complete.elapsed() >= COMPLETE_EVERY {
            complete = Instant::now();
            registry.expire(SystemTime::now());
            pushed.clear();
        }
        for message in messages(&registry, &mut pushed, SystemTime::now(), LABEL_SETS) {
            let request = ExportMetricsServiceRequest { resource_metrics: vec![message] };
            reached = report(reached, client.export(request).await.map(drop));
            if !reached {
                break;
            }
        }
        if last {
            return;
        }
    }
}

/// Says once that the aggregator is away, and once that it is back.
fn report(reached: bool, result: Result<(), tonic::Status>) -> bool {
    match (reached, result) {
        (true, Err(status)) => {
            tracing::warn!(code = ?status.code(), message = status.message(), "the aggregator does not take metrics; trying on");
            false
        }
        (false, Ok(())) => {
            tracing::info!("the aggregator takes metrics again");
            true
        }
        (_, result) => result.is_ok(),
    }
}

async fn push_spans(exporter: SpanExporter, mut queue: SpanQueue, every: Duration, shutdown: CancellationToken) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let scope = InstrumentationScope::builder("orrery").with_version(env!("CARGO_PKG_VERSION")).build();
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let last = tokio::select! {
            _ = ticks.tick() => false,
            () = shutdown.cancelled() => true,
        };
        loop {
            while batch.len() < BATCH
                && let Ok(span) = queue.spans.try_recv()
            {
                batch.push(span_data(span, &scope));
            }
            if batch.is_empty() {
                break;
            }
            let count = batch.len();
            if let Err(error) = exporter.export(std::mem::take(&mut batch)).await {
                tracing::debug!(%error, "spans were not taken");
                queue.lost(count);
                break;
            }
            if count < BATCH {
                break;
            }
        }
        if last {
            return;
        }
    }
}

fn span_exporter(config: &PushConfig, resource: &Resource) -> Result<SpanExporter, PushError> {
    let mut exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(config.endpoint.clone())
        .with_timeout(TIMEOUT)
        .build()
        .map_err(|source| PushError::Exporter { endpoint: config.endpoint.clone(), source })?;
    let attributes = attributes_of(resource).into_iter().map(|(key, value)| KeyValue::new(key, value.to_owned()));
    exporter.set_resource(&SdkResource::builder_empty().with_attributes(attributes).build());
    Ok(exporter)
}

fn span_data(span: SpanRecord, scope: &InstrumentationScope) -> SpanData {
    let context = SpanContext::new(
        TraceId::from_bytes(span.trace_id),
        SpanId::from_bytes(span.span_id),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    );
    let attributes = span.attributes.into_iter().map(|(key, value)| match value {
        Value::Text(text) => KeyValue::new(key, text),
        Value::Shared(text) => KeyValue::new(key, text),
        Value::Number(number) => KeyValue::new(key, number),
    });
    SpanData {
        span_context: context,
        parent_span_id: span.parent.map_or(SpanId::INVALID, SpanId::from_bytes),
        parent_span_is_remote: span.parent.is_some(),
        span_kind: match span.kind {
            SpanKind::Client => OtelKind::Client,
            SpanKind::Server => OtelKind::Server,
        },
        name: span.name.into(),
        start_time: span.start,
        end_time: span.end,
        attributes: attributes.collect(),
        dropped_attributes_count: 0,
        events: opentelemetry_sdk::trace::SpanEvents::default(),
        links: opentelemetry_sdk::trace::SpanLinks::default(),
        status: if span.error { Status::error("") } else { Status::Unset },
        instrumentation_scope: scope.clone(),
    }
}
