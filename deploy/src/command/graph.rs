//! `orrery graph`: the live graph as a table of edges.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::cli::{GraphArgs, GraphType, Output};
use crate::client::Client;
use crate::command::api::encode;
use crate::mesh::{Mesh, authority};
use crate::print;
use crate::table::Table;

/// How long the aggregator may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

pub(crate) async fn run(arguments: GraphArgs) -> anyhow::Result<ExitCode> {
    let mesh = Mesh::find(&arguments.mesh)?;
    let namespaces = arguments.namespace.as_deref().unwrap_or("all");
    let graph = fetch(&mesh.ui, namespaces, arguments.graph_type, arguments.duration).await?;
    match arguments.output {
        Output::Json => print::json(&graph)?,
        Output::Yaml => print::yaml(&graph)?,
        Output::Table => {
            let edges = edges(&graph);
            if edges.is_empty() {
                print::note("no traffic in this time");
            } else {
                print::data(&table(&edges).render())?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One edge, as the table shows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Edge {
    pub source: String,
    pub target: String,
    pub protocol: String,
    /// Requests per second; for TCP, bytes per second.
    pub rate: f64,
    /// Per cent.
    pub errors: f64,
    /// Milliseconds.
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    /// Share of mutual TLS, per cent.
    pub mtls: Option<f64>,
}

/// Kiali's graph from the aggregator at this URL.
pub(crate) async fn fetch(
    ui: &str,
    namespaces: &str,
    graph_type: GraphType,
    window: Duration,
) -> anyhow::Result<Value> {
    let path = format!(
        "/api/namespaces/graph?namespaces={}&graphType={}&duration={}s&injectServiceNodes=false",
        encode(namespaces),
        graph_type.query(),
        window.as_secs().max(1)
    );
    let answer = Client::default().get(authority(ui)?, &path, LIMIT).await;
    let answer = answer.context("the aggregator cannot be reached; does the mesh still run?")?;
    let said = String::from_utf8_lossy(answer.body());
    ensure!(answer.status().is_success(), "the aggregator answered {}: {}", answer.status(), said.trim());
    serde_json::from_slice(answer.body()).context("the aggregator's graph is not understood")
}

/// The edges of Kiali's graph, the busiest first.
pub(crate) fn edges(graph: &Value) -> Vec<Edge> {
    let list = |name: &str| graph["elements"][name].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: HashMap<&str, String> =
        list("nodes").iter().filter_map(|node| Some((node["data"]["id"].as_str()?, name(&node["data"])))).collect();
    let mut edges: Vec<Edge> = list("edges").iter().filter_map(|edge| read(&edge["data"], &names)).collect();
    edges.sort_by(|a, b| {
        b.rate.total_cmp(&a.rate).then_with(|| a.source.cmp(&b.source)).then_with(|| a.target.cmp(&b.target))
    });
    edges
}

fn read(edge: &Value, names: &HashMap<&str, String>) -> Option<Edge> {
    let end = |side: &str| names.get(edge[side].as_str()?).cloned();
    let traffic = &edge["traffic"];
    let protocol = traffic["protocol"].as_str().unwrap_or_default();
    // Kiali prints rates as text.
    let rate = |name: &str| traffic["rates"][name].as_str().and_then(|text| text.parse().ok()).unwrap_or(0.0);
    let added = &edge["orrery"];
    Some(Edge {
        source: end("source")?,
        target: end("target")?,
        protocol: protocol.to_owned(),
        rate: rate(protocol),
        errors: rate(&format!("{protocol}PercentErr")),
        p50: added["p50"].as_f64(),
        p95: added["p95"].as_f64(),
        p99: added["p99"].as_f64(),
        mtls: edge["isMTLS"].as_f64(),
    })
}

/// `reviews v2`, `details (service)`, the workload's name, or whatever else a node is known by.
fn name(node: &Value) -> String {
    let text = |field: &str| node[field].as_str().unwrap_or_default();
    match text("nodeType") {
        "service" => format!("{} (service)", text("service")),
        "app" if !text("version").is_empty() => format!("{} {}", text("app"), text("version")),
        "app" => text("app").to_owned(),
        _ => [text("workload"), text("app"), text("service"), "unknown"]
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or_default()
            .to_owned(),
    }
}

/// The table that `orrery graph` prints.
pub(crate) fn table(edges: &[Edge]) -> Table {
    let mut table = Table::new(&["SOURCE", "DESTINATION", "PROTOCOL", ">RPS", ">ERR%", ">P50", ">P95", ">P99", "mTLS"]);
    for edge in edges {
        let rate = if edge.protocol == "tcp" { format!("{:.0} B/s", edge.rate) } else { format!("{:.2}", edge.rate) };
        let mtls = edge.mtls.map(|share| if share >= 100.0 { "yes".to_owned() } else { format!("{share:.0}%") });
        let mut row = vec![edge.source.clone(), edge.target.clone(), edge.protocol.clone(), rate];
        row.push(format!("{:.1}", edge.errors));
        row.extend([edge.p50, edge.p95, edge.p99].map(|time| time.map(milliseconds).unwrap_or_default()));
        row.push(mtls.unwrap_or_else(|| "no".to_owned()));
        table.row(row);
    }
    table
}

fn milliseconds(value: f64) -> String {
    match value {
        long if long >= 1000.0 => format!("{:.2} s", long / 1000.0),
        medium if medium >= 100.0 => format!("{medium:.0} ms"),
        short => format!("{short:.1} ms"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_of_edges() {
        let node = |id: &str, kind: &str, app: &str, version: &str| json!({"data": {"id": id, "nodeType": kind, "app": app, "version": version, "workload": app}});
        let graph = json!({"elements": {
            "nodes": [node("1", "app", "productpage", "v1"), node("2", "app", "reviews", "v3"), node("3", "unknown", "", "")],
            "edges": [
                {"data": {"source": "3", "target": "1", "traffic": {"protocol": "http", "rates": {"http": "1.00"}}}},
                {"data": {"source": "1", "target": "2", "isMTLS": 100.0,
                    "orrery": {"p50": 3.25, "p95": 250.0, "p99": 1500.0},
                    "traffic": {"protocol": "http", "rates": {"http": "20.00", "httpPercentErr": "5.0"}}}},
                {"data": {"source": "1", "target": "missing", "traffic": {}}},
            ],
        }});
        let edges = edges(&graph);
        assert_eq!(edges.len(), 2);
        let text = table(&edges).render();
        let lines: Vec<Vec<&str>> =
            text.lines().map(|line| line.split("  ").filter(|c| !c.is_empty()).map(str::trim).collect()).collect();
        assert_eq!(
            lines[1],
            ["productpage v1", "reviews v3", "http", "20.00", "5.0", "3.2 ms", "250 ms", "1.50 s", "yes"]
        );
        assert_eq!(lines[2], ["unknown", "productpage v1", "http", "1.00", "0.0", "-", "-", "-", "no"]);
    }
}
