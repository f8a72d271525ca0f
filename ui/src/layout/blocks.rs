//! App boxes: which nodes stand together, in which columns inside their box, and how big the box is.
//!
//! A block is a box with its members, or one node that is in no box. An edge that has to pass a column of a box gets a
//! lane there, so that it never runs over a member. Knows nothing of where blocks stand.

use std::collections::BTreeMap;

use super::input::Input;
use super::layers::layering;

const STACK_GAP: f64 = 14.0;
/// Between columns joined by one edge, whose label would only repeat what stands on the edges into the box.
const NARROW_GAP: f64 = 34.0;
const LANE: f64 = 12.0;

pub(super) struct Plan<'a> {
    pub(super) blocks: Vec<Block<'a>>,
    /// By node.
    pub(super) seats: Vec<Seat>,
    /// By edge of the input.
    pub(super) arcs: Vec<Arc>,
    /// By block.
    pub(super) layer: Vec<usize>,
}

pub(super) struct Block<'a> {
    /// Id of the box, if it is one.
    pub(super) group: Option<&'a str>,
    pub(super) members: Vec<usize>,
    pub(super) columns: Vec<Column>,
    pub(super) width: f64,
    pub(super) height: f64,
    /// Height of the lane's centre below the block's top, by edge and column.
    pub(super) lanes: BTreeMap<(usize, usize), f64>,
}

/// Left and right of a column, from the block's left.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub(super) left: f64,
    pub(super) right: f64,
}

/// Where a node stands in its block: its centre from the block's top left corner.
#[derive(Clone, Copy, Default)]
pub(super) struct Seat {
    pub(super) block: usize,
    pub(super) column: usize,
    pub(super) x: f64,
    pub(super) y: f64,
}

/// An edge as it is drawn, from left (`tail`) to right (`head`).
#[derive(Clone, Copy)]
pub(super) struct Arc {
    pub(super) tail: usize,
    pub(super) head: usize,
    pub(super) flipped: bool,
    pub(super) inside: bool,
}

// === impl Plan ===

impl<'a> Plan<'a> {
    pub(super) fn new(input: &Input<'a>) -> Self {
        let (mut blocks, mut seats) = gather(input);
        let mut arcs: Vec<Arc> = input
            .edges
            .iter()
            .map(|edge| Arc {
                tail: edge.source,
                head: edge.target,
                flipped: false,
                inside: seats[edge.source].block == seats[edge.target].block,
            })
            .collect();
        for block in &blocks {
            seat_columns(block, &mut seats, &mut arcs);
        }
        let outer: Vec<usize> = (0..arcs.len()).filter(|arc| !arcs[*arc].inside).collect();
        let pairs: Vec<(usize, usize)> =
            outer.iter().map(|arc| (seats[arcs[*arc].tail].block, seats[arcs[*arc].head].block)).collect();
        let layered = layering(blocks.len(), &pairs);
        for (arc, flip) in outer.iter().zip(&layered.flipped) {
            arcs[*arc].orient(*flip);
        }
        for (index, block) in blocks.iter_mut().enumerate() {
            settle(index, block, input, &mut seats, &arcs);
        }
        Self { blocks, seats, arcs, layer: layered.layer }
    }

    /// How far below its block's centre a node's centre is.
    pub(super) fn offset(&self, node: usize) -> f64 {
        let seat = self.seats[node];
        seat.y - self.blocks[seat.block].height / 2.0
    }
}

// === impl Arc ===

impl Arc {
    fn orient(&mut self, flip: bool) {
        if flip {
            std::mem::swap(&mut self.tail, &mut self.head);
            self.flipped = true;
        }
    }
}

fn gather<'a>(input: &Input<'a>) -> (Vec<Block<'a>>, Vec<Seat>) {
    let mut blocks: Vec<Block<'a>> = Vec::new();
    let mut by_group: BTreeMap<&str, usize> = BTreeMap::new();
    let mut seats = vec![Seat::default(); input.nodes.len()];
    for (node, item) in input.nodes.iter().enumerate() {
        let known = item.parent.and_then(|group| by_group.get(group).copied());
        let block = known.unwrap_or(blocks.len());
        if known.is_none() {
            blocks.push(Block::empty(item.parent));
            if let Some(group) = item.parent {
                by_group.insert(group, block);
            }
        }
        blocks[block].members.push(node);
        seats[node].block = block;
    }
    (blocks, seats)
}

