//! Where requests of a locality go: shares by locality, or the nearest first and the others when those fail.

use std::collections::BTreeMap;

use orrery_api::{Distribute, Failover, Labels, Locality, TrafficPolicy};

use crate::policy::HostRules;
use crate::settings::UpstreamDefaults;

/// The setting that holds for a cluster.
pub(super) struct Setting<'a> {
    locality: &'a Locality,
    /// Endpoints are set aside for errors: without that nothing ever fails over, so nothing is put in order for it.
    may_fail: bool,
}

/// Endpoints that are treated alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// `region/zone/subzone`.
    pub(super) place: String,
    /// Positions in the list of endpoints.
    pub(super) members: Vec<usize>,
    pub(super) weight: u32,
    pub(super) priority: u32,
}

/// Who calls.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) place: &'a str,
    pub(super) labels: &'a Labels,
}

/// A rule's setting takes the place of the mesh's whole.
pub(super) fn of<'a>(policy: &'a TrafficPolicy, defaults: &'a UpstreamDefaults) -> Option<Setting<'a>> {
    let ruled = policy.load_balancer.as_ref().and_then(|balancer| balancer.locality.as_ref());
    let locality = ruled.or(defaults.locality.as_ref()).filter(|locality| locality.enabled != Some(false))?;
    Some(Setting { locality, may_fail: policy.outlier_detection.is_some() })
}

/// Whether who calls decides anything for any of a service's clusters.
pub(super) fn matters(rules: Option<&HostRules<'_>>, defaults: &UpstreamDefaults) -> bool {
    let shares = |locality: &Locality| !locality.distribute.is_empty();
    let said = |policy: &TrafficPolicy| {
        let locality = policy.load_balancer.as_ref().and_then(|balancer| balancer.locality.as_ref());
        policy.outlier_detection.is_some() || locality.is_some_and(shares)
    };
    defaults.outlier_detection.is_some()
        || defaults.locality.as_ref().is_some_and(shares)
        || rules.is_some_and(|rules| rules.policies().any(said))
}

impl Setting<'_> {
    /// Whether weights of localities count.
    pub(super) fn is_weighted(&self) -> bool {
        let Locality { distribute, failover, failover_priority, .. } = self.locality;
        !distribute.is_empty() || (self.may_fail && !(failover.is_empty() && failover_priority.is_empty()))
    }

    /// Puts groups in order for a caller. `labels` are those of the endpoints.
    pub(super) fn apply(&self, groups: Vec<Group>, caller: Caller<'_>, labels: &[&Labels]) -> Vec<Group> {
        let Locality { distribute, failover, failover_priority, .. } = self.locality;
        if !distribute.is_empty() {
            return shares(groups, distribute, caller.place);
        }
        if !self.may_fail {
            return groups;
        }
        if failover_priority.is_empty() {
            return nearest(groups, failover, caller.place);
        }
        let groups = by_labels(groups, failover_priority, caller.labels, labels);
        if failover.is_empty() { groups } else { nearest(groups, failover, caller.place) }
    }
}

/// Shares of the traffic from the caller's place; localities that have none get nothing.
fn shares(groups: Vec<Group>, distribute: &[Distribute], caller: &str) -> Vec<Group> {
    let Some(rule) = distribute.iter().find(|rule| covers(&rule.from, caller)) else { return groups };
    let mut given: BTreeMap<usize, u32> = BTreeMap::new();
    for (place, share) in &rule.to {
        let matching: Vec<usize> =
            (0..groups.len()).filter(|at| !given.contains_key(at) && covers(place, &groups[*at].place)).collect();
        let total: u64 = matching.iter().map(|at| u64::from(groups[*at].weight)).sum();
        for at in matching {
            let part = (u64::from(groups[at].weight) * u64::from(*share)).div_ceil(total.max(1));
            given.insert(at, u32::try_from(part).unwrap_or(u32::MAX));
        }
    }
    let weighted = groups.into_iter().enumerate().filter_map(|(at, group)| {
        let weight = given.get(&at).copied().filter(|weight| *weight > 0)?;
        Some(Group { weight, ..group })
    });
    weighted.collect()
}

