//! Which way calls run, and the distances that go with it. The solver knows only one way: its x runs along the calls, its
//! y across them; what goes down is turned when it is put on the page.

/// Which way calls run on the page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Flow {
    /// From left to right: for a window that is wide.
    #[default]
    Right,
    /// From top to bottom: for a window that is not.
    Down,
}

/// Distances along and across the calls, in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spacing {
    /// Between the layers: room for a label.
    pub(super) layers: f64,
    /// Between columns of a box joined by several edges: room for their labels.
    pub(super) labelled_columns: f64,
    /// Between the blocks of a layer.
    pub(super) blocks: f64,
    /// From a box's edge to what is in it, before and after it along the calls.
    pub(super) box_along: (f64, f64),
    /// The same across the calls.
    pub(super) box_across: (f64, f64),
    /// Size of a label along and across the calls.
    pub(super) label: (f64, f64),
}

const PAD: f64 = 12.0;
/// Where a box has its title.
const HEADER: f64 = 26.0;
const LABEL_WIDTH: f64 = 66.0;
const LABEL_HEIGHT: f64 = 30.0;

// === impl Flow ===

impl Flow {
    pub(super) fn spacing(self) -> Spacing {
        match self {
            Self::Right => Spacing {
                layers: 104.0,
                labelled_columns: 100.0,
                blocks: 38.0,
                box_along: (PAD, PAD),
                box_across: (HEADER, PAD),
                label: (LABEL_WIDTH, LABEL_HEIGHT),
            },
            Self::Down => Spacing {
                layers: 58.0,
                labelled_columns: 58.0,
                blocks: 30.0,
                box_along: (HEADER, PAD),
                box_across: (PAD, PAD),
                label: (LABEL_HEIGHT, LABEL_WIDTH),
            },
        }
    }

    /// From along and across to x and y of the page, or back.
    pub(super) fn turn(self, (along, across): (f64, f64)) -> (f64, f64) {
        match self {
            Self::Right => (along, across),
            Self::Down => (across, along),
        }
    }
}
