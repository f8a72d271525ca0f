//! From flows to the graph: nodes, edges, and what each of them did.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use petgraph::Direction;
use petgraph::graph::{DiGraph, EdgeIndex, NodeIndex};

use crate::element::{Edge, Live, Node};
use crate::flow::{Flow, Reporter};
use crate::health::Health;
use crate::identity::{Identity, UNKNOWN, is_known};
use crate::node::{End, GraphType, NodeType};
use crate::observe::{Latency, Observation, Observations};
use crate::rates::{Protocol, Rates};
use crate::reduce::to_services;

/// What graph to build.
#[derive(Clone, Debug)]
pub struct Options {
    /// What nodes stand for.
    pub graph_type: GraphType,
    /// Whether the service asked for is a node between caller and callee.
    pub inject_service_nodes: bool,
    /// Whether edges without traffic in the window are shown.
    pub include_idle_edges: bool,
    /// Namespaces to show; `None` for all. A call belongs to the namespaces of both of its ends.
    pub namespaces: Option<BTreeSet<String>>,
    /// Gateways, as namespace and app.
    pub gateways: BTreeSet<(String, String)>,
}

/// The graph. Between two nodes there is at most one edge for each protocol.
pub type MeshGraph = DiGraph<Node, Edge>;

struct Builder<'a> {
    options: &'a Options,
    graph: MeshGraph,
    nodes: HashMap<String, NodeIndex>,
    edges: HashMap<(NodeIndex, NodeIndex, Protocol), EdgeIndex>,
}

/// Builds the graph of everything observed.
pub fn build(seen: &Observations, options: &Options) -> MeshGraph {
    let mut builder = Builder { options, graph: MeshGraph::new(), nodes: HashMap::new(), edges: HashMap::new() };
    for flow in Flow::join(&seen.traffic) {
        builder.add_flow(&flow);
    }
    for observation in &seen.traffic {
        builder.add_security(observation);
    }
    for latency in &seen.latency {
        builder.add_latency(latency);
    }
    let mut graph = builder.graph;
    if options.graph_type == GraphType::Service {
        mark_roots(&mut graph);
        graph = to_services(&graph);
    }
    finish(&mut graph, options);
    graph
}

impl Options {
    /// The graph of this type with everything in it and no extra nodes.
    pub fn new(graph_type: GraphType) -> Self {
        Self {
            graph_type,
            inject_service_nodes: false,
            include_idle_edges: false,
            namespaces: None,
            gateways: BTreeSet::new(),
        }
    }

    fn shows(&self, identity: &Identity) -> bool {
        self.namespaces.as_ref().is_none_or(|names| {
            names.contains(&*identity.source.namespace) || names.contains(&**identity.destination_namespace())
        })
    }

    /// The hops of a call: one, or two with the service between both ends.
    fn hops(&self, identity: &Identity) -> Vec<(End, End)> {
        let (source, destination) = (End::source(identity), End::destination(identity));
        let inject = self.inject_service_nodes || self.graph_type == GraphType::Service;
        let ends_at_service = destination.node(self.graph_type).is_none_or(|(_, kind)| kind == NodeType::Service);
        if inject && is_known(&identity.service.name) && !ends_at_service {
            let service = End::service(identity);
            vec![(source, service.clone()), (service, destination)]
        } else {
            vec![(source, destination)]
        }
    }
}

impl Builder<'_> {
    fn add_flow(&mut self, flow: &Flow) {
        if !self.options.shows(&flow.identity) || (flow.rate <= 0.0 && !self.options.include_idle_edges) {
            return;
        }
        for (source, destination) in self.options.hops(&flow.identity) {
            let (Some(from), Some(to)) = (self.node(&source), self.node(&destination)) else { continue };
            let edge = self.edge(from, to, flow.protocol);
            let live = Live::of(flow);
            if let Some(edge) = self.graph.edge_weight_mut(edge) {
                if flow.rate > 0.0 {
                    edge.rates.add(flow.protocol, flow.rate, &flow.code, &flow.flags, &flow.identity.service.host);
                }
                edge.live.add(live);
                edge.last_seen = edge.last_seen.max(flow.last_seen);
            }
            if let Some(node) = self.graph.node_weight_mut(to)
                && is_known(&destination.service)
            {
                let DestinationName(cluster, namespace, name) = DestinationName::of(&destination);
                node.called_as.insert((cluster, namespace, name));
            }
        }
    }

    /// Only the callee's proxy can say how a connection was secured.
    fn add_security(&mut self, seen: &Observation) {
        match seen.reporter {
            Reporter::Destination | Reporter::Waypoint => {}
            Reporter::Source => return,
        }
        self.each_edge(&seen.identity, seen.protocol, |edge| {
            edge.secured.add(seen.rate, &seen.security);
            if edge.source_principal.is_none() {
                edge.source_principal.clone_from(&seen.security.source);
            }
            if edge.destination_principal.is_none() {
                edge.destination_principal.clone_from(&seen.security.destination);
            }
        });
    }

    fn add_latency(&mut self, latency: &Latency) {
        self.each_edge(&latency.identity, latency.protocol, |edge| {
            match latency.reporter {
                Reporter::Source => edge.at_caller.add(&latency.durations),
                Reporter::Destination | Reporter::Waypoint => edge.at_callee.add(&latency.durations),
            };
        });
    }

    /// Visits the edges that exist for a call.
    fn each_edge(&mut self, identity: &Identity, protocol: Protocol, mut visit: impl FnMut(&mut Edge)) {
        if !self.options.shows(identity) {
            return;
        }
        for (source, destination) in self.options.hops(identity) {
            let known = |end: &End| self.nodes.get(&end.node(self.options.graph_type)?.0).copied();
            if let (Some(from), Some(to)) = (known(&source), known(&destination))
                && let Some(edge) = self.edges.get(&(from, to, protocol))
                && let Some(edge) = self.graph.edge_weight_mut(*edge)
            {
                visit(edge);
            }
        }
    }

    fn node(&mut self, end: &End) -> Option<NodeIndex> {
        let (name, kind) = end.node(self.options.graph_type)?;
        if let Some(index) = self.nodes.get(&name) {
            return Some(*index);
        }
        let index = self.graph.add_node(Node::new(&name, kind, end, self.options.graph_type));
        self.nodes.insert(name, index);
        Some(index)
    }

    fn edge(&mut self, from: NodeIndex, to: NodeIndex, protocol: Protocol) -> EdgeIndex {
        if let Some(edge) = self.edges.get(&(from, to, protocol)) {
            return *edge;
        }
        let id = |index| self.graph.node_weight(index).map_or("", |node: &Node| node.id.as_str());
        let edge = Edge::new(id(from), id(to), protocol);
        let index = self.graph.add_edge(from, to, edge);
        self.edges.insert((from, to, protocol), index);
        index
    }
}

