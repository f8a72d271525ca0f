//! The aggregator from outside: real OTLP clients in, real HTTP out, every port free.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value as OtlpValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{BuildError, Config, Limits, Listen, build};

const CUMULATIVE: i32 = 2;

struct Running {
    addresses: Vec<(&'static str, SocketAddr)>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), BuildError>>,
}

impl Running {
    async fn start(limits: Limits) -> Self {
        let listen = Listen::free(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let bound = build(Config { listen, limits, ..Config::default() }).await.unwrap();
        let (addresses, stop) = (bound.addresses(), CancellationToken::new());
        let task = tokio::spawn(bound.serve(stop.clone()));
        Self { addresses, stop, task }
    }

    fn at(&self, name: &str) -> SocketAddr {
        self.addresses.iter().find(|(known, _)| *known == name).unwrap().1
    }

    async fn push(&self, message: ExportMetricsServiceRequest) -> i64 {
        let mut client = MetricsServiceClient::connect(format!("http://{}", self.at("otlp-grpc"))).await.unwrap();
        let answer = client.export(message).await.unwrap().into_inner();
        answer.partial_success.map_or(0, |partial| partial.rejected_data_points)
    }

    async fn get(&self, name: &str, path: &str) -> (u16, String) {
        http(self.at(name), &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"), &[]).await
    }

    async fn json(&self, name: &str, path: &str) -> Value {
        let (status, body) = self.get(name, path).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// One request on its own connection; the body is what follows the head, with chunk sizes removed.
async fn http(address: SocketAddr, head: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let value = |text: &str| Some(AnyValue { value: Some(OtlpValue::StringValue(text.into())) });
    pairs.iter().map(|(key, text)| KeyValue { key: (*key).into(), value: value(text), ..KeyValue::default() }).collect()
}

fn nanos() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

fn resource(app: &str, address: &str) -> Option<Resource> {
    let id = format!("sidecar~{address}~{app}-v1-0.default~default.svc.cluster.local");
    let attributes = attributes(&[
        ("service.name", &format!("{app}.default")),
        ("service.instance.id", &id),
        ("k8s.pod.name", &format!("{app}-v1-0")),
        ("k8s.namespace.name", "default"),
        ("app", app),
        ("version", "v1"),
        ("orrery.scrape.address", &format!("{address}:15020")),
    ]);
    Some(Resource { attributes, ..Resource::default() })
}

/// 120 requests from productpage to `to` in the 10 s before now, 8 of them failed.
fn metrics(reporter: &str, to: &str) -> ExportMetricsServiceRequest {
    let host = format!("{to}.default.svc.cluster.local");
    let workload = format!("{to}-v1");
    let policy = if reporter == "destination" { "mutual_tls" } else { "unknown" };
    let labels = |code: &str| {
        attributes(&[
            ("reporter", reporter),
            ("source_cluster", "Kubernetes"),
            ("source_workload_namespace", "default"),
            ("source_workload", "productpage-v1"),
            ("source_canonical_service", "productpage"),
            ("source_canonical_revision", "v1"),
            ("source_principal", "spiffe://cluster.local/ns/default/sa/bookinfo-productpage"),
            ("destination_cluster", "Kubernetes"),
            ("destination_workload_namespace", "default"),
            ("destination_workload", &workload),
            ("destination_canonical_service", to),
            ("destination_canonical_revision", "v1"),
            ("destination_principal", "spiffe://cluster.local/ns/default/sa/bookinfo"),
            ("destination_service", &host),
            ("destination_service_name", to),
            ("destination_service_namespace", "default"),
            ("request_protocol", "http"),
            ("response_code", code),
            ("response_flags", "-"),
            ("connection_security_policy", policy),
        ])
    };
    let now = nanos();
    let point = |code: &str, value: i64| NumberDataPoint {
        attributes: labels(code),
        start_time_unix_nano: now - 10_000_000_000,
        time_unix_nano: now,
        value: Some(Number::AsInt(value)),
        ..NumberDataPoint::default()
    };
    let requests = Sum {
        data_points: vec![point("200", 112), point("503", 8)],
        aggregation_temporality: CUMULATIVE,
        is_monotonic: true,
    };
    let durations = Histogram {
        data_points: vec![HistogramDataPoint {
            attributes: labels("200"),
            start_time_unix_nano: now - 10_000_000_000,
            time_unix_nano: now,
            count: 120,
            sum: Some(300.0),
            bucket_counts: vec![0, 120, 0],
            explicit_bounds: vec![1.0, 5.0],
            ..HistogramDataPoint::default()
        }],
        aggregation_temporality: CUMULATIVE,
    };
    let metric = |name: &str, data| Metric {
        name: name.into(),
        description: "Help.".into(),
        data: Some(data),
        ..Metric::default()
    };
    let scope = ScopeMetrics {
        metrics: vec![
            metric("istio_requests_total", Data::Sum(requests)),
            metric("istio_request_duration_milliseconds", Data::Histogram(durations)),
        ],
        ..ScopeMetrics::default()
    };
    let (app, address) = if reporter == "source" { ("productpage", "127.1.0.11") } else { (to, "127.1.0.13") };
    let part =
        ResourceMetrics { resource: resource(app, address), scope_metrics: vec![scope], ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![part] }
}

fn spans() -> ExportTraceServiceRequest {
    let now = nanos();
    let span = |id: u8, parent: Vec<u8>, name: &str, code: i32| Span {
        trace_id: vec![7; 16],
        span_id: vec![id; 8],
        parent_span_id: parent,
        name: name.into(),
        kind: 3,
        start_time_unix_nano: now - 5_000_000,
        end_time_unix_nano: now,
        attributes: attributes(&[("http.status_code", "503")]),
        status: Some(Status { code, ..Status::default() }),
        ..Span::default()
    };
    let part = |app: &str, spans| ResourceSpans {
        resource: resource(app, "127.1.0.11"),
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    };
    let bad = Span { trace_id: vec![1; 3], ..Span::default() };
    ExportTraceServiceRequest {
        resource_spans: vec![
            part("productpage", vec![span(1, vec![], "reviews.default.svc.cluster.local:9080/*", 0), bad]),
            part("reviews", vec![span(2, vec![1; 8], "reviews.default.svc.cluster.local:9080/*", 2)]),
        ],
    }
}

#[tokio::test]
async fn what_is_pushed_is_on_the_graph_and_in_every_api() {
    let running = Running::start(Limits::default()).await;
    for reporter in ["source", "destination"] {
        assert_eq!(running.push(metrics(reporter, "reviews")).await, 0);
    }
    let graph = running.json("ui", "/api/namespaces/graph?namespaces=all&graphType=versionedApp&duration=60s").await;
    let edges = graph["elements"]["edges"].as_array().unwrap();
    assert_eq!(edges.len(), 1, "both reports are one edge");
    assert!(edges[0]["data"]["traffic"]["rates"]["http"].as_str().unwrap().starts_with("2.0"), "{graph}");
    assert_eq!(edges[0]["data"]["healthStatus"], "Degraded");
    assert_eq!(edges[0]["data"]["isMTLS"], 100.0);
    assert_eq!(graph["elements"]["nodes"].as_array().unwrap().len(), 2);

    let overview = running.json("ui", "/api/overview").await;
    let about = |value: &Value, expected: f64| (value.as_f64().unwrap() / expected - 1.0).abs() < 0.03;
    assert!(
        about(&overview["totals"]["rps"], 2.0) && about(&overview["totals"]["errorRate"], 8.0 / 120.0),
        "{overview}"
    );
    assert_eq!(overview["namespaces"][0]["name"], "default");
    assert_eq!(overview["topErrors"][0]["name"], "reviews");
    assert!(overview["series"]["rps"].as_array().unwrap().len() > 10);

    let services = running.json("ui", "/api/services").await;
    assert_eq!((&services[0]["name"], &services[0]["versions"][0]), (&"reviews".into(), &"v1".into()));
    assert_eq!(
        (&services[0]["health"], &services[0]["mtls"], &services[0]["p95"]),
        (&"Degraded".into(), &100.0.into(), &4.8.into())
    );
    let detail = running.json("ui", "/api/namespaces/default/services/reviews?duration=5m").await;
    assert_eq!(detail["inbound"][0]["workload"], "productpage-v1");
    assert!(about(&detail["codes"]["503"], 8.0 / 300.0), "{detail}");
    let series = running.json("ui", "/api/namespaces/default/services/reviews/series?duration=60s&step=5s").await;
    for line in ["rps", "errorRps", "p50", "p95", "p99", "requestBytes", "responseBytes"] {
        assert_eq!(series[line].as_array().unwrap().len(), 13, "{line}");
    }

    let found = running.json("query", "/api/sd/prometheus").await;
    assert_eq!(found.as_array().unwrap().len(), 2);
    assert_eq!(found[0]["targets"][0], "127.1.0.11:15020");
    assert_eq!(
        (&found[0]["labels"]["job"], &found[0]["labels"]["app"]),
        (&"orrery-proxy".into(), &"productpage".into())
    );
    let (_, text) = running.get("query", "/federate?match[]=%7B__name__%3D~%22istio_.*%22%7D").await;
    assert!(
        text.contains("# TYPE istio_requests_total counter")
            && text.contains("le=\"+Inf\"")
            && text.contains("instance=\"127.1.0.13:15020\""),
        "{text}"
    );
    assert!(running.get("query", "/metrics").await.1.contains("orrery_telemetry_series 6"));
    assert_eq!(running.json("ui", "/api/status").await["series"], 6);
    assert_eq!(running.get("ui", "/healthz").await.0, 200);
    running.stop().await;
}

#[tokio::test]
async fn traces_in_jaegers_words() {
    let running = Running::start(Limits::default()).await;
    let mut client = TraceServiceClient::connect(format!("http://{}", running.at("otlp-grpc"))).await.unwrap();
    let partial = client.export(spans()).await.unwrap().into_inner().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 1);
    for (port, prefix) in [("tracing", "/api"), ("ui", "/api/tracing")] {
        let services = running.json(port, &format!("{prefix}/services")).await;
        assert_eq!(services["data"], serde_json::json!(["productpage.default", "reviews.default"]));
        let path = format!(
            "{prefix}/traces?service=reviews.default&tags=%7B%22error%22%3A%22true%22%7D&minDuration=1ms&limit=5"
        );
        let found = running.json(port, &path).await;
        assert_eq!(found["data"].as_array().unwrap().len(), 1);
        let trace = &found["data"][0];
        assert_eq!(trace["spans"].as_array().unwrap().len(), 2);
        assert_eq!(trace["spans"][1]["references"][0]["spanID"], "0101010101010101");
        assert_eq!(trace["processes"]["p1"]["serviceName"], "productpage.default");
        let id = trace["traceID"].as_str().unwrap();
        assert_eq!(running.json(port, &format!("{prefix}/traces/{id}")).await["data"][0]["traceID"], id);
        let operations = running.json(port, &format!("{prefix}/services/reviews.default/operations")).await;
        assert_eq!(operations["data"][0], "reviews.default.svc.cluster.local:9080/*");
        assert_eq!(running.json(port, &format!("{prefix}/dependencies")).await["data"][0]["callCount"], 1);
        assert_eq!(running.get(port, &format!("{prefix}/traces/0abc")).await.0, 404);
        for bad in ["traces/xyz", "traces?limit=0", "traces?minDuration=1", "traces?tags=x", "traces?start=-1"] {
            assert_eq!(running.get(port, &format!("{prefix}/{bad}")).await.0, 400, "{bad}");
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn the_stream_tells_of_an_intake_and_ends_with_the_server() {
    let running = Running::start(Limits::default()).await;
    let mut stream = TcpStream::connect(running.at("ui")).await.unwrap();
    stream.write_all(b"GET /api/graph/stream?duration=60s HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut seen = Vec::new();
    let mut pushed = false;
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while let Some(line) = lines.next_line().await.unwrap() {
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let event: Value = serde_json::from_str(data).unwrap();
            if !pushed {
                pushed = true;
                running.push(metrics("source", "reviews")).await;
            }
            let edges = event["elements"]["edges"].as_array().unwrap().len();
            seen.push((event["sequence"].as_u64().unwrap(), edges));
            if edges == 1 {
                let id = event["elements"]["edges"][0]["data"]["id"].as_str().unwrap();
                assert!(event["layout"]["edges"][id]["path"].as_str().unwrap().starts_with('M'));
                return;
            }
        }
    });
    waited.await.unwrap();
    assert_eq!(seen.first().map(|(_, edges)| *edges), Some(0));
    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0), "{seen:?}");
    running.stop().await;
    let rest =
        tokio::time::timeout(Duration::from_secs(20), async { while let Ok(Some(_)) = lines.next_line().await {} });
    rest.await.unwrap();
}

#[tokio::test]
async fn bad_parameters_and_limits() {
    let running = Running::start(Limits { series: 3, message_bytes: 100_000, streams: 0, ..Limits::default() }).await;
    assert_eq!(running.push(metrics("source", "reviews")).await, 0);
    assert_eq!(running.push(metrics("destination", "reviews")).await, 3);
    let table = [
        ("/api/namespaces/graph?duration=abc", 400),
        ("/api/namespaces/graph?duration=2h", 400),
        ("/api/namespaces/graph?graphType=nonsense", 400),
        ("/api/namespaces/graph?injectServiceNodes=1", 400),
        ("/api/namespaces/graph?queryTime=1", 400),
        ("/api/namespaces/graph?namespaces=A_B", 400),
        ("/api/namespaces/graph?appenders=whatever", 200),
        ("/api/overview?duration=0s", 400),
        ("/api/namespaces/default/services/none", 404),
        ("/api/namespaces/default/services/reviews/series?step=1s&duration=1h", 400),
        ("/api/namespaces/default/services/reviews/series?reporter=me", 400),
        ("/federate?match[]=sum(x)", 400),
        ("/api/graph/stream", 503),
        ("/nowhere", 404),
    ];
    for (path, expected) in table {
        let (status, body) = running.get("ui", path).await;
        assert_eq!(status, expected, "{path}: {body}");
        assert!(expected != 400 || body.contains("\"error\""), "{path}: {body}");
    }
    let (status, _) = http(
        running.at("ui"),
        "POST /api/services HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        &[],
    )
    .await;
    assert_eq!(status, 405);
    running.stop().await;
}

#[tokio::test]
async fn otlp_over_http() {
    let running = Running::start(Limits { message_bytes: 100_000, ..Limits::default() }).await;
    let body = metrics("source", "reviews").encode_to_vec();
    // Just too long: all of it must be read to find out, so the answer meets no reset.
    let long = vec![0; 100_001];
    let table: [(&str, &str, &[u8], u16); 5] = [
        ("/v1/metrics", "application/x-protobuf", &body, 200),
        ("/v1/metrics", "application/json", b"{}", 415),
        ("/v1/metrics", "application/x-protobuf", b"\xff\xff\xff", 400),
        ("/v1/metrics", "application/x-protobuf", &long, 413),
        ("/v1/traces", "application/x-protobuf", &spans().encode_to_vec(), 200),
    ];
    for (path, kind, body, expected) in table {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let (status, _) = http(running.at("otlp-http"), &head, body).await;
        assert_eq!(status, expected, "{path} {kind}");
    }
    assert_eq!(running.json("ui", "/api/services").await[0]["name"], "reviews");
    assert_eq!(running.json("tracing", "/api/services").await["data"].as_array().unwrap().len(), 2);
    running.stop().await;
}
