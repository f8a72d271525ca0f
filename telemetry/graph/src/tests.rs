//! Each type of graph from a Bookinfo whose traffic is reported by both ends.

use std::collections::BTreeSet;
use std::sync::Arc;

use orrery_store::{Family, Limits, Reading, Series, SeriesStore};

use crate::build::{MeshGraph, Options, build};
use crate::durations::Durations;
use crate::identity::UNKNOWN;
use crate::kiali::{Graph, convert};
use crate::node::GraphType;
use crate::observe::{Counted, Observations, Window};

const END: i64 = 1_000_000;

struct Call {
    from: (&'static str, &'static str),
    to: (&'static str, &'static str),
    rate: f64,
    code: &'static str,
    flags: &'static str,
    protocol: &'static str,
}

fn call(from: (&'static str, &'static str), to: (&'static str, &'static str), rate: f64) -> Call {
    Call { from, to, rate, code: "200", flags: "-", protocol: "http" }
}

fn bookinfo() -> Vec<Call> {
    let (page, gateway) = (("productpage", "v1"), ("istio-ingressgateway", "latest"));
    let mut calls = vec![call(gateway, page, 9.0), call(page, ("details", "v1"), 9.0)];
    for version in ["v1", "v2", "v3"] {
        calls.push(call(page, ("reviews", version), 3.0));
        if version != "v1" {
            calls.push(call(("reviews", version), ("ratings", "v1"), 3.0));
        }
    }
    calls
}

fn namespace(app: &str) -> &'static str {
    if app == "istio-ingressgateway" { "istio-system" } else { "default" }
}

fn workload(app: &str, version: &str) -> String {
    if version == "latest" { app.into() } else { format!("{app}-{version}") }
}

/// One minute of traffic, as one reporter counts it.
fn report(store: &mut SeriesStore, reporter: &str, call: &Call, security: &str) {
    let ((from, from_version), (to, to_version)) = (call.from, call.to);
    let (from_workload, to_workload) = (workload(from, from_version), workload(to, to_version));
    let lost = to_version.is_empty();
    let known = |value: &str| if lost { UNKNOWN.to_owned() } else { value.to_owned() };
    let host = format!("{to}.default.svc.cluster.local");
    let principal = |name: &str| format!("spiffe://cluster.local/ns/default/sa/{name}");
    let owned: Vec<(&str, String)> = vec![
        ("reporter", reporter.into()),
        ("source_cluster", "Kubernetes".into()),
        ("source_workload_namespace", namespace(from).into()),
        ("source_workload", from_workload),
        ("source_canonical_service", from.into()),
        ("source_canonical_revision", from_version.into()),
        ("source_principal", principal(from)),
        ("destination_cluster", "Kubernetes".into()),
        ("destination_workload_namespace", known("default")),
        ("destination_workload", known(&to_workload)),
        ("destination_canonical_service", known(to)),
        ("destination_canonical_revision", known(to_version)),
        ("destination_principal", principal(to)),
        ("destination_service", host),
        ("destination_service_name", to.into()),
        ("destination_service_namespace", "default".into()),
        ("request_protocol", call.protocol.into()),
        ("response_code", call.code.into()),
        ("response_flags", call.flags.into()),
        ("connection_security_policy", security.into()),
    ];
    let labels = || owned.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>();
    for second in 0..=60_i64 {
        let time = END - 60_000 + second * 1000;
        let value = call.rate * second as f64;
        let start = END - 60_000;
        let name = if call.protocol == "tcp" { "istio_tcp_received_bytes_total" } else { "istio_requests_total" };
        if time > start {
            store.append(name, &mut labels(), (END, time), Reading::Counter { start, value }).unwrap();
        }
        let counts = [0, value as u64, 0];
        let duration = Reading::Histogram {
            start,
            bounds: &[1.0, if reporter == "source" { 9.0 } else { 5.0 }],
            counts: &counts,
            sum: 0.0,
        };
        if call.protocol != "tcp" && time > start {
            store.append("istio_request_duration_milliseconds", &mut labels(), (END, time), duration).unwrap();
        }
    }
}

fn both(calls: &[Call]) -> SeriesStore {
    let mut store = SeriesStore::new(Limits::default());
    for call in calls {
        report(&mut store, "source", call, UNKNOWN);
        if !call.to.1.is_empty() && call.flags != "FI" {
            let security = if namespace(call.from.0) == "default" { "mutual_tls" } else { "none" };
            report(&mut store, "destination", call, security);
        }
    }
    store
}

fn graph(store: &SeriesStore, options: &Options) -> (MeshGraph, Graph) {
    let graph = build(&observe(store), options);
    let json = convert(&graph, options.graph_type, END / 1000, 60);
    (graph, json)
}

