//! The order inside each layer: sweeps by barycentre and neighbour swaps until few edges cross. Knows nothing of pixels,
//! except how far down a box an edge starts.

use super::blocks::Plan;

const SWEEPS: usize = 10;
/// Above this many vertices (blocks and bends) the sweeps are cut short: the drawing is unreadable anyway.
const MANY: usize = 6_000;

/// One connected part: its blocks and the bends of its long edges, layer by layer.
pub(super) struct Stack {
    pub(super) layers: Vec<Vec<usize>>,
    pub(super) kinds: Vec<Kind>,
    /// To the layer on the left.
    pub(super) left: Vec<Vec<Touch>>,
    /// To the layer on the right.
    pub(super) right: Vec<Vec<Touch>>,
    /// For each edge between blocks of this part: its index, and its vertices from tail to head.
    pub(super) chains: Vec<(usize, Vec<usize>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Block(usize),
    /// Where a long edge passes a layer.
    Bend,
}

/// One end of a stretch of an edge between two neighbouring layers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Touch {
    pub(super) other: usize,
    /// Where the stretch touches this vertex and the other, in pixels below their centres.
    pub(super) here: f64,
    pub(super) there: f64,
}

// === impl Stack ===

impl Stack {
    pub(super) fn new(plan: &Plan<'_>, part: &[usize]) -> Self {
        let mut vertex_of = vec![usize::MAX; plan.blocks.len()];
        let first = part.iter().map(|block| plan.layer[*block]).min().unwrap_or(0);
        let last = part.iter().map(|block| plan.layer[*block]).max().unwrap_or(0);
        let mut stack = Self {
            layers: vec![Vec::new(); last - first + 1],
            kinds: Vec::new(),
            left: Vec::new(),
            right: Vec::new(),
            chains: Vec::new(),
        };
        for block in part {
            vertex_of[*block] = stack.add(Kind::Block(*block), plan.layer[*block] - first);
        }
        for (index, arc) in plan.arcs.iter().enumerate() {
            let (tail, head) = (plan.seats[arc.tail].block, plan.seats[arc.head].block);
            if arc.inside || vertex_of[tail] == usize::MAX {
                continue;
            }
            let mut chain = vec![vertex_of[tail]];
            for layer in plan.layer[tail] + 1..plan.layer[head] {
                let bend = stack.add(Kind::Bend, layer - first);
                chain.push(bend);
            }
            chain.push(vertex_of[head]);
            stack.join(&chain, plan.offset(arc.tail), plan.offset(arc.head));
            stack.chains.push((index, chain));
        }
        stack
    }

    fn add(&mut self, kind: Kind, layer: usize) -> usize {
        let vertex = self.kinds.len();
        self.kinds.push(kind);
        self.left.push(Vec::new());
        self.right.push(Vec::new());
        self.layers[layer].push(vertex);
        vertex
    }

    fn join(&mut self, chain: &[usize], from: f64, to: f64) {
        let last = chain.len() - 2;
        for (step, pair) in chain.windows(2).enumerate() {
            let here = if step == 0 { from } else { 0.0 };
            let there = if step == last { to } else { 0.0 };
            self.right[pair[0]].push(Touch { other: pair[1], here, there });
            self.left[pair[1]].push(Touch { other: pair[0], here: there, there: here });
        }
    }

    /// Reorders every layer; keeps the best of all sweeps.
    pub(super) fn untangle(&mut self) {
        if self.layers.len() < 2 {
            return;
        }
        let sweeps = if self.kinds.len() > MANY { 2 } else { SWEEPS };
        let mut best = self.layers.clone();
        let mut fewest = self.crossings();
        for sweep in 0..sweeps {
            self.sweep(sweep % 2 == 0);
            if self.kinds.len() <= MANY {
                self.swap_neighbours();
            }
            let now = self.crossings();
            if now < fewest {
                fewest = now;
                best.clone_from(&self.layers);
            }
            if fewest == 0 {
                break;
            }
        }
        self.layers = best;
    }

