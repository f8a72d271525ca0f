//! A real Prometheus finds every proxy by service discovery alone, likes its metrics, and counts as the graph does.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use orrery_tests::demo::Demo;
use orrery_tests::eventually::eventually;
use orrery_tests::http::get;
use orrery_tests::prometheus::Prometheus;
use orrery_tests::tools;
use serde_json::Value;

const PROXIES: usize = 7;
/// The name in milliseconds is Istio's, and the one thing that promtool has to say.
const KNOWN: &str = "istio_request_duration_milliseconds use base unit \"seconds\" instead of \"milliseconds\"";
/// Edges are compared over this window of steady traffic.
const WINDOW: Duration = Duration::from_secs(30);

#[tokio::test]
async fn prometheus_scrapes_every_proxy_and_agrees_with_the_graph() {
    let demo = Demo::start(36, &["--rps", "50"]).await;
    let prometheus = Prometheus::start(&format!("{}/api/sd/prometheus", demo.state().query)).await;
    let targets = eventually("every proxy is scraped", Duration::from_secs(30), || async {
        let targets = prometheus.targets().await?;
        let proxies: Vec<String> = targets
            .iter()
            .filter(|(_, up)| *up)
            .map(|(target, _)| target.clone())
            .filter(|t| t.ends_with(":15020"))
            .collect();
        anyhow::ensure!(proxies.len() == PROXIES && targets.iter().all(|(_, up)| *up), "{targets:?}");
        anyhow::Ok(proxies)
    })
    .await;
    for target in &targets {
        promtool_likes(target).await;
    }
    // Both need a whole window of steady traffic to look back on.
    tokio::time::sleep(WINDOW + Duration::from_secs(5)).await;
    compare(&demo, &prometheus).await;
}

async fn compare(demo: &Demo, prometheus: &Prometheus) {
    let seconds = WINDOW.as_secs();
    let expression = format!(
        "sum by (source_workload, destination_service_name) (rate(istio_requests_total{{reporter=\"source\"}}[{seconds}s]))"
    );
    eventually("rates of Prometheus and of the graph are within 2 %", Duration::from_secs(30), || async {
        let theirs = by_edge(&prometheus.query(&expression).await?);
        let graph = demo.graph(&format!("duration={seconds}s&injectServiceNodes=true")).await?;
        let ours = graph_edges(&graph);
        anyhow::ensure!(theirs.len() == 5, "Prometheus knows only {theirs:?}");
        for (edge, rate) in &theirs {
            let seen = ours.get(edge).copied().unwrap_or_default();
            anyhow::ensure!((seen - rate).abs() <= 0.02 * rate, "{edge:?}: Prometheus {rate}, graph {seen}");
        }
        anyhow::Ok(())
    })
    .await;
}

async fn promtool_likes(target: &str) {
    let answer = get(&format!("http://{target}/stats/prometheus")).await.expect("metrics");
    let mut promtool = Command::new(tools::program("promtool", "prometheus"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    promtool.stdin.take().expect("a pipe").write_all(&answer.body).expect("promtool reads");
    let output = promtool.wait_with_output().expect("promtool ends");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(said.trim() == KNOWN || said.is_empty(), "promtool check metrics of {target}: {}\n{said}", output.status);
}

fn by_edge(vector: &[Value]) -> BTreeMap<(String, String), f64> {
    vector
        .iter()
        .filter_map(|sample| {
            let label = |name: &str| sample["metric"][name].as_str().unwrap_or_default().to_owned();
            let rate: f64 = sample["value"][1].as_str()?.parse().ok()?;
            (rate > 0.0).then(|| ((label("source_workload"), label("destination_service_name")), rate))
        })
        .collect()
}

/// Rates from a workload to a service, as the graph with service nodes has them.
fn graph_edges(graph: &Value) -> BTreeMap<(String, String), f64> {
    let list = |kind: &str| graph["elements"][kind].as_array().cloned().unwrap_or_default();
    let nodes: BTreeMap<String, Value> = list("nodes")
        .into_iter()
        .map(|n| (n["data"]["id"].as_str().unwrap_or_default().to_owned(), n["data"].clone()))
        .collect();
    let mut edges = BTreeMap::new();
    for edge in list("edges") {
        let end = |side: &str| &nodes[edge["data"][side].as_str().unwrap_or_default()];
        let (source, target) = (end("source"), end("target"));
        if target["nodeType"] == "service" {
            let rate: f64 =
                edge["data"]["traffic"]["rates"]["http"].as_str().and_then(|r| r.parse().ok()).unwrap_or_default();
            let names = (source["workload"].as_str(), target["service"].as_str());
            *edges
                .entry((names.0.unwrap_or_default().to_owned(), names.1.unwrap_or_default().to_owned()))
                .or_default() += rate;
        }
    }
    edges
}
