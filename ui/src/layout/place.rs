//! Coordinates: layers from left to right, and inside a layer each vertex as near to its neighbours as order and spacing
//! allow. Each layer is solved exactly (least squares under separation, by pooling adjacent violators).

use super::blocks::Plan;
use super::flow::Spacing;
use super::order::{Kind, Stack, Touch};

const BEND_HEIGHT: f64 = 8.0;
const BEND_GAP: f64 = 12.0;
const SWEEPS: usize = 14;

pub(super) struct Places {
    /// Centre of each vertex.
    pub(super) y: Vec<f64>,
    /// Left and width of each layer.
    pub(super) layers: Vec<(f64, f64)>,
    pub(super) height: f64,
    pub(super) width: f64,
}

pub(super) fn solve(plan: &Plan<'_>, stack: &Stack, spacing: Spacing) -> Places {
    let heights: Vec<f64> = stack.kinds.iter().map(|kind| height(plan, *kind)).collect();
    let mut y = vec![0.0; stack.kinds.len()];
    for layer in &stack.layers {
        let mut top = 0.0;
        for (at, vertex) in layer.iter().enumerate() {
            if at > 0 {
                top += gap(stack, layer[at - 1], *vertex, spacing.blocks);
            }
            y[*vertex] = top + heights[*vertex] / 2.0;
            top += heights[*vertex];
        }
    }
    let count = stack.layers.len();
    for sweep in 0..SWEEPS {
        let both = sweep + 4 >= SWEEPS;
        for step in 0..count {
            let layer = if sweep % 2 == 0 { step } else { count - 1 - step };
            relax(stack, &stack.layers[layer], &heights, Sides::of(sweep, both), spacing.blocks, &mut y);
        }
    }
    let top = extreme(&y, &heights, |y, half| y - half, f64::min);
    y.iter_mut().for_each(|y| *y -= top);
    let bottom = extreme(&y, &heights, |y, half| y + half, f64::max);
    let (layers, width) = columns(plan, stack, spacing.layers);
    Places { y, layers, height: bottom, width }
}

#[derive(Clone, Copy)]
enum Sides {
    Left,
    Right,
    Both,
}

// === impl Sides ===

impl Sides {
    fn of(sweep: usize, both: bool) -> Self {
        match (both, sweep.is_multiple_of(2)) {
            (true, _) => Self::Both,
            (false, true) => Self::Left,
            (false, false) => Self::Right,
        }
    }
}

fn height(plan: &Plan<'_>, kind: Kind) -> f64 {
    match kind {
        Kind::Block(block) => plan.blocks[block].height,
        Kind::Bend => BEND_HEIGHT,
    }
}

fn gap(stack: &Stack, above: usize, below: usize, blocks: f64) -> f64 {
    match (stack.kinds[above], stack.kinds[below]) {
        (Kind::Block(_), Kind::Block(_)) => blocks,
        (Kind::Bend, Kind::Block(_)) | (Kind::Block(_), Kind::Bend) => blocks * 0.75,
        (Kind::Bend, Kind::Bend) => BEND_GAP,
    }
}

/// Moves one layer's vertices to where its neighbours want them, as far as order and gaps allow.
fn relax(stack: &Stack, layer: &[usize], heights: &[f64], sides: Sides, blocks: f64, y: &mut [f64]) {
    // Positions relative to the tightest packing turn "keep your distance" into "do not decrease".
    let mut pools: Vec<(f64, f64, usize)> = Vec::with_capacity(layer.len());
    let mut packed = Vec::with_capacity(layer.len());
    let mut at = 0.0;
    for (index, vertex) in layer.iter().enumerate() {
        if index > 0 {
            let above = layer[index - 1];
            at += heights[above] / 2.0 + gap(stack, above, *vertex, blocks) + heights[*vertex] / 2.0;
        }
        packed.push(at);
        let (wish, weight) = wish(stack, *vertex, sides, y);
        pools.push((wish - at, weight, 1));
        while pools.len() > 1 && pools[pools.len() - 2].0 > pools[pools.len() - 1].0 {
            let (low, low_weight, low_count) = pools.remove(pools.len() - 1);
            if let Some(pool) = pools.last_mut() {
                let total = pool.1 + low_weight;
                *pool = ((pool.0 * pool.1 + low * low_weight) / total, total, pool.2 + low_count);
            }
        }
    }
    let shifts = pools.iter().flat_map(|(shift, _, count)| std::iter::repeat_n(*shift, *count));
    for ((vertex, packed), shift) in layer.iter().zip(packed).zip(shifts) {
        y[*vertex] = packed + shift;
    }
}

/// Where a vertex would like to be, and how strongly: bends most, so that long edges run straight.
fn wish(stack: &Stack, vertex: usize, sides: Sides, y: &[f64]) -> (f64, f64) {
    let (left, right): (&[Touch], &[Touch]) = match sides {
        Sides::Left => (&stack.left[vertex], &[]),
        Sides::Right => (&[], &stack.right[vertex]),
        Sides::Both => (&stack.left[vertex], &stack.right[vertex]),
    };
    let mut sum = 0.0;
    let mut total = 0.0;
    for touch in left.iter().chain(right) {
        let weight = match (stack.kinds[vertex], stack.kinds[touch.other]) {
            (Kind::Block(_), Kind::Block(_)) => 1.0,
            (Kind::Bend, Kind::Block(_)) | (Kind::Block(_), Kind::Bend) => 2.0,
            (Kind::Bend, Kind::Bend) => 6.0,
        };
        sum += weight * (y[touch.other] + touch.there - touch.here);
        total += weight;
    }
    if total > 0.0 { (sum / total, total) } else { (y[vertex], 0.05) }
}

fn extreme(y: &[f64], heights: &[f64], edge: fn(f64, f64) -> f64, pick: fn(f64, f64) -> f64) -> f64 {
    y.iter().zip(heights).map(|(y, height)| edge(*y, height / 2.0)).reduce(pick).unwrap_or(0.0)
}

fn columns(plan: &Plan<'_>, stack: &Stack, gap: f64) -> (Vec<(f64, f64)>, f64) {
    let mut left = 0.0;
    let mut layers = Vec::with_capacity(stack.layers.len());
    for layer in &stack.layers {
        let width = layer
            .iter()
            .map(|vertex| match stack.kinds[*vertex] {
                Kind::Block(block) => plan.blocks[block].width,
                Kind::Bend => 0.0,
            })
            .fold(0.0, f64::max);
        layers.push((left, width));
        let stretches: usize = layer.iter().map(|vertex| stack.right[*vertex].len()).sum();
        left += width + gap + (stretches.saturating_sub(3) as f64 * 2.0).min(72.0);
    }
    let width = layers.last().map_or(0.0, |(left, width)| left + width);
    (layers, width)
}