/// By distance: the same subzone, zone, region; then the region that the caller's fails over to, then the others.
fn nearest(groups: Vec<Group>, failover: &[Failover], caller: &str) -> Vec<Group> {
    let region = part(caller, 0);
    let next = failover.iter().find(|rule| rule.from == region).map(|rule| rule.to.as_str());
    let distance = |place: &str| {
        let same = (0..3).take_while(|at| part(caller, *at) == part(place, *at)).count();
        match (same, next) {
            (3, _) => 0,
            (2, _) => 1,
            (1, _) => 2,
            (_, Some(next)) if part(place, 0) != next => 4,
            _ => 3,
        }
    };
    let ordered = groups.into_iter().map(|group| {
        let priority = group.priority * 5 + distance(&group.place);
        Group { priority, ..group }
    });
    without_gaps(ordered.collect())
}

/// By how many of the labels, from the first on, are as wanted: groups are split where their endpoints differ.
fn by_labels(groups: Vec<Group>, wanted: &[String], caller: &Labels, labels: &[&Labels]) -> Vec<Group> {
    const NETWORK: &str = "topology.istio.io/network";
    let wanted: Vec<(&str, Option<&str>)> = wanted
        .iter()
        .map(|label| match label.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (label.as_str(), caller.get(label)),
        })
        .collect();
    let most = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
    let priority = |at: usize| {
        let has = |name: &str| labels.get(at).and_then(|labels| labels.get(name));
        let mut elsewhere = 0;
        for (number, (name, value)) in wanted.iter().enumerate() {
            if has(name) != *value {
                // Another network is worse than everything else, and the rest still counts.
                if number == 0 && *name == NETWORK {
                    elsewhere = most;
                    continue;
                }
                return elsewhere + most - u32::try_from(number).unwrap_or(most);
            }
        }
        elsewhere
    };
    let mut split = Vec::new();
    for group in groups {
        let mut parts: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for at in group.members {
            parts.entry(priority(at)).or_default().push(at);
        }
        let whole: u32 = parts.values().map(|members| u32::try_from(members.len()).unwrap_or(u32::MAX)).sum();
        split.extend(parts.into_iter().map(|(priority, members)| {
            let share = u64::from(group.weight) * members.len() as u64 / u64::from(whole.max(1));
            let weight = u32::try_from(share).unwrap_or(u32::MAX).max(1);
            Group { place: group.place.clone(), members, weight, priority }
        }));
    }
    without_gaps(split)
}

/// Envoy wants priorities without gaps.
fn without_gaps(mut groups: Vec<Group>) -> Vec<Group> {
    let mut used: Vec<u32> = groups.iter().map(|group| group.priority).collect();
    used.sort_unstable();
    used.dedup();
    for group in &mut groups {
        let rank = used.binary_search(&group.priority).unwrap_or_default();
        group.priority = u32::try_from(rank).unwrap_or(u32::MAX);
    }
    groups
}

fn part(place: &str, at: usize) -> &str {
    place.split('/').nth(at).unwrap_or_default()
}

