//! The push, seen by an aggregator: what arrives, what is left out, and what comes after a failure.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use orrery_emit::flags::ResponseFlags;
use orrery_emit::labels::{
    ConnectionSecurityPolicy, Destination, Ends, HttpLabels, Reporter, RequestProtocol, Workload,
};
use orrery_emit::push::{PushConfig, run};
use orrery_emit::registry::{Registry, Resource};
use orrery_emit::spans::{SpanKind, SpanRecord, SpanSink, Value, queue};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);
/// Long enough that no complete push falls into a test, which comes after twenty.
const INTERVAL: Duration = Duration::from_millis(200);

/// An aggregator that shows what it gets. It refuses so many metrics messages first.
#[derive(Clone)]
struct Aggregator {
    metrics: mpsc::Sender<ExportMetricsServiceRequest>,
    spans: mpsc::Sender<ExportTraceServiceRequest>,
    refusals: Arc<std::sync::atomic::AtomicU32>,
}

#[tonic::async_trait]
impl MetricsService for Aggregator {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        use std::sync::atomic::Ordering::SeqCst;
        self.metrics.send(request.into_inner()).await.map_err(|_| Status::aborted("the test is over"))?;
        match self.refusals.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Err(Status::unavailable("not yet")),
            Err(_) => Ok(Response::new(Default::default())),
        }
    }
}

#[tonic::async_trait]
impl TraceService for Aggregator {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.spans.send(request.into_inner()).await.map_err(|_| Status::aborted("the test is over"))?;
        Ok(Response::new(Default::default()))
    }
}

/// A registry that pushes to an aggregator.
struct Rig {
    registry: Registry,
    sink: SpanSink,
    metrics: mpsc::Receiver<ExportMetricsServiceRequest>,
    spans: mpsc::Receiver<ExportTraceServiceRequest>,
    shutdown: CancellationToken,
    pushing: tokio::task::JoinHandle<()>,
}

impl Rig {
    /// Starts to push what `prepare` puts into the registry.
    async fn start(refusals: u32, prepare: impl FnOnce(&Registry)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (metrics_sender, metrics) = mpsc::channel(16);
        let (spans_sender, spans) = mpsc::channel(16);
        let aggregator =
            Aggregator { metrics: metrics_sender, spans: spans_sender, refusals: Arc::new(refusals.into()) };
        let server = Server::builder()
            .add_service(MetricsServiceServer::new(aggregator.clone()))
            .add_service(TraceServiceServer::new(aggregator))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        let registry = Registry::new(Resource {
            service_name: "productpage.default".into(),
            scrape_address: "127.1.0.11:15020".into(),
            ..Resource::default()
        });
        prepare(&registry);
        let (sink, spans_queue) = queue(8);
        let shutdown = CancellationToken::new();
        let config = PushConfig { endpoint, interval: INTERVAL };
        let pushing = run(config, registry.clone(), spans_queue, shutdown.clone());
        let pushing = tokio::spawn(async move { pushing.await.expect("the endpoint is a URL") });
        Self { registry, sink, metrics, spans, shutdown, pushing }
    }

    async fn message(&mut self) -> ExportMetricsServiceRequest {
        timeout(PATIENCE, self.metrics.recv()).await.expect("a message in time").expect("an aggregator")
    }
}

fn labels(code: u16) -> HttpLabels {
    HttpLabels {
        ends: Ends {
            reporter: Reporter::Source,
            source: Arc::new(Workload { version: "".into(), ..Workload::unknown() }),
            source_principal: "unknown".into(),
            destination: Arc::new(Workload::unknown()),
            destination_principal: "unknown".into(),
            service: Destination { host: "reviews".into(), name: "reviews".into(), namespace: "default".into() },
        },
        protocol: RequestProtocol::Http,
        response_code: code,
        grpc_status: None,
        response_flags: ResponseFlags::NONE,
        security: ConnectionSecurityPolicy::Unknown,
    }
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?;
    match value.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text),
        _ => panic!("{key} is no text"),
    }
}

/// The response codes of a message's requests, sorted.
fn codes(message: &ExportMetricsServiceRequest) -> Vec<String> {
    let metrics = message.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
    let requests = metrics.filter(|metric| metric.name == "istio_requests_total");
    let mut codes: Vec<String> = requests
        .flat_map(|metric| match metric.data.as_ref() {
            Some(Data::Sum(sum)) if sum.is_monotonic && sum.aggregation_temporality == 2 => &sum.data_points,
            other => panic!("no cumulative sum: {other:?}"),
        })
        .map(|point| text(&point.attributes, "response_code").unwrap_or_default().to_owned())
        .collect();
    codes.sort();
    codes
}

