//! Curves: an edge runs level through layers and columns, in its own lane, and bends only in the gaps between them; so it
//! can touch no node but its ends. Also finds each label a place where labels overlap least.

use std::collections::BTreeMap;

use super::Place;
use super::blocks::Plan;
use super::input::{Input, LOOP_ROOM};
use super::line::{Line, Step};
use super::order::{Kind, Stack};
use super::pack::Part;
use super::place::Places;

const PORT_STEP: f64 = 11.0;

/// A level stretch of an edge; the next one is reached by a curve.
#[derive(Clone, Copy)]
struct Run {
    from: f64,
    to: f64,
    y: f64,
}

struct Pen<'a> {
    input: &'a Input<'a>,
    plan: &'a Plan<'a>,
    /// Top left corner of each block of this part.
    corner: BTreeMap<usize, (f64, f64)>,
    /// Left and right of the layer of each block of this part.
    band: BTreeMap<usize, (f64, f64)>,
}

pub(super) fn draw(input: &Input<'_>, plan: &Plan<'_>, stack: &Stack, places: &Places) -> Part {
    let mut pen = Pen { input, plan, corner: BTreeMap::new(), band: BTreeMap::new() };
    for (layer, (left, width)) in stack.layers.iter().zip(&places.layers) {
        for vertex in layer {
            if let Kind::Block(block) = stack.kinds[*vertex] {
                let size = &plan.blocks[block];
                let x = left + (width - size.width) / 2.0;
                pen.corner.insert(block, (x, places.y[*vertex] - size.height / 2.0));
                pen.band.insert(block, (*left, left + width));
            }
        }
    }
    let mut part = Part { width: places.width, height: places.height, ..Part::default() };
    pen.nodes(&mut part);
    let mut lines = pen.lines(stack, places);
    pen.spread_ports(&mut lines);
    let mut taken: Vec<(f64, f64)> = Vec::new();
    for (arc, runs) in &lines {
        let at = label(runs, &taken, input.flow.spacing().label);
        taken.push(at);
        part.edges.push((input.edges[*arc].id.to_owned(), line(runs, plan.arcs[*arc].flipped, at)));
    }
    pen.loops(&mut part);
    part
}

// === impl Pen ===

