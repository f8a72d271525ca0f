use std::collections::BTreeMap;

use super::*;
use crate::cluster::Locality;

fn endpoint(port: u16, priority: u32, weight: u32, health: Health) -> Arc<Endpoint> {
    Arc::new(Endpoint {
        address: ([127, 0, 0, 1], port).into(),
        host: None,
        health,
        weight,
        priority,
        locality: Locality::default(),
        transport_labels: Vec::new(),
        workload: None,
    })
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
    let none = Eligible::of(&[], |_| false, 50);
    assert_eq!(none.pick(Balancing::Random, &mut Rotation::default(), |_| 0, random(1), None), None);
    let sick = [endpoint(1, 0, 1, Health::Unhealthy)];
    assert!(Eligible::of(&sick, |_| false, 50).is_empty());
}

#[test]
fn the_best_priority_with_healthy_endpoints_is_used() {
    let endpoints =
        [endpoint(1, 0, 1, Health::Unhealthy), endpoint(2, 1, 1, Health::Healthy), endpoint(3, 2, 1, Health::Healthy)];
    assert_eq!(Eligible::of(&endpoints, |_| false, 0).positions(), [1]);
    assert_eq!(Eligible::of(&endpoints, |at| at == 1, 0).positions(), [2]);
}

#[test]
fn too_few_healthy_ones_mean_panic() {
    let endpoints = healthy(&[1, 1, 1, 1]);
    let half = Eligible::of(&endpoints, |at| at < 2, 50);
    assert_eq!((half.positions(), half.panic), (&[2, 3][..], false));
    let quarter = Eligible::of(&endpoints, |at| at < 3, 50);
    assert_eq!((quarter.len(), quarter.panic), (4, true));
    let off = Eligible::of(&endpoints, |at| at < 3, 0);
    assert_eq!((off.positions(), off.panic), (&[3][..], false));
}

#[test]
fn round_robin_is_even_and_weighted() {
    let even = counts(&Eligible::of(&healthy(&[1, 1, 1]), |_| false, 0), Balancing::RoundRobin, 300);
    assert_eq!(even.into_values().collect::<Vec<_>>(), [100, 100, 100]);
    let weighted = counts(&Eligible::of(&healthy(&[3, 1]), |_| false, 0), Balancing::RoundRobin, 4_000);
    assert!((2_950..=3_050).contains(&weighted[&0]), "{weighted:?}");
}

#[test]
fn random_and_idle_least_request_follow_weights() {
    let eligible = Eligible::of(&healthy(&[8, 2]), |_| false, 0);
    let drawn = counts(&eligible, Balancing::Random, 10_000);
    assert!((7_800..=8_200).contains(&drawn[&0]), "{drawn:?}");
    let even = counts(&Eligible::of(&healthy(&[1, 1]), |_| false, 0), Balancing::LeastRequest { choices: 2 }, 10_000);
    assert!((4_800..=5_200).contains(&even[&0]), "{even:?}");
    let idle = counts(&eligible, Balancing::LeastRequest { choices: 2 }, 10_000);
    assert!((7_800..=8_200).contains(&idle[&0]), "{idle:?}");
}

#[test]
fn least_request_avoids_the_busy_one() {
    let eligible = Eligible::of(&healthy(&[1, 1, 1]), |_| false, 0);
    let mut random = random(3);
    let load = |at: usize| if at == 1 { 50 } else { 0 };
    let mut busy = 0;
    for _ in 0..900 {
        let at =
            eligible.pick(Balancing::LeastRequest { choices: 2 }, &mut Rotation::default(), load, &mut random, None);
        busy += usize::from(at == Some(1));
    }
    // Only when both choices fall on it: one time in nine.
    assert!((60..=140).contains(&busy), "{busy}");
}

#[test]
fn hashing_moves_only_the_keys_of_what_left() {
    let endpoints = healthy(&[1, 1, 1, 1, 1]);
    let before = Eligible::of(&endpoints, |_| false, 0);
    let after = Eligible::of(&endpoints, |at| at == 2, 0);
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
