//! Which endpoint takes the next request.
//!
//! [`Eligible`] is computed when endpoints or their fitness change; [`Eligible::pick`] runs per request and looks at a
//! few endpoints only (for consistent hashing at all of one locality, by rendezvous).
//!
//! As in Envoy, requests go to the first priority as long as enough of its endpoints are fit; with fewer, a growing share
//! goes to the next one. Within a priority localities get their shares if the cluster weighs them.

mod group;
mod levels;

use std::sync::Arc;

use group::Group;
use levels::Level;

use crate::cluster::{Balancing, Cluster, Endpoint, SlowStart};

/// Make independent draws of one key.
const LEVEL: u64 = 1;
const PLACE: u64 = 2;

/// The endpoints that may take requests now, by position in the cluster's list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Eligible {
    levels: Vec<Level>,
    /// Health was ignored, since too few endpoints were healthy.
    pub panic: bool,
}

/// What is asked of a cluster's endpoints together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Under this share of healthy endpoints, health is ignored. 0: never.
    pub panic_percent: u32,
    /// Localities get shares by their weights.
    pub by_locality: bool,
}

/// How an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fitness {
    pub ejected: bool,
    /// The part of its weight that counts, in thousandths: less than 1000 while it warms up.
    pub warmth: u32,
}

/// What changes from pick to pick.
#[derive(Clone, Debug, Default)]
pub struct Rotation {
    next: u64,
    /// Turns of each locality.
    within: Vec<u64>,
}

impl Default for Fitness {
    fn default() -> Self {
        Self { ejected: false, warmth: 1000 }
    }
}

impl Eligible {
    /// Those of a cluster, by its own rules.
    pub fn of_cluster(cluster: &Cluster, fitness: impl Fn(usize) -> Fitness) -> Self {
        let panic_percent = cluster.outlier.map_or(0, |outlier| outlier.healthy_panic_percent);
        Self::of(&cluster.endpoints.all, Rules { panic_percent, by_locality: cluster.locality_weighted }, fitness)
    }

    /// The endpoints that take requests, and their shares.
    pub fn of(endpoints: &[Arc<Endpoint>], rules: Rules, fitness: impl Fn(usize) -> Fitness) -> Self {
        let (levels, panic) = levels::levels(endpoints, rules, &fitness);
        Self { levels, panic }
    }

    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// Positions in the cluster's endpoint list, of all that take requests.
    pub fn positions(&self) -> impl Iterator<Item = usize> {
        self.levels.iter().flat_map(|level| &level.groups).flat_map(|group| group.positions()).copied()
    }

    /// Chooses an endpoint. `load` is the number of requests in flight at a position; `random` gives a fresh number at
    /// each call; `hash` is the request's key for consistent hashing.
    pub fn pick(
        &self,
        balancing: Balancing,
        rotation: &mut Rotation,
        load: impl Fn(usize) -> u32,
        mut random: impl FnMut() -> u64,
        hash: Option<u64>,
    ) -> Option<usize> {
        let hash = match balancing {
            Balancing::RingHash { .. } | Balancing::Maglev => hash,
            Balancing::LeastRequest { .. } | Balancing::RoundRobin | Balancing::Random | Balancing::ClusterProvided => {
                None
            }
        };
        // The same key finds the same priority and locality.
        let mut draw = |salt: u64| hash.map_or_else(&mut random, |hash| mix(hash ^ salt));
        let level = match self.levels.as_slice() {
            [] => return None,
            [only] => only,
            [first, .., last] => {
                let point = draw(LEVEL);
                self.levels.iter().find(|level| level.covers(point)).unwrap_or(if point == 0 { first } else { last })
            }
        };
        let at = if let [_] = level.groups.as_slice() { 0 } else { level.locality(draw(PLACE)) };
        let group = level.groups.get(at)?;
        if let [only] = group.positions() {
            return Some(*only);
        }
        let chosen = match (balancing, hash) {
            (_, Some(hash)) => group.rendezvous(hash),
            (Balancing::LeastRequest { choices }, None) => group.least_request(choices.max(2), load, random),
            (Balancing::RoundRobin | Balancing::ClusterProvided, None) => group.turn(rotation.of(at)),
            (Balancing::Random | Balancing::RingHash { .. } | Balancing::Maglev, None) => group.weighted(random()),
        };
        group.positions().get(chosen).copied()
    }
}

impl Rotation {
    /// The next turn of a locality.
    fn of(&mut self, locality: usize) -> u64 {
        let turn = match locality.checked_sub(1) {
            None => &mut self.next,
            Some(at) => {
                if self.within.len() <= at {
                    self.within.resize(at + 1, 0);
                }
                &mut self.within[at]
            }
        };
        *turn = turn.wrapping_add(1);
        *turn
    }
}

impl SlowStart {
    /// How warm an endpoint of this age is.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn warmth(&self, age: std::time::Duration) -> u32 {
        if age >= self.window {
            return 1000;
        }
        let share = age.as_secs_f64().max(1.0) / self.window.as_secs_f64().max(1.0);
        let grown = share.min(1.0).powf(1.0 / self.aggression.max(f64::EPSILON));
        // Between 0 and 1000, so that the conversion keeps the value.
        (grown.max(f64::from(self.min_weight_percent) / 100.0).clamp(0.0, 1.0) * 1000.0) as u32
    }
}

/// SplitMix64's finaliser: every input bit reaches every output bit.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Maps a random number to 0..bound without division; the high bits are the good ones.
fn scaled(random: u64, bound: u64) -> u64 {
    ((u128::from(random) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests;
