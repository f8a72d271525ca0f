use std::collections::BTreeMap;

use super::*;
use crate::cluster::{Health, Locality};

fn endpoint(port: u16, priority: u32, weight: u32, health: Health) -> Arc<Endpoint> {
    Arc::new(Endpoint {
        address: ([127, 0, 0, 1], port).into(),
        host: None,
        health,
        weight,
        priority,
        locality: Locality::default(),
        locality_weight: 1,
        transport_labels: Vec::new(),
        workload: None,
    })
}

fn eligible(endpoints: &[Arc<Endpoint>], is_ejected: impl Fn(usize) -> bool, panic_percent: u32) -> Eligible {
    let rules = Rules { panic_percent, by_locality: false };
    Eligible::of(endpoints, rules, |at| Fitness { ejected: is_ejected(at), ..Fitness::default() })
}

fn positions(eligible: &Eligible) -> Vec<usize> {
    eligible.positions().collect()
}

fn healthy(weights: &[u32]) -> Vec<Arc<Endpoint>> {
    weights.iter().zip(1..).map(|(weight, port)| endpoint(port, 0, *weight, Health::Healthy)).collect()
}

/// Small and repeatable.
fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(state)
    }
}

fn counts(eligible: &Eligible, balancing: Balancing, n: usize) -> BTreeMap<usize, usize> {
    let mut rotation = Rotation::default();
    let mut random = random(7);
    let mut counts = BTreeMap::new();
    for _ in 0..n {
        *counts.entry(eligible.pick(balancing, &mut rotation, |_| 0, &mut random, None).unwrap()).or_default() += 1;
    }
    counts
}

#[test]
fn nothing_to_choose_from() {
    let none = eligible(&[], |_| false, 50);
    assert_eq!(none.pick(Balancing::Random, &mut Rotation::default(), |_| 0, random(1), None), None);
    let sick = [endpoint(1, 0, 1, Health::Unhealthy)];
    assert!(eligible(&sick, |_| false, 50).is_empty());
}

#[test]
fn the_best_priority_with_healthy_endpoints_is_used() {
    let endpoints =
        [endpoint(1, 0, 1, Health::Unhealthy), endpoint(2, 1, 1, Health::Healthy), endpoint(3, 2, 1, Health::Healthy)];
    assert_eq!(positions(&eligible(&endpoints, |_| false, 0)), [1]);
    assert_eq!(positions(&eligible(&endpoints, |at| at == 1, 0)), [2]);
}

#[test]
fn too_few_healthy_ones_mean_panic() {
    let endpoints = healthy(&[1, 1, 1, 1]);
    let half = eligible(&endpoints, |at| at < 2, 50);
    assert_eq!((positions(&half), half.panic), (vec![2, 3], false));
    let quarter = eligible(&endpoints, |at| at < 3, 50);
    assert_eq!((positions(&quarter).len(), quarter.panic), (4, true));
    let off = eligible(&endpoints, |at| at < 3, 0);
    assert_eq!((positions(&off), off.panic), (vec![3], false));
}

#[test]
fn round_robin_is_even_and_weighted() {
    let even = counts(&eligible(&healthy(&[1, 1, 1]), |_| false, 0), Balancing::RoundRobin, 300);
    assert_eq!(even.into_values().collect::<Vec<_>>(), [100, 100, 100]);
    let weighted = counts(&eligible(&healthy(&[3, 1]), |_| false, 0), Balancing::RoundRobin, 4_000);
    assert!((2_950..=3_050).contains(&weighted[&0]), "{weighted:?}");
}

#[test]
fn random_and_idle_least_request_follow_weights() {
    let weighted = eligible(&healthy(&[8, 2]), |_| false, 0);
    for balancing in [Balancing::Random, Balancing::LeastRequest { choices: 2 }] {
        let drawn = counts(&weighted, balancing, 10_000);
        assert!((7_800..=8_200).contains(&drawn[&0]), "{drawn:?}");
    }
    let even = counts(&eligible(&healthy(&[1, 1]), |_| false, 0), Balancing::LeastRequest { choices: 2 }, 10_000);
    assert!((4_800..=5_200).contains(&even[&0]), "{even:?}");
}

#[test]
fn least_request_avoids_the_busy_one() {
    let three = eligible(&healthy(&[1, 1, 1]), |_| false, 0);
    let mut random = random(3);
    let load = |at: usize| if at == 1 { 50 } else { 0 };
    let mut busy = 0;
    for _ in 0..900 {
        let at = three.pick(Balancing::LeastRequest { choices: 2 }, &mut Rotation::default(), load, &mut random, None);
        busy += usize::from(at == Some(1));
    }
    // Only when both choices fall on it: one time in nine.
    assert!((60..=140).contains(&busy), "{busy}");
}

