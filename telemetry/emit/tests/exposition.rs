//! The text that Prometheus scrapes, seen from outside: an exact sample, hostile label values, and promtool's word.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use orrery_emit::flags::ResponseFlags;
use orrery_emit::labels::{
    ConnectionSecurityPolicy, Destination, Ends, HttpLabels, Reporter, RequestProtocol, TcpLabels, Workload,
};
use orrery_emit::registry::{Registry, Resource};

/// The name in milliseconds is Istio's, and the one thing that promtool has to say.
const KNOWN: &str = "istio_request_duration_milliseconds use base unit \"seconds\" instead of \"milliseconds\"";

fn ends(app: &str) -> Ends {
    let own = Workload { app: app.into(), version: "".into(), ..Workload::unknown() };
    Ends {
        reporter: Reporter::Destination,
        source: Arc::new(Workload::unknown()),
        source_principal: "unknown".into(),
        destination: Arc::new(own),
        destination_principal: "spiffe://cluster.local/ns/default/sa/reviews".into(),
        service: Destination { host: "reviews".into(), name: "reviews".into(), namespace: "default".into() },
    }
}

fn http(app: &str) -> HttpLabels {
    HttpLabels {
        ends: ends(app),
        protocol: RequestProtocol::Grpc,
        response_code: 200,
        grpc_status: Some(14),
        response_flags: ResponseFlags::UF | ResponseFlags::URX,
        security: ConnectionSecurityPolicy::MutualTls,
    }
}

fn registry() -> Registry {
    Registry::new(Resource { component: "proxy", tag: "0.1.0", ..Resource::default() })
}

fn promtool(text: &str) -> String {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool: install it with `apt-get install prometheus` (or run tests/run)");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned()
}

#[test]
fn a_request_is_written_with_all_labels_in_order() {
    let registry = registry();
    registry.http(&http("reviews")).record(1_500, 100, 4_000_000);
    let text = registry.encode();
    let labels = "reporter=\"destination\",source_workload=\"unknown\",source_canonical_service=\"unknown\",\
        source_canonical_revision=\"latest\",source_workload_namespace=\"unknown\",source_principal=\"unknown\",\
        source_app=\"unknown\",source_version=\"unknown\",source_cluster=\"unknown\",destination_workload=\"unknown\",\
        destination_workload_namespace=\"unknown\",\
        destination_principal=\"spiffe://cluster.local/ns/default/sa/reviews\",destination_app=\"reviews\",\
        destination_service=\"reviews\",destination_canonical_service=\"unknown\",\
        destination_canonical_revision=\"latest\",destination_service_name=\"reviews\",\
        destination_service_namespace=\"default\",destination_cluster=\"unknown\",request_protocol=\"grpc\",\
        response_code=\"200\",grpc_response_status=\"14\",response_flags=\"UF,URX\",\
        connection_security_policy=\"mutual_tls\"";
    let lines: Vec<&str> = text.lines().collect();
    for (sample, value) in [
        (format!("istio_requests_total{{{labels}}}"), "1"),
        (format!("istio_request_duration_milliseconds_sum{{{labels}}}"), "1.5"),
        (format!("istio_request_duration_milliseconds_count{{{labels}}}"), "1"),
    ] {
        assert!(lines.contains(&format!("{sample} {value}").as_str()), "no {sample} {value}");
    }
    let bucket = |family: &str, bound: &str| {
        let end = format!("le=\"{bound}\"");
        let line = lines.iter().find(|line| line.starts_with(&format!("{family}_bucket{{")) && line.contains(&end));
        line.and_then(|line| line.rsplit_once(' ')).map(|(_, value)| value.to_owned())
    };
    for (family, bound, value) in [
        ("istio_request_duration_milliseconds", "1.0", "0"),
        ("istio_request_duration_milliseconds", "5.0", "1"),
        ("istio_request_duration_milliseconds", "+Inf", "1"),
        ("istio_request_bytes", "100.0", "1"),
        ("istio_response_bytes", "3600000.0", "0"),
        ("istio_response_bytes", "+Inf", "1"),
    ] {
        assert_eq!(bucket(family, bound).as_deref(), Some(value), "{family} le={bound}");
    }
}

#[test]
fn what_a_peer_calls_itself_cannot_forge_a_line() {
    for hostile in ["a\"} 1\nforged_total 7", "\\", "\\\"", "# EOF", "\n# TYPE x counter\nx 1\n", "λ\u{7f}\r\t"] {
        let registry = registry();
        registry.http(&http(hostile)).record(1, 1, 1);
        let text = registry.encode();
        let is_ours = |line: &str| {
            ["istio_", "orrery_", "process_", "# HELP ", "# TYPE "].iter().any(|start| line.starts_with(start))
        };
        let foreign: Vec<&str> = text.lines().filter(|line| !is_ours(line)).collect();
        assert!(foreign.is_empty(), "{hostile:?} made {foreign:?}");
        assert!(!text.lines().any(|line| line.starts_with("# TYPE x")), "{hostile:?} forged a type");
        assert_eq!(promtool(&text), KNOWN, "{hostile:?}");
    }
}

#[test]
fn promtool_accepts_an_empty_and_a_busy_registry() {
    let registry = registry();
    assert_eq!(promtool(&registry.encode()), "");
    for app in ["productpage", "details", "reviews"] {
        registry.http(&http(app)).record(1_000_000, 0, u64::from(u32::MAX));
        let labels = TcpLabels {
            ends: ends(app),
            response_flags: ResponseFlags::NONE,
            security: ConnectionSecurityPolicy::None,
        };
        registry.tcp(&labels).sent.add(7);
    }
    assert_eq!(promtool(&registry.encode()), KNOWN);
}

#[test]
fn handles_are_shared_and_no_addition_is_lost_between_threads() {
    let registry = registry();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let series = registry.http(&http("reviews"));
                for _ in 0..1_000 {
                    series.record(2_000, 10, 10);
                }
            });
        }
    });
    let text = registry.encode();
    let total = text.lines().find(|line| line.starts_with("istio_requests_total{")).expect("a sample");
    assert!(total.ends_with("} 4000"), "{total}");
    let sum = text.lines().find(|line| line.starts_with("istio_request_bytes_sum{")).expect("a sample");
    assert!(sum.ends_with("} 40000.0"), "{sum}");
}