struct DestinationName(Arc<str>, Arc<str>, Arc<str>);

impl DestinationName {
    fn of(end: &End) -> Self {
        Self(end.cluster.clone(), end.service_namespace.clone(), end.service.clone())
    }
}

/// What follows from all edges together.
fn finish(graph: &mut MeshGraph, options: &Options) {
    for index in graph.edge_indices().collect::<Vec<_>>() {
        let (Some((from, to)), Some(edge)) = (graph.edge_endpoints(index), graph.edge_weight_mut(index)) else {
            continue;
        };
        edge.health = Health::of_rates(edge.protocol, &edge.rates);
        let edge = edge.clone();
        if let Some(node) = graph.node_weight_mut(from) {
            node.outbound.entry(edge.protocol).or_default().merge(&edge.rates);
            node.live_out.add(edge.live);
            node.last_seen = node.last_seen.max(edge.last_seen);
        }
        if let Some(node) = graph.node_weight_mut(to) {
            node.inbound.entry(edge.protocol).or_default().merge(&edge.rates);
            node.live_in.add(edge.live);
            node.latency.add(edge.felt_latency());
            node.last_seen = node.last_seen.max(edge.last_seen);
        }
    }
    name_apps_of_services(graph);
    mark_roots(graph);
    for node in graph.node_weights_mut() {
        let quiet = |traffic: &BTreeMap<Protocol, Rates>| traffic.values().all(|rates| rates.total <= 0.0);
        node.is_idle = quiet(&node.inbound) && quiet(&node.outbound);
        node.health = match node.kind {
            NodeType::Service => Health::of(&node.inbound),
            NodeType::App | NodeType::Workload | NodeType::Unknown | NodeType::Box => {
                Health::of(&node.inbound).max(Health::of(&node.outbound))
            }
        };
        node.is_gateway = options.gateways.contains(&(node.namespace.to_string(), node.app.to_string()));
        let egress = &*node.service == "PassthroughCluster" || &*node.service == "BlackHoleCluster";
        let nowhere = &*node.namespace == UNKNOWN && &*node.service == UNKNOWN;
        node.is_inaccessible = node.kind == NodeType::Unknown || egress || nowhere;
        let asked = options.namespaces.as_ref().is_none_or(|names| names.contains(&*node.namespace));
        node.is_outside = !asked && !node.is_inaccessible && &*node.namespace != UNKNOWN;
    }
}

fn mark_roots(graph: &mut MeshGraph) {
    for index in graph.node_indices().collect::<Vec<_>>() {
        let has = |direction| graph.edges_directed(index, direction).next().is_some();
        let is_root = has(Direction::Outgoing) && !has(Direction::Incoming);
        if let Some(node) = graph.node_weight_mut(index) {
            // Once a root, a reduction to services does not make it less of one.
            node.is_root = is_root;
        }
    }
}

/// A service that leads to one app only belongs to that app, as its `app` label would say.
fn name_apps_of_services(graph: &mut MeshGraph) {
    for index in graph.node_indices().collect::<Vec<_>>() {
        if graph.node_weight(index).is_none_or(|node| node.kind != NodeType::Service) {
            continue;
        }
        let apps: BTreeSet<Arc<str>> = graph
            .neighbors(index)
            .filter_map(|next| graph.node_weight(next))
            .filter(|next| next.kind != NodeType::Service)
            .map(|next| next.app.clone())
            .collect();
        let only = apps.first().filter(|app| apps.len() == 1 && is_known(app)).cloned();
        if let (Some(app), Some(node)) = (only, graph.node_weight_mut(index)) {
            node.app = app;
        }
    }
}
