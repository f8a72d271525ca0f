//! Hands the graph to the layout: which nodes, which edges, what shape. Where they go is the layout's decision.

use orrery_graph::NodeType;
use orrery_graph::kiali::Graph;
use orrery_ui::layout::{self, Edge, Flow, Layout, Node, Shape};

/// Where everything stands.
pub(crate) fn draw(graph: &Graph, flow: Flow) -> Layout {
    let nodes = graph.elements.nodes.iter().map(|node| {
        let data = &node.data;
        let shape = if data.node_type == NodeType::Service.name() { Shape::Service } else { Shape::Card };
        let placed = Node::new(data.id.clone(), data.label(), shape);
        if data.parent.is_empty() { placed } else { placed.inside(data.parent.clone()) }
    });
    let edges = graph.elements.edges.iter().map(|edge| Edge {
        id: edge.data.id.clone(),
        source: edge.data.source.clone(),
        target: edge.data.target.clone(),
    });
    orrery_ui::layout(&layout::Graph { nodes: nodes.collect(), edges: edges.collect(), flow })
}
