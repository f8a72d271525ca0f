//! Where everything on the graph stands: a layered (Sugiyama style) drawing from left to right, or from top to bottom.
//!
//! The steps, each in its own file: `input` (sort, drop what cannot be drawn), `layers` (break cycles, give each block a
//! layer), `blocks` (app boxes and the columns inside them), `order` (fewer crossings), `place` (vertical coordinates),
//! `route` (curves that touch no node, places for labels), `pack` (unconnected parts side by side, rendered by `line`).
//! The same input gives the same output, whatever the order of its lists. It does not know what a node or an edge means,
//! nor any colour, rate or name.

mod blocks;
mod flow;
mod input;
mod layers;
mod line;
mod order;
mod pack;
mod place;
mod route;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

pub use flow::Flow;

/// What is to be drawn. Nothing in it is trusted: unknown ends, duplicates and wild sizes are tolerated.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    pub flow: Flow,
}

/// One node. A node whose id is another node's `parent` is a box: its place comes from its members.
#[derive(Debug, Clone)]
pub struct Node {
    pub id: String,
    /// Id of the box that this node is kept in (the app of a version), if any.
    pub parent: Option<String>,
    /// What decides between equals, and the order inside a box: `reviews v1` stands above `reviews v2`.
    pub label: String,
    /// Pixels at zoom 1; kept between 8 and 480.
    pub width: f64,
    /// Pixels at zoom 1; kept between 8 and 480.
    pub height: f64,
}

/// One directed edge. An edge whose end is unknown, or is a box, is left out of the result.
#[derive(Debug, Clone)]
pub struct Edge {
    pub id: String,
    pub source: String,
    pub target: String,
}

/// How big a node is drawn by the graph page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A capsule with a triangle and its name.
    Service,
    /// A card with one or two lines of text.
    Card,
}

/// The finished drawing, in pixels at zoom 1; every coordinate is at least 0.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Layout {
    pub width: f64,
    pub height: f64,
    /// Nodes, and boxes under their own id; `x` and `y` are the centre.
    pub nodes: BTreeMap<String, Place>,
    pub edges: BTreeMap<String, Route>,
}

/// A rectangle given by its centre.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Place {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
    #[serde(rename = "isBox")]
    pub is_box: bool,
}

/// One edge: an SVG path from source to target, and the centre of its label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Route {
    pub path: String,
    #[serde(rename = "labelX")]
    pub label_x: f64,
    #[serde(rename = "labelY")]
    pub label_y: f64,
}

/// Lays the graph out.
///
/// ```
/// use orrery_ui::layout::{Edge, Graph, Node, Shape};
/// let graph = Graph {
///     nodes: vec![Node::new("a", "gateway", Shape::Card), Node::new("b", "page v1", Shape::Card)],
///     edges: vec![Edge { id: "e".into(), source: "a".into(), target: "b".into() }],
///     ..Graph::default()
/// };
/// let drawing = orrery_ui::layout(&graph);
/// assert!(drawing.nodes["a"].x < drawing.nodes["b"].x);
/// assert!(drawing.edges["e"].path.starts_with('M'));
/// ```
pub fn layout(graph: &Graph) -> Layout {
    let input = input::Input::new(graph);
    let plan = blocks::Plan::new(&input);
    let parts = layers::parts(&plan).into_iter().map(|part| {
        let mut stack = order::Stack::new(&plan, &part);
        stack.untangle();
        let places = place::solve(&plan, &stack, graph.flow.spacing());
        route::draw(&input, &plan, &stack, &places)
    });
    pack::together(parts.collect(), graph.flow)
}

// === impl Node ===

impl Node {
    /// A node outside any box, sized as the graph page draws that shape with that label.
    pub fn new(id: impl Into<String>, label: impl Into<String>, shape: Shape) -> Self {
        let label = label.into();
        let letters = label.chars().count() as f64;
        let (width, height) = match shape {
            Shape::Service => ((letters * 7.2 + 44.0).clamp(84.0, 210.0), 32.0),
            Shape::Card => ((letters * 8.0 + 56.0).clamp(132.0, 236.0), 48.0),
        };
        Self { id: id.into(), parent: None, label, width, height }
    }

    /// The same node inside the box `parent`.
    pub fn inside(mut self, parent: impl Into<String>) -> Self {
        self.parent = Some(parent.into());
        self
    }
}
