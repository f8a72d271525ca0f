//! The graph as Kiali's JSON: what Kiali prints, printed the same way, and Orrery's own additions under `orrery`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::build::MeshGraph;
use crate::durations::Durations;
use crate::element::{Edge, Live, Node};
use crate::health::Health;
use crate::identity::{UNKNOWN, is_known};
use crate::node::{GraphType, NodeType, stable_id};
use crate::rates::{Protocol, Rates};

mod print;
mod sort;

pub use print::rate_to_string;

/// The answer of `/api/namespaces/graph`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Graph {
    /// End of the window, Unix seconds.
    pub timestamp: i64,
    /// Length of the window, seconds.
    pub duration: i64,
    /// Type of graph.
    pub graph_type: &'static str,
    /// Nodes and edges.
    pub elements: Elements,
}

/// Nodes and edges.
#[derive(Clone, Debug, Serialize)]
pub struct Elements {
    /// Boxes before what is in them.
    pub nodes: Vec<Wrapped<NodeData>>,
    /// By source, target and protocol.
    pub edges: Vec<Wrapped<EdgeData>>,
}

/// Cytoscape's envelope.
#[derive(Clone, Debug, Serialize)]
pub struct Wrapped<T> {
    /// The content.
    pub data: T,
}

/// One node. Field names and meanings are Kiali's.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "Kiali's own names; the module says so")]
pub struct NodeData {
    pub id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub parent: String,
    pub node_type: &'static str,
    pub cluster: String,
    pub namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub workload: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub app: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dest_services: Vec<ServiceName>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub traffic: Vec<ProtocolTraffic>,
    pub health_data: Option<HealthData>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub is_box: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_gateway: Option<Value>,
    #[serde(skip_serializing_if = "is_false")]
    pub is_idle: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub is_inaccessible: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub is_outside: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub is_root: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orrery: Option<Additions>,
}

/// One edge. Field names and meanings are Kiali's, but `isMTLS` is a number.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "Kiali's own names; the module says so")]
pub struct EdgeData {
    pub id: String,
    pub source: String,
    pub target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_principal: Option<Arc<str>>,
    pub health_status: &'static str,
    #[serde(rename = "isMTLS", skip_serializing_if = "Option::is_none")]
    pub is_mtls: Option<f64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub response_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_principal: Option<Arc<str>>,
    pub traffic: ProtocolTraffic,
    pub orrery: Additions,
}

/// A service's full name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "Kiali's own names; the module says so")]
pub struct ServiceName {
    pub cluster: Arc<str>,
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}

/// Rates of one protocol, and shares of its responses in per cent, all as text.
#[derive(Clone, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "Kiali's own names; the module says so")]
pub struct ProtocolTraffic {
    pub protocol: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rates: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub responses: BTreeMap<Arc<str>, ResponseDetail>,
}

/// Shares of all of an edge's traffic, per cent.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "Kiali's own names; the module says so")]
pub struct ResponseDetail {
    pub flags: BTreeMap<Arc<str>, String>,
    pub hosts: BTreeMap<Arc<str>, String>,
}

/// What a node's health is judged by, and the judgement.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "Kiali's own names; the module says so")]
pub struct HealthData {
    pub requests: HealthRequests,
    pub status: HealthStatus,
}

/// Rates by protocol and code.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "Kiali's own names; the module says so")]
pub struct HealthRequests {
    pub inbound: BTreeMap<&'static str, BTreeMap<Arc<str>, f64>>,
    pub outbound: BTreeMap<&'static str, BTreeMap<Arc<str>, f64>>,
    pub health_annotations: BTreeMap<String, String>,
}

/// The judgement.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "Kiali's own names; the module says so")]
pub struct HealthStatus {
    pub status: &'static str,
}

/// What Kiali does not have.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Additions {
    /// Right now.
    pub live: LiveData,
    /// Median duration as callers felt it, milliseconds; absent without requests.
    pub p50: Option<f64>,
    /// 95th percentile.
    pub p95: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
    /// When there last was traffic, Unix milliseconds.
    pub last_seen: i64,
    /// `NA`, `Healthy`, `Degraded` or `Failure`.
    pub health: &'static str,
}

/// Traffic right now, per second.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveData {
    /// Requests.
    pub rps: f64,
    /// Requests that failed: 5xx, gRPC errors, no response.
    pub error_rps: f64,
    /// Bytes of opaque TCP from client to server.
    pub bps: f64,
}

/// Writes a graph of `graph_type` over the window of `duration` seconds that ends at `timestamp` (Unix seconds).
pub fn convert(graph: &MeshGraph, graph_type: GraphType, timestamp: i64, duration: i64) -> Graph {
    let mut nodes: Vec<NodeData> = graph.node_weights().map(node_data).collect();
    match graph_type {
        GraphType::App | GraphType::VersionedApp => box_by_app(&mut nodes),
        GraphType::Service | GraphType::Workload => {}
    }
    let mut edges: Vec<EdgeData> = graph
        .edge_indices()
        .filter_map(|at| {
            let (from, to) = graph.edge_endpoints(at)?;
            Some(edge_data(graph.node_weight(from)?, graph.node_weight(to)?, graph.edge_weight(at)?))
        })
        .collect();
    sort::nodes(&mut nodes);
    sort::edges(&mut edges);
    let elements = Elements {
        nodes: nodes.into_iter().map(|data| Wrapped { data }).collect(),
        edges: edges.into_iter().map(|data| Wrapped { data }).collect(),
    };
    Graph { timestamp, duration, graph_type: graph_type.name(), elements }
}

