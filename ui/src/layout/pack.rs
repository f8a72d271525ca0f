//! Puts unconnected parts beside and below each other: the largest first, in rows of about a screen's proportions.

use super::line::Line;
use super::{Flow, Layout, Place};

const MARGIN: f64 = 32.0;
const APART: f64 = 56.0;
const PROPORTION: f64 = 1.7;

/// One connected part, drawn from its own origin.
#[derive(Default)]
pub(super) struct Part {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) nodes: Vec<(String, Place)>,
    pub(super) edges: Vec<(String, Line)>,
}

pub(super) fn together(mut parts: Vec<Part>, flow: Flow) -> Layout {
    for part in &mut parts {
        part.turn(flow);
    }
    parts.sort_by_key(|part| std::cmp::Reverse(part.nodes.len()));
    let area: f64 = parts.iter().map(|part| (part.width + APART) * (part.height + APART)).sum();
    let widest = parts.iter().map(|part| part.width).fold(0.0, f64::max);
    let row_width = widest.max((area * PROPORTION).sqrt());
    let mut layout = Layout::default();
    let (mut x, mut y, mut row_height) = (0.0, 0.0, 0.0_f64);
    for part in parts {
        if x > 0.0 && x + part.width > row_width {
            x = 0.0;
            y += row_height + APART;
            row_height = 0.0;
        }
        layout.width = layout.width.max(x + part.width);
        layout.height = layout.height.max(y + part.height);
        row_height = row_height.max(part.height);
        let width = part.width;
        put(part, (x + MARGIN, y + MARGIN), flow, &mut layout);
        x += width + APART;
    }
    layout.width += 2.0 * MARGIN;
    layout.height += 2.0 * MARGIN;
    layout
}

// === impl Part ===

impl Part {
    /// Sizes and nodes as they stand on the page; edges are turned when they are rendered.
    fn turn(&mut self, flow: Flow) {
        (self.width, self.height) = flow.turn((self.width, self.height));
        for (_, place) in &mut self.nodes {
            (place.x, place.y) = flow.turn((place.x, place.y));
            (place.width, place.height) = flow.turn((place.width, place.height));
        }
    }
}

fn put(part: Part, (x, y): (f64, f64), flow: Flow, layout: &mut Layout) {
    for (id, place) in part.nodes {
        layout.nodes.insert(id, Place { x: place.x + x, y: place.y + y, ..place });
    }
    for (id, line) in part.edges {
        layout.edges.insert(id, line.render((x, y), flow));
    }
}