/// Columns inside one box: what its members call of each other stands further right.
fn seat_columns(block: &Block<'_>, seats: &mut [Seat], arcs: &mut [Arc]) {
    if block.members.len() < 2 {
        return;
    }
    let local: BTreeMap<usize, usize> = block.members.iter().enumerate().map(|(at, node)| (*node, at)).collect();
    let inner: Vec<usize> =
        (0..arcs.len()).filter(|arc| arcs[*arc].inside && local.contains_key(&arcs[*arc].tail)).collect();
    let pairs: Vec<(usize, usize)> =
        inner.iter().map(|arc| (local[&arcs[*arc].tail], local[&arcs[*arc].head])).collect();
    let layered = layering(block.members.len(), &pairs);
    for (arc, flip) in inner.iter().zip(&layered.flipped) {
        arcs[*arc].orient(*flip);
    }
    for (node, at) in &local {
        seats[*node].column = layered.layer[*at];
    }
}

/// Gives members and lanes of one block their places, and the block its size.
fn settle(index: usize, block: &mut Block<'_>, input: &Input<'_>, seats: &mut [Seat], arcs: &[Arc]) {
    let count = block.members.iter().map(|node| seats[*node].column + 1).max().unwrap_or(1);
    let mut stacks: Vec<Vec<usize>> = vec![Vec::new(); count];
    for node in &block.members {
        stacks[seats[*node].column].push(*node);
    }
    let passing = if count > 1 { passing(index, count, seats, arcs) } else { vec![Vec::new(); count] };
    let spacing = input.flow.spacing();
    let ((before, after), (above, below)) =
        if block.group.is_some() { (spacing.box_along, spacing.box_across) } else { Default::default() };
    let heights: Vec<f64> =
        stacks.iter().zip(&passing).map(|(stack, lanes)| stack_height(stack, lanes, input)).collect();
    let inner = heights.iter().copied().fold(0.0, f64::max);
    let (mut left, mut right) = (before, before);
    for (column, stack) in stacks.iter().enumerate() {
        let width = stack.iter().map(|node| input.nodes[*node].width).fold(0.0, f64::max);
        let mut top = above + (inner - heights[column]) / 2.0;
        for node in stack {
            let slot = input.nodes[*node].slot;
            seats[*node].x = left + width / 2.0;
            seats[*node].y = top + slot / 2.0;
            top += slot + STACK_GAP;
        }
        for arc in &passing[column] {
            block.lanes.insert((*arc, column), top + LANE / 2.0);
            top += LANE;
        }
        block.columns.push(Column { left, right: left + width });
        right = left + width;
        left = right + column_gap(index, column, seats, arcs, spacing.labelled_columns);
    }
    block.width = right + after;
    block.height = above + inner + below;
}

fn column_gap(block: usize, column: usize, seats: &[Seat], arcs: &[Arc], labelled: f64) -> f64 {
    let starts_here = |arc: &&Arc| arc.inside && seats[arc.tail].block == block && seats[arc.tail].column == column;
    if arcs.iter().filter(starts_here).count() > 1 { labelled } else { NARROW_GAP }
}

/// Which edges pass over each column of a box without ending in it.
fn passing(block: usize, count: usize, seats: &[Seat], arcs: &[Arc]) -> Vec<Vec<usize>> {
    let mut passing = vec![Vec::new(); count];
    for (index, arc) in arcs.iter().enumerate() {
        let (tail, head) = (seats[arc.tail], seats[arc.head]);
        let from = if tail.block == block { Some(tail.column + 1) } else { None };
        let until = if head.block == block { Some(head.column) } else { None };
        let range = match (from, until) {
            (Some(from), Some(until)) => from..until,
            (Some(from), None) => from..count,
            (None, Some(until)) => 0..until,
            (None, None) => continue,
        };
        for column in range {
            passing[column].push(index);
        }
    }
    passing
}

fn stack_height(stack: &[usize], lanes: &[usize], input: &Input<'_>) -> f64 {
    let nodes: f64 = stack.iter().map(|node| input.nodes[*node].slot + STACK_GAP).sum();
    nodes - STACK_GAP + lanes.len() as f64 * LANE + if lanes.is_empty() { 0.0 } else { STACK_GAP }
}

// === impl Block ===

impl<'a> Block<'a> {
    fn empty(group: Option<&'a str>) -> Self {
        Self { group, members: Vec::new(), columns: Vec::new(), width: 0.0, height: 0.0, lanes: BTreeMap::new() }
    }
}