    fn sweep(&mut self, rightwards: bool) {
        let count = self.layers.len();
        for step in 1..count {
            let (fixed, free) = if rightwards { (step - 1, step) } else { (count - step, count - step - 1) };
            let rank = self.ranks(fixed);
            let touches = if rightwards { &self.left } else { &self.right };
            let mut keyed: Vec<(f64, usize)> = self.layers[free]
                .iter()
                .enumerate()
                .map(|(at, vertex)| (barycentre(&touches[*vertex], &rank).unwrap_or(at as f64), *vertex))
                .collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            self.layers[free] = keyed.into_iter().map(|(_, vertex)| vertex).collect();
        }
    }

    fn ranks(&self, layer: usize) -> Vec<f64> {
        let mut rank = vec![0.0; self.kinds.len()];
        for (at, vertex) in self.layers[layer].iter().enumerate() {
            rank[*vertex] = at as f64;
        }
        rank
    }

    /// Swaps neighbours where that removes crossings.
    fn swap_neighbours(&mut self) {
        let mut rank = vec![0.0; self.kinds.len()];
        for layer in &self.layers {
            for (at, vertex) in layer.iter().enumerate() {
                rank[*vertex] = at as f64;
            }
        }
        for layer in &mut self.layers {
            for at in 1..layer.len() {
                let (above, below) = (layer[at - 1], layer[at]);
                let now = tangles(&self.left, above, below, &rank) + tangles(&self.right, above, below, &rank);
                let then = tangles(&self.left, below, above, &rank) + tangles(&self.right, below, above, &rank);
                if then < now {
                    layer.swap(at - 1, at);
                    rank[above] = at as f64;
                    rank[below] = (at - 1) as f64;
                }
            }
        }
    }

    fn crossings(&self) -> usize {
        (1..self.layers.len()).map(|right| self.crossings_before(right)).sum()
    }

    /// Crossings between a layer and the one on its left: inversions, counted with a binary indexed tree.
    fn crossings_before(&self, right: usize) -> usize {
        let rank = self.ranks(right - 1);
        let mut tree = vec![0_usize; self.layers[right - 1].len() + 1];
        let mut seen = 0;
        let mut crossings = 0;
        for vertex in &self.layers[right] {
            let mut ends: Vec<usize> = self.left[*vertex].iter().map(|touch| rank[touch.other] as usize).collect();
            ends.sort_unstable();
            for end in &ends {
                crossings += seen - prefix(&tree, end + 1);
            }
            for end in &ends {
                raise(&mut tree, end + 1);
                seen += 1;
            }
        }
        crossings
    }
}

/// Mean rank of the other ends; a start further down a box counts as a little further down its layer.
fn barycentre(touches: &[Touch], rank: &[f64]) -> Option<f64> {
    if touches.is_empty() {
        return None;
    }
    let sum: f64 = touches.iter().map(|touch| rank[touch.other] + (touch.there / 400.0).clamp(-0.45, 0.45)).sum();
    Some(sum / touches.len() as f64)
}

/// Crossings between the edges of two vertices on one side, when `above` stands above `below`.
fn tangles(touches: &[Vec<Touch>], above: usize, below: usize, rank: &[f64]) -> usize {
    let key = |touch: &Touch| rank[touch.other] + (touch.there / 400.0).clamp(-0.45, 0.45);
    touches[above].iter().map(|upper| touches[below].iter().filter(|lower| key(lower) < key(upper)).count()).sum()
}

fn prefix(tree: &[usize], mut at: usize) -> usize {
    let mut sum = 0;
    while at > 0 {
        sum += tree[at];
        at &= at - 1;
    }
    sum
}

fn raise(tree: &mut [usize], mut at: usize) {
    while at < tree.len() {
        tree[at] += 1;
        at += at & at.wrapping_neg();
    }
}
