//! A drawn edge before its part has a place on the page; rendered as SVG once it has. Knows nothing of layers or boxes.

use std::fmt::Write as _;

use super::Route;

/// One edge from its source to its target.
pub(super) struct Line {
    pub(super) start: (f64, f64),
    pub(super) steps: Vec<Step>,
    /// Centre of the label.
    pub(super) label: (f64, f64),
}

pub(super) enum Step {
    /// A straight stretch to this x.
    Level(f64),
    /// A cubic curve: two handles and the end.
    Curve([(f64, f64); 3]),
}

// === impl Line ===

impl Line {
    /// The edge as SVG, moved by `x` and `y`.
    pub(super) fn render(&self, x: f64, y: f64) -> Route {
        let mut path = String::with_capacity(16 + self.steps.len() * 40);
        let _ = write!(path, "M{:.1} {:.1}", self.start.0 + x, self.start.1 + y);
        for step in &self.steps {
            match step {
                Step::Level(to) => drop(write!(path, "H{:.1}", to + x)),
                Step::Curve(points) => {
                    for (mark, point) in ['C', ' ', ' '].into_iter().zip(points) {
                        let _ = write!(path, "{mark}{:.1} {:.1}", point.0 + x, point.1 + y);
                    }
                }
            }
        }
        Route { path, label_x: round(self.label.0 + x), label_y: round(self.label.1 + y) }
    }
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