fn observe(store: &SeriesStore) -> Observations {
    let mut seen = Observations::default();
    let window = Window::new(END, 60_000);
    let counted = |series: &Series| Counted {
        rate: series.rate(window.end, window.length),
        live: series.rate(window.end, window.live),
        last_seen: series.changed_at().unwrap_or(0),
    };
    let all = |name: &str| store.family(name).map_or(&[][..], Family::all);
    for series in all("istio_requests_total") {
        seen.add_requests(|name: &str| series.labels().shared(name), counted(series));
    }
    for series in all("istio_tcp_received_bytes_total") {
        seen.add_tcp(|name: &str| series.labels().shared(name), counted(series));
    }
    for series in all("istio_request_duration_milliseconds") {
        let delta = series.observed(window.end - window.length, window.end).unwrap();
        let durations = Durations { bounds: delta.bounds, counts: delta.counts };
        seen.add_durations(|name: &str| series.labels().shared(name), durations);
    }
    seen
}

fn names(graph: &Graph) -> (Vec<String>, Vec<String>) {
    let name = |id: &str| {
        let node = &graph.elements.nodes.iter().find(|node| node.data.id == id).unwrap().data;
        format!("{}:{}", node.node_type, node.label())
    };
    let nodes = graph.elements.nodes.iter().map(|node| {
        let boxed = if node.data.parent.is_empty() { "" } else { " in box" };
        format!("{}:{}{boxed}", node.data.node_type, node.data.label())
    });
    let edges = graph.elements.edges.iter().map(|edge| {
        let rate = edge.data.traffic.rates.get(edge.data.traffic.protocol).cloned().unwrap_or_default();
        format!("{} > {} {rate}", name(&edge.data.source), name(&edge.data.target))
    });
    let (mut nodes, mut edges): (Vec<_>, Vec<_>) = (nodes.collect(), edges.collect());
    nodes.sort();
    edges.sort();
    (nodes, edges)
}

fn expect(options: &Options, nodes: &[&str], edges: &[&str]) {
    let (_, json) = graph(&both(&bookinfo()), options);
    let (got_nodes, got_edges) = names(&json);
    assert_eq!(got_nodes, nodes, "{options:?}");
    assert_eq!(got_edges, edges, "{options:?}");
}

#[test]
fn versioned_app() {
    expect(
        &Options::new(GraphType::VersionedApp),
        &[
            "app:details v1",
            "app:istio-ingressgateway latest",
            "app:productpage v1",
            "app:ratings v1",
            "app:reviews v1 in box",
            "app:reviews v2 in box",
            "app:reviews v3 in box",
            "box:reviews",
        ],
        &[
            "app:istio-ingressgateway latest > app:productpage v1 9.00",
            "app:productpage v1 > app:details v1 9.00",
            "app:productpage v1 > app:reviews v1 3.00",
            "app:productpage v1 > app:reviews v2 3.00",
            "app:productpage v1 > app:reviews v3 3.00",
            "app:reviews v2 > app:ratings v1 3.00",
            "app:reviews v3 > app:ratings v1 3.00",
        ],
    );
}

#[test]
fn app() {
    expect(
        &Options::new(GraphType::App),
        &["app:details", "app:istio-ingressgateway", "app:productpage", "app:ratings", "app:reviews"],
        &[
            "app:istio-ingressgateway > app:productpage 9.00",
            "app:productpage > app:details 9.00",
            "app:productpage > app:reviews 9.00",
            "app:reviews > app:ratings 6.00",
        ],
    );
}

#[test]
fn workloads_with_services() {
    expect(
        &Options { inject_service_nodes: true, ..Options::new(GraphType::Workload) },
        &[
            "service:details",
            "service:productpage",
            "service:ratings",
            "service:reviews",
            "workload:details v1",
            "workload:istio-ingressgateway latest",
            "workload:productpage v1",
            "workload:ratings v1",
            "workload:reviews v1",
            "workload:reviews v2",
            "workload:reviews v3",
        ],
        &[
            "service:details > workload:details v1 9.00",
            "service:productpage > workload:productpage v1 9.00",
            "service:ratings > workload:ratings v1 6.00",
            "service:reviews > workload:reviews v1 3.00",
            "service:reviews > workload:reviews v2 3.00",
            "service:reviews > workload:reviews v3 3.00",
            "workload:istio-ingressgateway latest > service:productpage 9.00",
            "workload:productpage v1 > service:details 9.00",
            "workload:productpage v1 > service:reviews 9.00",
            "workload:reviews v2 > service:ratings 3.00",
            "workload:reviews v3 > service:ratings 3.00",
        ],
    );
}

#[test]
fn services() {
    expect(
        &Options::new(GraphType::Service),
        &[
            "service:details",
            "service:productpage",
            "service:ratings",
            "service:reviews",
            "workload:istio-ingressgateway latest",
        ],
        &[
            "service:productpage > service:details 9.00",
            "service:productpage > service:reviews 9.00",
            "service:reviews > service:ratings 6.00",
            "workload:istio-ingressgateway latest > service:productpage 9.00",
        ],
    );
}