impl Pen<'_> {
    fn centre(&self, node: usize) -> Option<(f64, f64)> {
        let seat = self.plan.seats[node];
        let corner = self.corner.get(&seat.block)?;
        Some((corner.0 + seat.x, corner.1 + seat.y))
    }

    fn nodes(&self, part: &mut Part) {
        for (block, (left, top)) in &self.corner {
            let size = &self.plan.blocks[*block];
            if let Some(group) = size.group {
                let (x, y) = (left + size.width / 2.0, top + size.height / 2.0);
                let place = Place { x, y, width: size.width, height: size.height, is_box: true };
                part.nodes.push((group.to_owned(), place));
            }
            for node in &size.members {
                let item = &self.input.nodes[*node];
                if let Some((x, y)) = self.centre(*node) {
                    let place = Place { x, y, width: item.width, height: item.height, is_box: false };
                    part.nodes.push((item.id.to_owned(), place));
                }
            }
        }
    }

    /// Level stretches of every edge of this part, from tail to head.
    fn lines(&self, stack: &Stack, places: &Places) -> Vec<(usize, Vec<Run>)> {
        let mut lines = Vec::new();
        let layer_of = layer_of(stack);
        for (arc, chain) in &stack.chains {
            let Some(mut runs) = self.leave(*arc) else { continue };
            for vertex in &chain[1..chain.len() - 1] {
                let (left, width) = places.layers[layer_of[*vertex]];
                runs.push(Run { from: left, to: left + width, y: places.y[*vertex] });
            }
            runs.extend(self.arrive(*arc).unwrap_or_default());
            lines.push((*arc, runs));
        }
        for (index, arc) in self.plan.arcs.iter().enumerate() {
            if arc.inside {
                lines.extend(self.within(index).map(|runs| (index, runs)));
            }
        }
        lines.sort_by_key(|(arc, _)| *arc);
        lines
    }

    /// From the tail node to the right end of its layer.
    fn leave(&self, arc: usize) -> Option<Vec<Run>> {
        let node = self.plan.arcs[arc].tail;
        let seat = self.plan.seats[node];
        let columns = self.plan.blocks[seat.block].columns.len();
        let mut runs = vec![self.start(node)?];
        runs.extend((seat.column + 1..columns).filter_map(|column| self.lane(arc, seat.block, column)));
        if let (Some(run), Some((_, right))) = (runs.last_mut(), self.band.get(&seat.block)) {
            run.to = *right;
        }
        Some(runs)
    }

    /// From the left end of the head node's layer to that node.
    fn arrive(&self, arc: usize) -> Option<Vec<Run>> {
        let node = self.plan.arcs[arc].head;
        let seat = self.plan.seats[node];
        let mut runs: Vec<Run> = (0..seat.column).filter_map(|column| self.lane(arc, seat.block, column)).collect();
        runs.push(self.end(node)?);
        if let (Some(run), Some((left, _))) = (runs.first_mut(), self.band.get(&seat.block)) {
            run.from = *left;
        }
        Some(runs)
    }

    fn within(&self, arc: usize) -> Option<Vec<Run>> {
        let ends = self.plan.arcs[arc];
        let (tail, head) = (self.plan.seats[ends.tail], self.plan.seats[ends.head]);
        let mut runs = vec![self.start(ends.tail)?];
        runs.extend((tail.column + 1..head.column).filter_map(|column| self.lane(arc, tail.block, column)));
        runs.push(self.end(ends.head)?);
        Some(runs)
    }

    fn start(&self, node: usize) -> Option<Run> {
        let seat = self.plan.seats[node];
        let (x, y) = self.centre(node)?;
        let column = self.plan.blocks[seat.block].columns[seat.column];
        let left = self.corner.get(&seat.block)?.0;
        Some(Run { from: x + self.input.nodes[node].width / 2.0, to: left + column.right, y })
    }

    fn end(&self, node: usize) -> Option<Run> {
        let seat = self.plan.seats[node];
        let (x, y) = self.centre(node)?;
        let column = self.plan.blocks[seat.block].columns[seat.column];
        let left = self.corner.get(&seat.block)?.0;
        Some(Run { from: left + column.left, to: x - self.input.nodes[node].width / 2.0, y })
    }

    fn lane(&self, arc: usize, block: usize, column: usize) -> Option<Run> {
        let (left, top) = self.corner.get(&block)?;
        let span = self.plan.blocks[block].columns[column];
        let below = self.plan.blocks[block].lanes.get(&(arc, column))?;
        Some(Run { from: left + span.left, to: left + span.right, y: top + below })
    }

    /// Edges that share a side of a node start a little apart, in the order in which they fan out.
    fn spread_ports(&self, lines: &mut [(usize, Vec<Run>)]) {
        let mut sides: BTreeMap<(usize, bool), Vec<(f64, usize)>> = BTreeMap::new();
        for (at, (arc, runs)) in lines.iter().enumerate() {
            let ends = self.plan.arcs[*arc];
            let towards = |index: usize| runs.get(index).map_or(0.0, |run| run.y);
            sides.entry((ends.tail, true)).or_default().push((towards(1), at));
            sides.entry((ends.head, false)).or_default().push((towards(runs.len().wrapping_sub(2)), at));
        }
        for ((node, is_tail), mut ends) in sides {
            ends.sort_by(|a, b| a.0.total_cmp(&b.0));
            let room = self.input.nodes[node].height * 0.6;
            let step = (room / ends.len() as f64).min(PORT_STEP);
            for (at, (_, line)) in ends.iter().enumerate() {
                let shift = (at as f64 - (ends.len() - 1) as f64 / 2.0) * step;
                let runs = &mut lines[*line].1;
                let end = if is_tail { runs.first_mut() } else { runs.last_mut() };
                if let Some(run) = end {
                    run.y += shift;
                }
            }
        }
    }

    fn loops(&self, part: &mut Part) {
        for (id, node) in &self.input.loops {
            let Some((x, y)) = self.centre(*node) else { continue };
            let top = y - self.input.nodes[*node].height / 2.0;
            let reach = LOOP_ROOM * 1.2;
            let curve = [(x + 26.0, top - reach), (x - 26.0, top - reach), (x - 14.0, top)];
            let line =
                Line { start: (x + 14.0, top), steps: vec![Step::Curve(curve)], label: (x, top - LOOP_ROOM * 0.8) };
            part.edges.push(((*id).to_owned(), line));
        }
    }
}

