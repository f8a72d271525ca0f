use std::io::Write;
use std::process::{Command, Stdio};

use super::*;
use crate::catalogue::Family;
use crate::flags::ResponseFlags;
use crate::labels::{ConnectionSecurityPolicy, Destination, Ends, Reporter, RequestProtocol, Workload};
use crate::otlp::{Pushed, messages};

fn workload(name: &str, version: &str) -> Arc<Workload> {
    Arc::new(Workload {
        workload: format!("{name}-{version}").into(),
        namespace: "default".into(),
        canonical_service: name.into(),
        canonical_revision: version.into(),
        app: name.into(),
        version: version.into(),
        cluster: "Kubernetes".into(),
    })
}

fn labels(code: u16) -> HttpLabels {
    let ends = Ends {
        reporter: Reporter::Source,
        source: workload("productpage", "v1"),
        source_principal: "spiffe://cluster.local/ns/default/sa/productpage".into(),
        destination: workload("reviews", "v2"),
        destination_principal: "spiffe://cluster.local/ns/default/sa/reviews".into(),
        service: Destination {
            host: "reviews.default.svc.cluster.local".into(),
            name: "reviews".into(),
            namespace: "default".into(),
        },
    };
    HttpLabels {
        ends,
        protocol: RequestProtocol::Http,
        response_code: code,
        grpc_status: None,
        response_flags: ResponseFlags::NONE,
        security: ConnectionSecurityPolicy::Unknown,
    }
}

fn registry(label_sets: usize) -> Registry {
    let resource = Resource { component: "proxy", tag: "0.1.0", ..Resource::default() };
    Registry::with_limits(resource, Limits { label_sets, idle: Duration::from_secs(60) })
}

#[test]
fn one_label_set_has_one_series() {
    let registry = registry(10);
    registry.http(&labels(200)).record(1_500, 100, 1_000);
    registry.http(&labels(200)).record(2_500, 100, 1_000);
    registry.http(&labels(500)).record(1, 1, 1);
    assert_eq!(registry.http(&labels(200)).requests.value(), 2);
    assert_eq!(registry.read_http().len(), 2);
}

#[test]
fn a_full_registry_counts_what_it_refuses() {
    let registry = registry(1);
    registry.http(&labels(200)).record(1, 1, 1);
    registry.http(&labels(500)).record(1, 1, 1);
    assert_eq!(registry.read_http().len(), 1);
    assert!(registry.encode().contains("orrery_refused_series_total 1"), "{}", registry.encode());
}

#[test]
fn idle_series_go_unless_somebody_holds_them() {
    let registry = registry(10);
    let start = SystemTime::now();
    let held = registry.http(&labels(200));
    registry.http(&labels(500)).record(1, 1, 1);
    registry.expire(start + Duration::from_secs(30));
    assert_eq!(registry.read_http().len(), 2);
    registry.expire(start + Duration::from_secs(100));
    let left = registry.read_http();
    assert_eq!(left.iter().map(|r| r.labels.response_code).collect::<Vec<_>>(), [200]);
    drop((held, left));
    registry.expire(start + Duration::from_secs(200));
    assert_eq!(registry.read_http().len(), 0);
}

#[test]
fn exposition_is_prometheus_text() {
    let registry = registry(10);
    registry.http(&labels(200)).record(1_500, 100, 1_000);
    let text = registry.encode();
    for line in [
        "# TYPE istio_requests_total counter",
        "# HELP istio_requests_total Requests that have ended.",
        "# TYPE istio_request_duration_milliseconds histogram",
        "# TYPE istio_build gauge",
        "istio_build{component=\"proxy\",tag=\"0.1.0\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "no line {line} in\n{text}");
    }
    let sample = text.lines().find(|l| l.starts_with("istio_requests_total{")).expect("a sample");
    assert!(
        sample.starts_with("istio_requests_total{reporter=\"source\",source_workload=\"productpage-v1\""),
        "{sample}"
    );
    assert!(sample.ends_with("connection_security_policy=\"unknown\"} 1"), "{sample}");
    assert!(!sample.contains("grpc_response_status"), "empty labels are left out: {sample}");
    let bucket = text.lines().find(|l| l.contains("_milliseconds_bucket") && l.contains("le=\"5")).expect("a bucket");
    assert!(bucket.ends_with(" 1"), "{bucket}");
    assert!(!text.contains("# EOF") && !text.contains("# UNIT"));
}

/// The name in milliseconds is Istio's, and the one thing that promtool has to say.
const KNOWN: &str = "istio_request_duration_milliseconds use base unit \"seconds\" instead of \"milliseconds\"";

#[test]
fn promtool_finds_nothing_else() {
    let registry = registry(10);
    registry.http(&labels(200)).record(1_500, 100, 1_000);
    let tcp = TcpLabels {
        ends: labels(200).ends,
        response_flags: ResponseFlags::NONE,
        security: ConnectionSecurityPolicy::Unknown,
    };
    registry.tcp(&tcp).opened.add(1);
    registry.messages(&MessageLabels { ends: labels(200).ends }).request.add(1);
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool: install it with `apt-get install prometheus` (or run tests/run)");
    promtool.stdin.take().unwrap().write_all(registry.encode().as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&said).trim(), KNOWN, "in\n{}", registry.encode());
}

#[test]
fn every_family_of_the_mesh_is_exposed() {
    let registry = registry(10);
    registry.http(&labels(200)).record(1, 1, 1);
    let tcp = TcpLabels {
        ends: labels(200).ends,
        response_flags: ResponseFlags::NONE,
        security: ConnectionSecurityPolicy::None,
    };
    registry.tcp(&tcp).opened.add(1);
    registry.messages(&MessageLabels { ends: labels(200).ends }).request.add(1);
    let text = registry.encode();
    for family in Family::ALL {
        assert!(text.contains(&format!("# TYPE {} ", family.name())), "{} is missing in\n{text}", family.name());
    }
}

#[test]
fn a_full_registry_is_pushed_in_messages_that_a_receiver_takes() {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    let registry = registry(10_000);
    for number in 0..2_500u32 {
        let labels = HttpLabels { grpc_status: Some(number), ..labels(200) };
        registry.http(&labels).record(1, 1, 1);
    }
    let all = messages(&registry, &mut Pushed::default(), SystemTime::now(), 1_000);
    let requests = |message: &opentelemetry_proto::tonic::metrics::v1::ResourceMetrics| {
        let requests = message.scope_metrics[0].metrics.iter().find(|metric| metric.name == "istio_requests_total");
        match requests.and_then(|metric| metric.data.as_ref()) {
            Some(Data::Sum(sum)) => sum.data_points.len(),
            other => panic!("no sum: {other:?}"),
        }
    };
    assert_eq!(all.iter().map(requests).collect::<Vec<_>>(), [1_000, 1_000, 500]);
    let largest = all.iter().map(prost::Message::encoded_len).max().unwrap_or_default();
    assert!(largest < 8 << 20, "{largest} bytes");
}

#[test]
fn a_process_that_only_is_scraped_forgets_idle_series() {
    let resource = Resource { component: "proxy", tag: "0.1.0", ..Resource::default() };
    let registry = Registry::with_limits(resource, Limits { label_sets: 10, idle: Duration::ZERO });
    registry.http(&labels(200)).record(1, 1, 1);
    assert!(!registry.encode().contains("istio_requests_total{"), "idle at once");
}
