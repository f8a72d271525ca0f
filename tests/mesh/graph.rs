//! The live graph: what it shows of Bookinfo, and how fast.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::signal::Signal;
use orrery_tests::demo::{Demo, signal};
use orrery_tests::events::Events;
use orrery_tests::eventually::eventually;
use serde_json::Value;

/// Edges that Bookinfo has, as `app version` or `service` at each end.
const EDGES: [(&str, &str); 10] = [
    ("istio-ingressgateway latest", "productpage"),
    ("productpage", "productpage v1"),
    ("productpage v1", "details"),
    ("productpage v1", "reviews"),
    ("details", "details v1"),
    ("reviews", "reviews v1"),
    ("reviews", "reviews v2"),
    ("reviews", "reviews v3"),
    ("reviews v2", "ratings"),
    ("reviews v3", "ratings"),
];

#[tokio::test]
async fn has_every_edge_of_bookinfo_with_rates_and_mutual_tls() {
    let demo = Demo::start(34, &["--rps", "30"]).await;
    draws_bookinfo_with_mutual_tls(&demo).await;
}

/// Every edge of Bookinfo has a rate, and all of its calls were mutual TLS.
pub(crate) async fn draws_bookinfo_with_mutual_tls(demo: &Demo) {
    eventually("every edge of Bookinfo", Duration::from_secs(30), || async {
        let graph = demo.graph("duration=60s&injectServiceNodes=true").await?;
        let edges = named_edges(&graph);
        for (source, target) in EDGES {
            let edge = edges
                .get(&(source.to_owned(), target.to_owned()))
                .with_context(|| format!("no edge {source} -> {target}; there are {:?}", edges.keys()))?;
            anyhow::ensure!(rate(edge) > 0.0, "{source} -> {target} has no rate: {edge}");
        }
        anyhow::Ok(())
    })
    .await;
    // The callee's report, which knows of mutual TLS, may come half a second after the caller's.
    eventually("mutual TLS on every edge", Duration::from_secs(10), || async {
        let graph = demo.graph("duration=60s&injectServiceNodes=true").await?;
        for ((source, target), edge) in named_edges(&graph) {
            anyhow::ensure!(source != "unknown", "traffic of an unknown source reaches {target}: {edge}");
            let secured = edge["isMTLS"].as_f64().or_else(|| edge["isMTLS"].as_str()?.parse().ok());
            anyhow::ensure!(secured == Some(100.0), "{source} -> {target} is not all mutual TLS: {edge}");
        }
        anyhow::Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_stopped_generator_shows_on_the_stream_within_two_seconds() {
    let demo = Demo::start(35, &["--rps", "40"]).await;
    let url = format!("{}/api/graph/stream?namespaces=all&graphType=versionedApp&duration=60s", demo.state().ui);
    let mut events = Events::open(&url).await.expect("the event stream");
    let lively = tokio::time::timeout(Duration::from_secs(20), async {
        while live(&events.next("graph").await.expect("an event")) < 20.0 {}
    });
    lively.await.expect("live rates of at least 20/s within 20 s");

    let generator = demo.parts(&["traffic"]);
    assert_eq!(generator.len(), 1, "one traffic generator: {generator:?}");
    let stopped = Instant::now();
    signal(generator[0], Signal::SIGSTOP);
    let quiet = tokio::time::timeout(Duration::from_secs(10), async {
        while live(&events.next("graph").await.expect("an event")) > 0.0 {}
        stopped.elapsed()
    });
    let after = quiet.await.expect("live rates fall to 0");
    signal(generator[0], Signal::SIGCONT);
    assert!(after <= Duration::from_secs(2), "the stop showed after {after:?}");
}

/// Edges by the names of their ends, without those of hidden boxes.
fn named_edges(graph: &Value) -> BTreeMap<(String, String), Value> {
    let names: BTreeMap<String, String> =
        list(graph, "nodes").iter().map(|node| (text(node, "id"), node_name(node))).collect();
    let ids: BTreeSet<&String> = names.keys().collect();
    list(graph, "edges")
        .into_iter()
        .map(|edge| {
            let (source, target) = (text(&edge, "source"), text(&edge, "target"));
            assert!(ids.contains(&source) && ids.contains(&target), "an edge without its nodes: {edge}");
            ((names[&source].clone(), names[&target].clone()), edge)
        })
        .collect()
}

fn node_name(node: &Value) -> String {
    match node["nodeType"].as_str() {
        Some("service") => text(node, "service"),
        Some("app") => {
            format!("{} {}", text(node, "app"), node["version"].as_str().unwrap_or("latest")).trim().to_owned()
        }
        _ => text(node, "nodeType"),
    }
}

fn list(graph: &Value, kind: &str) -> Vec<Value> {
    let elements = graph["elements"][kind].as_array().cloned().unwrap_or_default();
    elements.into_iter().map(|mut element| element["data"].take()).collect()
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

/// Requests per second over an edge in the window.
fn rate(edge: &Value) -> f64 {
    edge["traffic"]["rates"]["http"].as_str().and_then(|rate| rate.parse().ok()).unwrap_or_default()
}

/// The sum of all edges' live rates.
fn live(graph: &Value) -> f64 {
    list(graph, "edges").iter().filter_map(|edge| edge["orrery"]["live"]["rps"].as_f64()).sum()
}