#[test]
fn details_of_edges_and_nodes() {
    let gateways = BTreeSet::from([("istio-system".to_owned(), "istio-ingressgateway".to_owned())]);
    let options = Options { gateways, ..Options::new(GraphType::VersionedApp) };
    let (mesh, json) = graph(&both(&bookinfo()), &options);
    let gateway = mesh.node_weights().find(|node| &*node.app == "istio-ingressgateway").unwrap();
    assert!(gateway.is_root && gateway.is_gateway && !gateway.is_outside && !gateway.is_idle);
    assert_eq!(mesh.node_weights().filter(|node| node.is_root).count(), 1);
    for edge in &json.elements.edges {
        let from_gateway = edge.data.source == gateway.id;
        assert_eq!(edge.data.is_mtls, Some(if from_gateway { 0.0 } else { 100.0 }));
        assert_eq!(edge.data.health_status, "Healthy");
        // 95 % of the way through the bucket from 1 to 5 (the callee's) and from 1 to 9 ms (the caller's).
        assert_eq!(edge.data.response_time, "5");
        assert_eq!(edge.data.orrery.p95, Some(8.6));
        assert_eq!(edge.data.orrery.p50, Some(5.0));
        assert!(edge.data.orrery.live.rps > 2.9);
        assert_eq!(edge.data.traffic.responses["200"].flags["-"], "100.0");
    }
    let value = serde_json::to_value(&json).unwrap();
    assert_eq!(value["graphType"], "versionedApp");
    assert_eq!(value["elements"]["nodes"][0]["data"]["isBox"], "app");
    assert!(value["elements"]["edges"][0]["data"]["isMTLS"].is_number());
    assert_eq!(serde_json::to_value(graph(&both(&bookinfo()), &options).1).unwrap(), value, "stable");
}

#[test]
fn errors_faults_and_lost_requests() {
    let page = ("productpage", "v1");
    let calls = [
        call(page, ("reviews", "v1"), 9.0),
        Call { code: "503", flags: "UF", ..call(page, ("reviews", "v1"), 1.0) },
        Call { code: "500", flags: "FI", ..call(page, ("ratings", "v1"), 2.0) },
        Call { code: "503", flags: "UH", ..call(page, ("details", ""), 4.0) },
    ];
    let (mesh, json) = graph(&both(&calls), &Options::new(GraphType::VersionedApp));
    let (nodes, edges) = names(&json);
    assert_eq!(nodes, ["app:productpage v1", "app:ratings v1", "app:reviews v1", "service:details"]);
    assert_eq!(
        edges,
        [
            "app:productpage v1 > app:ratings v1 2.00",
            "app:productpage v1 > app:reviews v1 10.00",
            "app:productpage v1 > service:details 4.00",
        ]
    );
    let reviews = json.elements.edges.iter().find(|edge| edge.data.traffic.rates["http"] == "10.00").unwrap();
    assert_eq!(reviews.data.traffic.rates["httpPercentErr"], "10.0");
    assert_eq!(reviews.data.traffic.rates["httpPercentReq"], "62.5");
    assert_eq!(reviews.data.traffic.responses["503"].flags["UF"], "10.0");
    assert_eq!(reviews.data.health_status, "Failure");
    let page = mesh.node_weights().find(|node| &*node.app == "productpage").unwrap();
    assert_eq!(page.health, crate::Health::Failure);
}

#[test]
fn namespaces_idle_edges_and_tcp() {
    let calls =
        [call(("a", "v1"), ("b", "v1"), 0.0), Call { protocol: "tcp", ..call(("b", "v1"), ("mongo", "v1"), 1024.0) }];
    let store = both(&calls);
    let plain = Options::new(GraphType::Workload);
    assert_eq!(names(&graph(&store, &plain).1).1, ["workload:b v1 > workload:mongo v1 1024.00"]);
    let idle = Options { include_idle_edges: true, ..plain.clone() };
    let (mesh, _) = graph(&store, &idle);
    assert_eq!((mesh.edge_count(), mesh.node_weights().filter(|node| node.is_idle).count()), (2, 1));
    let other = Options { namespaces: Some(BTreeSet::from(["other".to_owned()])), ..plain };
    assert_eq!(graph(&store, &other).0.node_count(), 0);
    let system =
        Options { namespaces: Some(BTreeSet::from(["istio-system".to_owned()])), ..Options::new(GraphType::App) };
    let (mesh, _) = graph(&both(&bookinfo()), &system);
    assert_eq!((mesh.edge_count(), mesh.node_weights().filter(|node| node.is_outside).count()), (1, 1));
}

#[test]
fn replicas_add_up_and_reporters_do_not() {
    let mut store = both(&[call(("a", "v1"), ("b", "v1"), 3.0)]);
    let (_, one) = graph(&store, &Options::new(GraphType::Workload));
    assert_eq!(names(&one).1, ["workload:a v1 > workload:b v1 3.00"]);
    let second = call(("a", "v1"), ("b", "v1"), 2.0);
    let before = store.series_count();
    for instance in ["source", "destination"] {
        let labels = Arc::<str>::from(instance);
        report(&mut store, &labels, &Call { code: "204", ..call(second.from, second.to, 2.0) }, "mutual_tls");
    }
    assert_eq!(store.series_count(), before + 4);
    let (_, both) = graph(&store, &Options::new(GraphType::Workload));
    assert_eq!(names(&both).1, ["workload:a v1 > workload:b v1 5.00"]);
}
