//! Breaks cycles and gives every vertex a layer; splits the drawing into its unconnected parts. Knows nothing of sizes.

use petgraph::algo::{greedy_feedback_arc_set, toposort};
use petgraph::graph::DiGraph;
use petgraph::unionfind::UnionFind;
use petgraph::visit::EdgeRef;

use super::blocks::Plan;

pub(super) struct Layering {
    pub(super) layer: Vec<usize>,
    /// For each given edge: drawn against its direction, because it closes a cycle.
    pub(super) flipped: Vec<bool>,
}

/// Layers for `count` vertices: along each edge that is not flipped, the layer grows. `edges` has no self-loops.
pub(super) fn layering(count: usize, edges: &[(usize, usize)]) -> Layering {
    let mut graph: DiGraph<(), usize> = DiGraph::with_capacity(count, edges.len());
    let vertices: Vec<_> = (0..count).map(|_| graph.add_node(())).collect();
    for (index, (source, target)) in edges.iter().enumerate() {
        graph.add_edge(vertices[*source], vertices[*target], index);
    }
    let mut flipped = vec![false; edges.len()];
    for edge in greedy_feedback_arc_set(&graph) {
        flipped[*edge.weight()] = true;
    }
    let mut forward: DiGraph<(), ()> = DiGraph::with_capacity(count, edges.len());
    let vertices: Vec<_> = (0..count).map(|_| forward.add_node(())).collect();
    for ((source, target), flip) in edges.iter().zip(&flipped) {
        let (tail, head) = if *flip { (target, source) } else { (source, target) };
        forward.add_edge(vertices[*tail], vertices[*head], ());
    }
    // A feedback arc set leaves no cycle; were it ever to leave one, index order is still an order to draw in.
    let sequence: Vec<usize> = toposort(&forward, None)
        .map(|sorted| sorted.into_iter().map(|vertex| vertex.index()).collect())
        .unwrap_or_else(|_| (0..count).collect());
    let mut layer = vec![0_usize; count];
    for vertex in &sequence {
        for edge in forward.edges(vertices[*vertex]) {
            let next = edge.target().index();
            layer[next] = layer[next].max(layer[*vertex] + 1);
        }
    }
    for vertex in &sequence {
        let is_root = forward.edges_directed(vertices[*vertex], petgraph::Incoming).next().is_none();
        let nearest = forward.edges(vertices[*vertex]).map(|edge| layer[edge.target().index()]).min();
        if let (true, Some(nearest)) = (is_root, nearest) {
            layer[*vertex] = nearest.saturating_sub(1);
        }
    }
    Layering { layer, flipped }
}

/// The blocks of each connected part, in block order.
pub(super) fn parts(plan: &Plan<'_>) -> Vec<Vec<usize>> {
    let mut sets: UnionFind<usize> = UnionFind::new(plan.blocks.len());
    for arc in &plan.arcs {
        sets.union(plan.seats[arc.tail].block, plan.seats[arc.head].block);
    }
    let mut found: Vec<(usize, Vec<usize>)> = Vec::new();
    let mut slot_of = vec![usize::MAX; plan.blocks.len()];
    for block in 0..plan.blocks.len() {
        let root = sets.find(block);
        if slot_of[root] == usize::MAX {
            slot_of[root] = found.len();
            found.push((root, Vec::new()));
        }
        found[slot_of[root]].1.push(block);
    }
    found.into_iter().map(|(_, members)| members).collect()
}
