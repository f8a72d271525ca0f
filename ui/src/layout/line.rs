//! A drawn edge before its part has a place on the page; rendered as SVG once it has. Knows nothing of layers or boxes.

use std::fmt::Write as _;

use super::{Flow, Route};

/// One edge from its source to its target.
pub(super) struct Line {
    pub(super) start: (f64, f64),
    pub(super) steps: Vec<Step>,
    /// Centre of the label.
    pub(super) label: (f64, f64),
}

pub(super) enum Step {
    /// A straight stretch along the calls to this place.
    Level(f64),
    /// A cubic curve: two handles and the end.
    Curve([(f64, f64); 3]),
}

// === impl Line ===

impl Line {
    /// The edge as SVG, turned as the calls run and then moved by `x` and `y`.
    pub(super) fn render(&self, (x, y): (f64, f64), flow: Flow) -> Route {
        let at = |point: (f64, f64)| {
            let turned = flow.turn(point);
            (turned.0 + x, turned.1 + y)
        };
        let start = at(self.start);
        let mut path = String::with_capacity(16 + self.steps.len() * 40);
        let _ = write!(path, "M{:.1} {:.1}", start.0, start.1);
        for step in &self.steps {
            match (step, flow) {
                (Step::Level(to), Flow::Right) => drop(write!(path, "H{:.1}", to + x)),
                (Step::Level(to), Flow::Down) => drop(write!(path, "V{:.1}", to + y)),
                (Step::Curve(points), Flow::Right | Flow::Down) => {
                    for (mark, point) in ['C', ' ', ' '].into_iter().zip(points) {
                        let point = at(*point);
                        let _ = write!(path, "{mark}{:.1} {:.1}", point.0, point.1);
                    }
                }
            }
        }
        let label = at(self.label);
        Route { path, label_x: round(label.0), label_y: round(label.1) }
    }
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