#[tokio::test]
async fn only_what_changed_is_pushed_again() {
    let mut rig = Rig::start(0, |registry| {
        registry.http(&labels(200)).record(1_500, 10, 20);
        registry.http(&labels(404)).record(1_500, 10, 20);
    })
    .await;
    assert_eq!(codes(&rig.message().await), ["200", "404"]);
    rig.registry.http(&labels(404)).record(1, 1, 1);
    rig.registry.http(&labels(500)).record(1, 1, 1);
    assert_eq!(codes(&rig.message().await), ["404", "500"]);
}

#[tokio::test]
async fn after_a_refusal_everything_is_pushed_again() {
    let mut rig = Rig::start(1, |registry| registry.http(&labels(200)).record(1, 1, 1)).await;
    assert_eq!(codes(&rig.message().await), ["200"], "this one is refused");
    rig.registry.http(&labels(500)).record(1, 1, 1);
    assert_eq!(codes(&rig.message().await), ["200", "500"]);
}

#[tokio::test]
async fn shutdown_pushes_what_came_last() {
    let mut rig = Rig::start(0, |registry| registry.http(&labels(200)).record(1, 1, 1)).await;
    rig.message().await;
    rig.registry.http(&labels(503)).record(1, 1, 1);
    rig.shutdown.cancel();
    assert_eq!(codes(&rig.message().await), ["503"]);
    timeout(PATIENCE, rig.pushing).await.expect("the push ends").unwrap();
}

#[tokio::test]
async fn a_message_says_who_speaks_and_leaves_out_what_is_empty() {
    let before = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let mut rig = Rig::start(0, |registry| registry.http(&labels(200)).record(1_500, 10, 20)).await;
    let message = rig.message().await;
    let resource = &message.resource_metrics[0];
    let attributes = &resource.resource.as_ref().unwrap().attributes;
    assert_eq!(text(attributes, "service.name"), Some("productpage.default"));
    assert_eq!(text(attributes, "orrery.scrape.address"), Some("127.1.0.11:15020"));
    assert_eq!(text(attributes, "app"), None, "empty");
    let durations = resource.scope_metrics[0].metrics.iter().find(|m| m.name == "istio_request_duration_milliseconds");
    let Some(Data::Histogram(histogram)) = durations.and_then(|metric| metric.data.as_ref()) else {
        panic!("no histogram: {durations:?}")
    };
    let point = &histogram.data_points[0];
    assert_eq!((point.count, point.sum), (1, Some(1.5)));
    assert_eq!((point.explicit_bounds.len(), point.bucket_counts.len()), (19, 20));
    assert_eq!(point.bucket_counts.iter().position(|count| *count == 1), Some(2), "1 < 1.5 <= 5");
    assert_eq!(
        (text(&point.attributes, "source_version"), text(&point.attributes, "grpc_response_status")),
        (None, None)
    );
    assert!(point.start_time_unix_nano >= before && point.start_time_unix_nano <= point.time_unix_nano);
}

#[tokio::test]
async fn spans_arrive_as_they_were_offered() {
    let mut rig = Rig::start(0, |_| {}).await;
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    rig.sink.offer(SpanRecord {
        trace_id: [7; 16],
        span_id: [8; 8],
        parent: Some([9; 8]),
        name: "reviews.default.svc.cluster.local:9080/*".into(),
        kind: SpanKind::Client,
        start,
        end: start + Duration::from_millis(12),
        attributes: vec![("http.method", Value::Text("GET".into())), ("response_size", Value::Number(91))],
        error: true,
    });
    let message = timeout(PATIENCE, rig.spans.recv()).await.expect("spans in time").expect("an aggregator");
    let resource = &message.resource_spans[0];
    assert_eq!(text(&resource.resource.as_ref().unwrap().attributes, "service.name"), Some("productpage.default"));
    let span = &resource.scope_spans[0].spans[0];
    assert_eq!((&*span.trace_id, &*span.span_id, &*span.parent_span_id), (&[7; 16][..], &[8; 8][..], &[9; 8][..]));
    assert_eq!((span.kind, span.status.as_ref().unwrap().code), (3, 2), "CLIENT, ERROR");
    assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 12_000_000);
    assert_eq!(text(&span.attributes, "http.method"), Some("GET"));
}

#[tokio::test]
async fn an_endpoint_that_is_no_url_is_an_error() {
    let (_sink, spans) = queue(1);
    let config = PushConfig { endpoint: "not a url".into(), interval: INTERVAL };
    let pushing = run(config, Registry::new(Resource::default()), spans, CancellationToken::new());
    let error = timeout(PATIENCE, pushing).await.expect("an answer at once").unwrap_err().to_string();
    assert!(error.contains("not a url") && error.contains("http://host:port"), "{error}");
}
