//! Priorities and localities: which of them take requests, and what share of them.

use std::sync::Arc;

use super::{Fitness, Group, Rules, scaled};
use crate::cluster::{Endpoint, Health, Locality};

/// A priority with more fit endpoints than it needs keeps all requests: Envoy's overprovisioning, in percent.
const OVERPROVISIONING: usize = 140;
/// All requests, in percent.
const ALL: u64 = 100;

/// A priority that takes requests.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Level {
    /// Its share and those of the priorities before it, in percent.
    until: u64,
    pub(super) groups: Vec<Group>,
    /// Running sums of the localities' weights.
    weights: Vec<u64>,
}

/// A priority's endpoints.
struct Tier {
    known: Vec<usize>,
    fit: Vec<usize>,
    availability: u64,
}

impl Level {
    /// Whether a random number falls on this priority or one before it.
    pub(super) fn covers(&self, random: u64) -> bool {
        scaled(random, ALL) < self.until
    }

    /// The locality that a random number falls on.
    pub(super) fn locality(&self, random: u64) -> usize {
        let total = self.weights.last().copied().unwrap_or(1);
        let point = scaled(random, total);
        self.weights.partition_point(|sum| *sum <= point)
    }
}

pub(super) fn levels(
    endpoints: &[Arc<Endpoint>],
    rules: Rules,
    fitness: &impl Fn(usize) -> Fitness,
) -> (Vec<Level>, bool) {
    let tiers = tiers(endpoints, fitness);
    let total: u64 = tiers.iter().map(|tier| tier.availability).sum::<u64>().min(ALL);
    let mut levels = Vec::new();
    let (mut given, mut panic) = (0, false);
    for tier in &tiers {
        let few = tier.fit.len() * 100 < tier.known.len() * rules.panic_percent as usize;
        // With enough fit endpoints elsewhere nobody panics.
        let panics = few && total < ALL;
        let share = match (tier.availability * ALL).checked_div(total) {
            Some(share) => share.min(ALL - given),
            // Nothing is fit anywhere: the first priority that ignores health takes everything.
            None if panics => ALL - given,
            None => 0,
        };
        let members = if panics { &tier.known } else { &tier.fit };
        if share == 0 || members.is_empty() {
            continue;
        }
        given += share;
        panic |= panics;
        levels.push(level(endpoints, members, given, rules, tier, fitness));
    }
    // What rounding leaves over goes to the last one.
    if let Some(last) = levels.last_mut() {
        last.until = ALL;
    }
    (levels, panic)
}

fn tiers(endpoints: &[Arc<Endpoint>], fitness: &impl Fn(usize) -> Fitness) -> Vec<Tier> {
    let mut priorities: Vec<u32> = endpoints.iter().map(|endpoint| endpoint.priority).collect();
    priorities.sort_unstable();
    priorities.dedup();
    let tier = |priority: u32| {
        let here = endpoints.iter().enumerate().filter(|(_, endpoint)| endpoint.priority == priority);
        let all: Vec<(usize, Health)> = here.map(|(at, endpoint)| (at, endpoint.health)).collect();
        let known: Vec<usize> = all.iter().filter(|(_, health)| is_known_good(*health)).map(|(at, _)| *at).collect();
        let fit: Vec<usize> = known.iter().copied().filter(|at| !fitness(*at).ejected).collect();
        let availability = (fit.len() * OVERPROVISIONING / all.len().max(1)).min(100) as u64;
        Tier { known, fit, availability }
    };
    priorities.into_iter().map(tier).collect()
}

fn level(
    endpoints: &[Arc<Endpoint>],
    members: &[usize],
    until: u64,
    rules: Rules,
    tier: &Tier,
    fitness: &impl Fn(usize) -> Fitness,
) -> Level {
    if !rules.by_locality {
        return Level { until, groups: vec![Group::of(endpoints, members.to_vec(), fitness)], weights: vec![1] };
    }
    let place = |at: &usize| endpoints.get(*at).map(|endpoint| &endpoint.locality);
    let mut places: Vec<&Locality> = members.iter().filter_map(place).collect();
    places.sort();
    places.dedup();
    let (mut groups, mut weights, mut sum) = (Vec::new(), Vec::new(), 0);
    for here in places {
        let within =
            |all: &[usize]| -> Vec<usize> { all.iter().copied().filter(|at| place(at) == Some(here)).collect() };
        let (mine, known) = (within(members), within(&tier.known).len());
        let weight = mine.first().and_then(|at| endpoints.get(*at)).map_or(0, |first| first.locality_weight);
        // A locality with too few fit endpoints gives a part of its share away.
        let availability = (mine.len() * OVERPROVISIONING / known.max(1)).min(100) as u64;
        let effective = u64::from(weight) * availability;
        if effective > 0 {
            sum += effective;
            weights.push(sum);
            groups.push(Group::of(endpoints, mine, fitness));
        }
    }
    Level { until, groups, weights }
}

fn is_known_good(health: Health) -> bool {
    match health {
        Health::Healthy | Health::Degraded => true,
        Health::Draining | Health::Unhealthy => false,
    }
}
