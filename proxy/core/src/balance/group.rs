//! Endpoints among which one is chosen by load, turn, chance or key.

use std::sync::Arc;

use super::{Fitness, mix, scaled};
use crate::cluster::Endpoint;
use crate::forward::fnv;

/// Draws of the weighted choice by load before the best so far is taken.
const DRAWS: usize = 8;

/// Endpoints of one locality, or of a whole priority.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    positions: Vec<usize>,
    /// Running sums of weights; empty when all weights are equal.
    cumulative: Vec<u64>,
    /// A stable hash of each endpoint's address, for consistent hashing.
    hashes: Vec<u64>,
}

impl Group {
    pub(super) fn of(endpoints: &[Arc<Endpoint>], positions: Vec<usize>, fitness: &impl Fn(usize) -> Fitness) -> Self {
        let weight = |at: &usize| {
            let weight = endpoints.get(*at).map_or(1, |endpoint| endpoint.weight.max(1));
            (u64::from(weight) * u64::from(fitness(*at).warmth)).max(1)
        };
        let first = positions.first().map_or(1, weight);
        let mut sum = 0;
        let cumulative = if positions.iter().all(|at| weight(at) == first) {
            Vec::new()
        } else {
            positions.iter().map(|at| (sum += weight(at), sum).1).collect()
        };
        let hash = |at: &usize| endpoints.get(*at).map_or(0, |one| fnv(one.address.to_string().as_bytes()));
        let hashes = positions.iter().map(hash).collect();
        Self { positions, cumulative, hashes }
    }

    pub(super) fn positions(&self) -> &[usize] {
        &self.positions
    }

    /// The one whose turn it is. With unequal weights, multiples of the golden ratio walk the weighted line evenly.
    pub(super) fn turn(&self, turn: u64) -> usize {
        match self.cumulative.last() {
            None => usize::try_from(turn % self.positions.len().max(1) as u64).unwrap_or_default(),
            Some(_) => self.weighted(turn.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        }
    }

    /// Of a few random endpoints the one with the fewest requests in flight ("power of two choices"). With unequal
    /// weights in proportion to weight and inversely to load, as in Envoy.
    pub(super) fn least_request(
        &self,
        choices: u32,
        load: impl Fn(usize) -> u32,
        mut random: impl FnMut() -> u64,
    ) -> usize {
        let load = |at: usize| self.positions.get(at).map_or(0, |position| load(*position));
        let mut best = self.weighted(random());
        if self.cumulative.is_empty() {
            for _ in 1..choices {
                let other = self.weighted(random());
                if load(other) < load(best) {
                    best = other;
                }
            }
            return best;
        }
        for _ in 0..DRAWS {
            let drawn = self.weighted(random());
            if scaled(random(), u64::from(load(drawn)) + 1) == 0 {
                return drawn;
            }
            if load(drawn) < load(best) {
                best = drawn;
            }
        }
        best
    }

    /// An index drawn in proportion to weights.
    pub(super) fn weighted(&self, random: u64) -> usize {
        match self.cumulative.last() {
            None => usize::try_from(scaled(random, self.positions.len() as u64)).unwrap_or_default(),
            Some(total) => {
                let point = scaled(random, *total);
                self.cumulative.partition_point(|sum| *sum <= point)
            }
        }
    }

    fn weight(&self, at: usize) -> u64 {
        match (self.cumulative.get(at), at.checked_sub(1)) {
            (None, _) => 1,
            (Some(sum), None) => *sum,
            (Some(sum), Some(before)) => sum - self.cumulative.get(before).copied().unwrap_or_default(),
        }
    }

    /// Highest random weight: removing one endpoint moves only that endpoint's keys. The score is that of an exponential
    /// race, so that shares are as the weights are.
    pub(super) fn rendezvous(&self, hash: u64) -> usize {
        let scored = self.hashes.iter().enumerate().map(|(at, own)| {
            let chance = (mix(hash ^ own) >> 11) as f64 / (1_u64 << 53) as f64;
            (at, self.weight(at) as f64 / -chance.max(f64::MIN_POSITIVE).ln())
        });
        scored.max_by(|(_, one), (_, other)| one.total_cmp(other)).map_or(0, |(at, _)| at)
    }
}