#[test]
fn hashing_moves_only_the_keys_of_what_left() {
    let endpoints = healthy(&[1, 1, 1, 1, 1]);
    let before = eligible(&endpoints, |_| false, 0);
    let after = eligible(&endpoints, |at| at == 2, 0);
    let ring = Balancing::RingHash { minimum: 1024 };
    let mut per_endpoint = BTreeMap::<usize, usize>::new();
    for key in 0..5_000 {
        let hash = Some(mix(key));
        let old = before.pick(ring, &mut Rotation::default(), |_| 0, || 0, hash).unwrap();
        let new = after.pick(ring, &mut Rotation::default(), |_| 0, || 0, hash).unwrap();
        assert!(new != 2 && (old == 2 || old == new), "key {key}: {old} -> {new}");
        *per_endpoint.entry(old).or_default() += 1;
    }
    assert!(per_endpoint.values().all(|n| (850..=1_150).contains(n)), "{per_endpoint:?}");
}

#[test]
fn a_priority_that_fails_gives_a_growing_share_away() {
    let mut endpoints = healthy(&[1, 1, 1, 1]);
    endpoints.push(endpoint(9, 1, 1, Health::Healthy));
    // 3 of 4 are enough, with 2 of 4 it is 70 %.
    for (failed, share) in [(0, 0), (1, 0), (2, 3_000), (3, 6_500), (4, 10_000)] {
        let drawn = counts(&eligible(&endpoints, |at| at < failed, 0), Balancing::Random, 10_000);
        let next = drawn.get(&4).copied().unwrap_or_default();
        assert!(next.abs_diff(share) <= 200, "{failed}: {drawn:?}");
    }
}

#[test]
fn localities_get_their_shares_whatever_the_number_of_their_endpoints() {
    let place = |name: &str| Locality { region: name.into(), ..Locality::default() };
    let at = |port, name: &str, weight| {
        let one = Endpoint::clone(&endpoint(port, 0, 1, Health::Healthy));
        Arc::new(Endpoint { locality: place(name), locality_weight: weight, ..one })
    };
    let endpoints = [at(1, "a", 80), at(2, "b", 20), at(3, "b", 20), at(4, "b", 20), at(5, "b", 20)];
    let rules = Rules { panic_percent: 0, by_locality: true };
    for balancing in [Balancing::Random, Balancing::RoundRobin, Balancing::LeastRequest { choices: 2 }] {
        let drawn = counts(&Eligible::of(&endpoints, rules, |_| Fitness::default()), balancing, 10_000);
        assert!((7_800..=8_200).contains(&drawn[&0]), "{balancing:?} {drawn:?}");
    }
    let one_left = Eligible::of(&endpoints, rules, |at| Fitness { ejected: at == 0, warmth: 1000 });
    assert_eq!(positions(&one_left), [1, 2, 3, 4]);
}

#[test]
fn new_endpoints_warm_up() {
    let slow = SlowStart { window: std::time::Duration::from_secs(100), aggression: 1.0, min_weight_percent: 10 };
    let warmth = |seconds| slow.warmth(std::time::Duration::from_secs(seconds));
    assert_eq!([warmth(0), warmth(50), warmth(100), warmth(1_000)], [100, 500, 1000, 1000]);
    let steep = SlowStart { aggression: 2.0, ..slow };
    assert_eq!(steep.warmth(std::time::Duration::from_secs(25)), 500);
    let endpoints = healthy(&[1, 1]);
    let fitness = |at| Fitness { ejected: false, warmth: if at == 0 { 1000 } else { 250 } };
    let drawn = counts(&Eligible::of(&endpoints, Rules::default(), fitness), Balancing::RoundRobin, 10_000);
    assert!((7_900..=8_100).contains(&drawn[&0]), "{drawn:?}");
}

#[test]
fn keys_are_shared_as_the_weights_are() {
    let weighted = eligible(&healthy(&[3, 1]), |_| false, 0);
    let first = (0..10_000)
        .filter(|key| {
            weighted.pick(Balancing::Maglev, &mut Rotation::default(), |_| 0, || 0, Some(mix(*key))) == Some(0)
        })
        .count();
    assert!((7_300..=7_700).contains(&first), "{first}");
}