fn layer_of(stack: &Stack) -> Vec<usize> {
    let mut layer_of = vec![0; stack.kinds.len()];
    for (layer, vertices) in stack.layers.iter().enumerate() {
        for vertex in vertices {
            layer_of[*vertex] = layer;
        }
    }
    layer_of
}

/// Joins the runs by curves; a flipped edge is drawn from its right end to its left.
fn line(runs: &[Run], flipped: bool, label: (f64, f64)) -> Line {
    let ordered: Vec<Run> = if flipped {
        runs.iter().rev().map(|run| Run { from: run.to, to: run.from, y: run.y }).collect()
    } else {
        runs.to_vec()
    };
    let start = ordered.first().map_or((0.0, 0.0), |run| (run.from, run.y));
    let mut steps = Vec::with_capacity(ordered.len() * 2);
    for (at, run) in ordered.iter().enumerate() {
        if let Some(before) = at.checked_sub(1).map(|before| ordered[before]) {
            let middle = f64::midpoint(before.to, run.from);
            steps.push(Step::Curve([(middle, before.y), (middle, run.y), (run.from, run.y)]));
        }
        if (run.to - run.from).abs() > 0.05 {
            steps.push(Step::Level(run.to));
        }
    }
    Line { start, steps, label }
}

/// The free place for a label on the curves of an edge; the least covered if none is free.
fn label(runs: &[Run], taken: &[(f64, f64)], size: (f64, f64)) -> (f64, f64) {
    let mut best = runs.first().map_or((0.0, 0.0), |run| (f64::midpoint(run.from, run.to), run.y));
    let mut least = f64::INFINITY;
    let bends: Vec<(Run, Run)> = runs.windows(2).map(|pair| (pair[0], pair[1])).collect();
    for (before, after) in bends.iter().rev().take(3) {
        for t in [0.56, 0.64, 0.48, 0.72, 0.40, 0.32] {
            let at = on_curve(*before, *after, t);
            let cover: f64 = taken.iter().map(|other| overlap(at, *other, size)).sum();
            if cover < least {
                least = cover;
                best = at;
            }
            if least == 0.0 {
                return best;
            }
        }
    }
    best
}

fn on_curve(before: Run, after: Run, t: f64) -> (f64, f64) {
    let s = 1.0 - t;
    let middle = f64::midpoint(before.to, after.from);
    let ends = (s * s * s, t * t * t);
    let handles = (3.0 * s * s * t, 3.0 * s * t * t);
    let x = ends.0 * before.to + (handles.0 + handles.1) * middle + ends.1 * after.from;
    let y = (ends.0 + handles.0) * before.y + (ends.1 + handles.1) * after.y;
    (x, y)
}

fn overlap(a: (f64, f64), b: (f64, f64), size: (f64, f64)) -> f64 {
    let wide = (size.0 - (a.0 - b.0).abs()).max(0.0);
    let high = (size.1 - (a.1 - b.1).abs()).max(0.0);
    wide * high
}