fn node_data(node: &Node) -> NodeData {
    let live = if node.is_root { node.live_out } else { node.live_in };
    NodeData {
        id: node.id.clone(),
        parent: String::new(),
        node_type: node.kind.name(),
        cluster: node.cluster.to_string(),
        namespace: node.namespace.to_string(),
        workload: node.workload.to_string(),
        app: node.app.to_string(),
        version: node.version.to_string(),
        service: node.service.to_string(),
        dest_services: node
            .called_as
            .iter()
            .map(|(cluster, namespace, name)| ServiceName {
                cluster: cluster.clone(),
                namespace: namespace.clone(),
                name: name.clone(),
            })
            .collect(),
        traffic: print::node_traffic(node),
        health_data: Some(HealthData {
            requests: HealthRequests {
                inbound: by_code(&node.inbound),
                outbound: by_code(&node.outbound),
                health_annotations: BTreeMap::new(),
            },
            status: HealthStatus { status: node.health.name() },
        }),
        is_box: "",
        is_gateway: node
            .is_gateway
            .then(|| serde_json::json!({"ingressInfo": {}, "egressInfo": {}, "gatewayAPIInfo": {}})),
        is_idle: node.is_idle,
        is_inaccessible: node.is_inaccessible,
        is_outside: node.is_outside,
        is_root: node.is_root,
        orrery: Some(additions(live, &node.latency, node.last_seen, node.health)),
    }
}

fn edge_data(from: &Node, to: &Node, edge: &Edge) -> EdgeData {
    let response_time = edge.reported_latency().quantile(0.95);
    EdgeData {
        id: edge.id.clone(),
        source: from.id.clone(),
        target: to.id.clone(),
        dest_principal: edge.destination_principal.clone(),
        health_status: edge.health.name(),
        is_mtls: edge.secured.percent().map(f64::round),
        response_time: response_time.map(|time| format!("{time:.0}")).unwrap_or_default(),
        source_principal: edge.source_principal.clone(),
        traffic: print::edge_traffic(edge, from),
        orrery: additions(edge.live, edge.felt_latency(), edge.last_seen, edge.health),
    }
}

fn additions(live: Live, latency: &Durations, last_seen: i64, health: Health) -> Additions {
    let quantile = |q| latency.quantile(q).map(|value| (value * 100.0).round() / 100.0);
    Additions {
        live: LiveData { rps: round(live.requests), error_rps: round(live.failures), bps: round(live.bytes) },
        p50: quantile(0.5),
        p95: quantile(0.95),
        p99: quantile(0.99),
        last_seen,
        health: health.name(),
    }
}

fn round(rate: f64) -> f64 {
    (rate * 1000.0).round() / 1000.0
}

fn by_code(traffic: &BTreeMap<Protocol, Rates>) -> BTreeMap<&'static str, BTreeMap<Arc<str>, f64>> {
    let judged = traffic.iter().filter(|(protocol, rates)| **protocol != Protocol::Tcp && rates.total > 0.0);
    judged
        .map(|(protocol, rates)| {
            (protocol.name(), rates.by_code().map(|(code, rate)| (code.clone(), round(rate))).collect())
        })
        .collect()
}

/// Puts a box around nodes of one app, if it has more than one.
fn box_by_app(nodes: &mut Vec<NodeData>) {
    let mut members: BTreeMap<(String, String, String), Vec<usize>> = BTreeMap::new();
    for (at, node) in nodes.iter().enumerate().filter(|(_, node)| is_known(&node.app)) {
        members.entry((node.cluster.clone(), node.namespace.clone(), node.app.clone())).or_default().push(at);
    }
    for ((cluster, namespace, app), inside) in members.into_iter().filter(|(_, inside)| inside.len() > 1) {
        let id = stable_id(&format!("box_{cluster}_{namespace}_{app}"));
        let mut is_outside = false;
        let mut health_data = None;
        for at in inside {
            let Some(node) = nodes.get_mut(at) else { continue };
            node.parent.clone_from(&id);
            is_outside |= node.is_outside;
            if node.node_type == NodeType::App.name() {
                health_data = worse(health_data, node.health_data.clone());
            }
        }
        nodes.push(NodeData {
            id,
            node_type: NodeType::Box.name(),
            cluster,
            namespace,
            app,
            health_data,
            is_box: "app",
            is_outside,
            ..NodeData::default()
        });
    }
}

/// An app is as well as the worst of its versions.
fn worse(one: Option<HealthData>, other: Option<HealthData>) -> Option<HealthData> {
    let rank = |data: &Option<HealthData>| match data.as_ref().map(|data| data.status.status) {
        Some("Failure") => 3,
        Some("Degraded") => 2,
        Some("Healthy") => 1,
        Some(_) | None => 0,
    };
    if one.is_none() || rank(&other) > rank(&one) { other } else { one }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl NodeData {
    /// A short name for people: app and version, workload, service, or `unknown`.
    pub fn label(&self) -> String {
        match (self.app.as_str(), self.version.as_str(), self.workload.as_str(), self.service.as_str()) {
            (_, _, _, service) if !service.is_empty() => service.into(),
            (app, version, _, _) if is_known(app) && is_known(version) => format!("{app} {version}"),
            (app, _, "", _) if is_known(app) => app.into(),
            (_, _, workload, _) if is_known(workload) => workload.into(),
            (app, _, _, _) if is_known(app) => app.into(),
            (_, _, _, _) => UNKNOWN.into(),
        }
    }
}
