//! Which endpoint takes the next request.
//!
//! [`Eligible`] is computed when endpoints or their health change; [`Eligible::pick`] runs per request and looks at a
//! few endpoints only (at all of them for consistent hashing, by rendezvous).

use std::sync::Arc;

use crate::cluster::{Balancing, Cluster, Endpoint, Health};
use crate::forward::fnv;

/// The endpoints that may take requests now, by position in the cluster's list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Eligible {
    positions: Vec<usize>,
    /// Running sums of weights; empty when all weights are equal.
    cumulative: Vec<u64>,
    /// A stable hash of each endpoint's address, for consistent hashing.
    hashes: Vec<u64>,
    /// Health was ignored, since too few endpoints were healthy.
    pub panic: bool,
}

/// What changes from pick to pick.
#[derive(Clone, Debug, Default)]
pub struct Rotation {
    next: u64,
}

impl Eligible {
    /// Those of a cluster, by its own limit for panic.
    pub fn of_cluster(cluster: &Cluster, is_ejected: impl Fn(usize) -> bool) -> Self {
        let panic = cluster.outlier.map_or(0, |outlier| outlier.healthy_panic_percent);
        Self::of(&cluster.endpoints.all, is_ejected, panic)
    }

    /// The healthy endpoints of the best priority that has any. When fewer than `panic_percent` of a priority's
    /// endpoints are healthy, all of that priority count (Envoy's panic mode); 0 switches that off.
    pub fn of(endpoints: &[Arc<Endpoint>], is_ejected: impl Fn(usize) -> bool, panic_percent: u32) -> Self {
        let mut priorities: Vec<u32> = endpoints.iter().map(|endpoint| endpoint.priority).collect();
        priorities.sort_unstable();
        priorities.dedup();
        for priority in priorities {
            let all: Vec<usize> = (0..endpoints.len())
                .filter(|at| endpoints[*at].priority == priority && is_known_good(endpoints[*at].health))
                .collect();
            let fit: Vec<usize> = all.iter().copied().filter(|at| !is_ejected(*at)).collect();
            let panic = !all.is_empty() && fit.len() * 100 < all.len() * panic_percent as usize;
            let positions = if panic { all } else { fit };
            if !positions.is_empty() {
                return Self::from_positions(endpoints, positions, panic);
            }
        }
        Self::default()
    }

    fn from_positions(endpoints: &[Arc<Endpoint>], positions: Vec<usize>, panic: bool) -> Self {
        let weight = |at: &usize| u64::from(endpoints[*at].weight.max(1));
        let first = positions.first().map_or(1, weight);
        let mut sum = 0;
        let cumulative = if positions.iter().all(|at| weight(at) == first) {
            Vec::new()
        } else {
            positions.iter().map(|at| (sum += weight(at), sum).1).collect()
        };
        let hashes = positions.iter().map(|at| fnv(endpoints[*at].address.to_string().as_bytes())).collect();
        Self { positions, cumulative, hashes, panic }
    }

    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Positions in the cluster's endpoint list.
    pub fn positions(&self) -> &[usize] {
        &self.positions
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
        if let [] | [_] = self.positions.as_slice() {
            return self.positions.first().copied();
        }
        let at = match (balancing, hash) {
            (Balancing::RingHash { .. } | Balancing::Maglev, Some(hash)) => self.rendezvous(hash),
            (Balancing::LeastRequest { choices }, _) => self.least_request(choices.max(2), load, random),
            (Balancing::RoundRobin | Balancing::ClusterProvided, _) => {
                // With unequal weights, multiples of the golden ratio walk the weighted line evenly.
                rotation.next = rotation.next.wrapping_add(1);
                match self.cumulative.last() {
                    None => usize::try_from(rotation.next % self.positions.len() as u64).unwrap_or_default(),
                    Some(_) => self.weighted(rotation.next.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                }
            }
            (Balancing::Random | Balancing::RingHash { .. } | Balancing::Maglev, _) => self.weighted(random()),
        };
        self.positions.get(at).copied()
    }

    /// Of a few random endpoints the one with the fewest requests in flight for its weight ("power of two choices").
    fn least_request(&self, choices: u32, load: impl Fn(usize) -> u32, mut random: impl FnMut() -> u64) -> usize {
        let mut best = self.weighted(random());
        for _ in 1..choices {
            let other = self.weighted(random());
            // Cross-multiplied: load / weight without division. Draws follow weights already, so that among idle
            // endpoints the first draw stands. A draw of the same endpoint changes nothing.
            let cost = |at: usize, other: usize| u64::from(load(self.positions[at])) * self.weight(other);
            if cost(other, best) < cost(best, other) {
                best = other;
            }
        }
        best
    }

    /// An index drawn in proportion to weights.
    fn weighted(&self, random: u64) -> usize {
        // The high bits are the good ones; this maps them to 0..bound without division.
        let scaled = |bound: u64| ((u128::from(random) * u128::from(bound)) >> 64) as u64;
        match self.cumulative.last() {
            None => usize::try_from(scaled(self.positions.len() as u64)).unwrap_or_default(),
            Some(total) => {
                let point = scaled(*total);
                self.cumulative.partition_point(|sum| *sum <= point)
            }
        }
    }

    fn weight(&self, at: usize) -> u64 {
        match (self.cumulative.get(at), at.checked_sub(1)) {
            (None, _) => 1,
            (Some(sum), None) => *sum,
            (Some(sum), Some(before)) => sum - self.cumulative[before],
        }
    }

    /// Highest random weight: removing one endpoint moves only that endpoint's keys.
    fn rendezvous(&self, hash: u64) -> usize {
        let score = |at: &usize| u128::from(mix(hash ^ self.hashes[*at])) * u128::from(self.weight(*at));
        (0..self.positions.len()).max_by_key(score).unwrap_or_default()
    }
}

fn is_known_good(health: Health) -> bool {
    match health {
        Health::Healthy | Health::Degraded => true,
        Health::Draining | Health::Unhealthy => false,
    }
}

/// SplitMix64's finaliser: every input bit reaches every output bit.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests;