/// Whether a place lies within a pattern: `*`, or `region/zone/subzone` of which the later ones may be `*` or left out.
fn covers(pattern: &str, place: &str) -> bool {
    (0..3).all(|at| {
        let wanted = part(pattern, at);
        let open = (0..=at).any(|before| part(pattern, before) == "*") || (at > 0 && wanted.is_empty());
        open || wanted == part(place, at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(place: &str, members: &[usize]) -> Group {
        let weight = u32::try_from(members.len()).unwrap();
        Group { place: place.to_owned(), members: members.to_vec(), weight, priority: 0 }
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    fn outcome(groups: &[Group]) -> Vec<(&str, u32, u32)> {
        groups.iter().map(|group| (group.place.as_str(), group.priority, group.weight)).collect()
    }

    #[test]
    fn places_lie_within_patterns() {
        for (pattern, place, expected) in [
            ("*", "a/b/c", true),
            ("a/*", "a/b/c", true),
            ("a/b/*", "a/b/c", true),
            ("a/b", "a/b/c", true),
            ("a", "a/b/c", true),
            ("a/b/c", "a/b/c", true),
            ("a/b/d", "a/b/c", false),
            ("a/c/*", "a/b/c", false),
            ("b/*", "a/b/c", false),
            ("", "", true),
        ] {
            assert_eq!(covers(pattern, place), expected, "{pattern} {place}");
        }
    }

    #[test]
    fn distribution_gives_shares_and_nothing_to_the_rest() {
        let to = BTreeMap::from([("a/1/*".to_owned(), 80), ("b/*".to_owned(), 20)]);
        let rules = [Distribute { from: "a/*".to_owned(), to }];
        let groups =
            || vec![group("a/1/x", &[0]), group("b/1/x", &[1, 2]), group("b/2/x", &[3, 4]), group("c/1/x", &[5])];
        let from_a = shares(groups(), &rules, "a/1/x");
        assert_eq!(outcome(&from_a), [("a/1/x", 0, 80), ("b/1/x", 0, 10), ("b/2/x", 0, 10)]);
        assert_eq!(shares(groups(), &rules, "c/1/x"), groups(), "no rule is for c");
    }

    #[test]
    fn the_nearest_come_first() {
        let groups = || {
            ["a/1/x", "a/1/y", "a/2/x", "b/1/x", "c/1/x"]
                .iter()
                .enumerate()
                .map(|(at, place)| group(place, &[at]))
                .collect()
        };
        let plain: Vec<Group> = nearest(groups(), &[], "a/1/x");
        assert_eq!(plain.iter().map(|group| group.priority).collect::<Vec<_>>(), [0, 1, 2, 3, 3]);
        let to_c = [Failover { from: "a".to_owned(), to: "c".to_owned() }];
        let ruled: Vec<Group> = nearest(groups(), &to_c, "a/1/x");
        assert_eq!(ruled.iter().map(|group| group.priority).collect::<Vec<_>>(), [0, 1, 2, 4, 3]);
        let elsewhere: Vec<Group> = nearest(groups(), &[], "d/1/x");
        assert_eq!(elsewhere.iter().map(|group| group.priority).collect::<Vec<_>>(), [0; 5], "no gap at the beginning");
    }

    #[test]
    fn labels_split_groups() {
        let all = [labels(&[("version", "v1"), ("cluster", "a")]), labels(&[("version", "v1")]), labels(&[])];
        let all: Vec<&Labels> = all.iter().collect();
        let wanted = ["version=v1".to_owned(), "cluster".to_owned()];
        let caller = labels(&[("cluster", "a")]);
        let split = by_labels(vec![group("r/z/s", &[0, 1, 2])], &wanted, &caller, &all);
        let members: Vec<(u32, &[usize])> =
            split.iter().map(|group| (group.priority, group.members.as_slice())).collect();
        assert_eq!(members, [(0, &[0][..]), (1, &[1]), (2, &[2])]);
    }

    #[test]
    fn failover_needs_outlier_detection() {
        let failover = vec![Failover { from: "a".to_owned(), to: "b".to_owned() }];
        let locality = Locality { failover, ..Locality::default() };
        let caller = Caller { place: "a/1/x", labels: &labels(&[]) };
        let groups = || vec![group("b/1/x", &[0]), group("a/1/x", &[1])];
        let priorities = |may_fail| {
            let setting = Setting { locality: &locality, may_fail };
            setting.apply(groups(), caller, &[]).iter().map(|group| group.priority).collect::<Vec<_>>()
        };
        assert_eq!(priorities(false), [0, 0]);
        assert_eq!(priorities(true), [1, 0]);
    }
}
