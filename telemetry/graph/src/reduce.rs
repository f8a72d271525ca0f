//! The service graph: the workload graph with service nodes, without the workloads between services.

use std::collections::{BTreeSet, HashMap};

use petgraph::graph::{EdgeIndex, NodeIndex};
use petgraph::visit::EdgeRef;

use crate::build::MeshGraph;
use crate::element::{Edge, Node};
use crate::node::NodeType;
use crate::rates::Protocol;

/// Joins each service with the services that its workloads call. Of the rest only roots stay, so that it can be seen
/// where traffic comes from.
pub(crate) fn to_services(graph: &MeshGraph) -> MeshGraph {
    let mut reduced = MeshGraph::new();
    let mut index: HashMap<NodeIndex, NodeIndex> = HashMap::new();
    for node in graph.node_indices() {
        if let Some(weight) = graph.node_weight(node).filter(|node| node.kind == NodeType::Service || node.is_root) {
            index.insert(node, reduced.add_node(weight.clone()));
        }
    }
    let mut joined: HashMap<(NodeIndex, NodeIndex, Protocol), BTreeSet<EdgeIndex>> = HashMap::new();
    for node in graph.node_indices().filter(|node| index.contains_key(node)) {
        for edge in outgoing(graph, node) {
            joined.entry((node, edge.0, edge.1)).or_default().insert(edge.2);
        }
    }
    for ((from, to, protocol), parts) in joined {
        let (Some(new_from), Some(new_to)) = (index.get(&from), index.get(&to)) else { continue };
        let id = |at: NodeIndex| reduced.node_weight(at).map_or("", |node: &Node| node.id.as_str());
        let mut edge = Edge::new(id(*new_from), id(*new_to), protocol);
        for part in parts.iter().filter_map(|part| graph.edge_weight(*part)) {
            edge.absorb(part);
        }
        reduced.add_edge(*new_from, *new_to, edge);
    }
    reduced
}

/// The edges by which a node reaches services: its own, or those of its workloads if it is a service.
fn outgoing(graph: &MeshGraph, node: NodeIndex) -> Vec<(NodeIndex, Protocol, EdgeIndex)> {
    let is_service = |at: NodeIndex| graph.node_weight(at).is_some_and(|node| node.kind == NodeType::Service);
    let sources: BTreeSet<NodeIndex> = if is_service(node) {
        graph.neighbors(node).filter(|next| !is_service(*next)).collect()
    } else {
        BTreeSet::from([node])
    };
    sources
        .into_iter()
        .flat_map(|source| graph.edges(source))
        .filter(|edge| is_service(edge.target()))
        .map(|edge| (edge.target(), edge.weight().protocol, edge.id()))
        .collect()
}

impl Edge {
    fn absorb(&mut self, part: &Self) {
        self.rates.merge(&part.rates);
        self.live.add(part.live);
        self.secured.merge(&part.secured);
        self.at_caller.add(&part.at_caller);
        self.at_callee.add(&part.at_callee);
        self.last_seen = self.last_seen.max(part.last_seen);
        if self.source_principal.is_none() {
            self.source_principal.clone_from(&part.source_principal);
        }
        if self.destination_principal.is_none() {
            self.destination_principal.clone_from(&part.destination_principal);
        }
    }
}
