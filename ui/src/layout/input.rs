//! The graph made safe to draw: sorted, without duplicates, boxes and dangling edges. Knows nothing of coordinates.

use std::collections::{BTreeMap, BTreeSet};

use super::{Flow, Graph, Node};

/// Room that a self-loop takes beside its node (and, to keep the node centred, on the other side), across the calls.
pub(super) const LOOP_ROOM: f64 = 26.0;
const SMALLEST: f64 = 8.0;
const BIGGEST: f64 = 480.0;

pub(super) struct Input<'a> {
    /// Sorted by label, then id.
    pub(super) nodes: Vec<Item<'a>>,
    /// Sorted by ends, then id; self-loops are in `loops`.
    pub(super) edges: Vec<Link<'a>>,
    pub(super) loops: Vec<(&'a str, usize)>,
    pub(super) flow: Flow,
}

pub(super) struct Item<'a> {
    pub(super) id: &'a str,
    pub(super) parent: Option<&'a str>,
    /// Along the calls.
    pub(super) width: f64,
    /// Across the calls.
    pub(super) height: f64,
    /// Height including the room for a self-loop.
    pub(super) slot: f64,
}

#[derive(Clone, Copy)]
pub(super) struct Link<'a> {
    pub(super) id: &'a str,
    pub(super) source: usize,
    pub(super) target: usize,
}

// === impl Input ===

impl<'a> Input<'a> {
    pub(super) fn new(graph: &'a Graph) -> Self {
        let boxes: BTreeSet<&str> = graph.nodes.iter().filter_map(parent_of).collect();
        let mut sorted: Vec<&Node> = graph.nodes.iter().filter(|node| !boxes.contains(node.id.as_str())).collect();
        sorted.sort_by(|a, b| (&a.label, &a.id).cmp(&(&b.label, &b.id)));
        let mut index = BTreeMap::new();
        let mut nodes = Vec::with_capacity(sorted.len());
        for node in sorted {
            if index.contains_key(node.id.as_str()) {
                continue;
            }
            index.insert(node.id.as_str(), nodes.len());
            let (width, height) = graph.flow.turn((sane(node.width), sane(node.height)));
            nodes.push(Item { id: &node.id, parent: parent_of(node), width, height, slot: height });
        }
        let mut all: Vec<Link<'a>> = graph
            .edges
            .iter()
            .filter_map(|edge| {
                let source = *index.get(edge.source.as_str())?;
                let target = *index.get(edge.target.as_str())?;
                Some(Link { id: edge.id.as_str(), source, target })
            })
            .collect();
        all.sort_by_key(|edge| (edge.source, edge.target, edge.id));
        let (looping, edges): (Vec<_>, Vec<_>) = all.into_iter().partition(|edge| edge.source == edge.target);
        for edge in &looping {
            let node = &mut nodes[edge.source];
            node.slot = node.height + 2.0 * LOOP_ROOM;
        }
        let loops = looping.into_iter().map(|edge| (edge.id, edge.source)).collect();
        Self { nodes, edges, loops, flow: graph.flow }
    }
}

fn parent_of(node: &Node) -> Option<&str> {
    node.parent.as_deref().filter(|parent| *parent != node.id)
}

fn sane(size: f64) -> f64 {
    if size.is_finite() { size.clamp(SMALLEST, BIGGEST) } else { SMALLEST }
}
