//! Which policies hold: destination rules for a host, peer authentication for a workload's port.

use orrery_api::{DestinationRule, Key, Labels, MtlsMode, Object, Subset, TrafficPolicy};

use crate::world::World;

/// The rules for a host, merged: policy of the first, subsets of all.
#[derive(Clone, Debug)]
pub(crate) struct HostRules<'a> {
    /// All of them, the first first.
    pub(crate) keys: Vec<&'a Key>,
    pub(crate) object: &'a Object,
    pub(crate) policy: &'a TrafficPolicy,
    pub(crate) subsets: Vec<&'a Subset>,
}

/// Rules of the caller's namespace come before those of the service's, and those before the root namespace's. Of one
/// namespace an exact host comes before a wildcard, and the oldest rule decides the policy.
pub(crate) fn rules_for<'a>(
    world: &'a World,
    host: &str,
    service_namespace: &str,
    caller_namespace: &str,
) -> Option<HostRules<'a>> {
    let root = world.settings().root_namespace.as_str();
    let rules = &world.index().destination_rules;
    for namespace in [caller_namespace, service_namespace, root] {
        let exact: Vec<_> = rules.exactly(host).filter(|key| key.namespace == namespace).collect();
        let here = match exact.is_empty() {
            false => exact,
            true => rules.by_pattern(host).filter(|key| key.namespace == namespace).collect(),
        };
        let visible = |(object, rule): &(&Object, &DestinationRule)| {
            rule.export_to.includes(&object.key.namespace, caller_namespace)
        };
        let here: Vec<_> = here.into_iter().filter_map(|key| world.destination_rule(key)).filter(visible).collect();
        if let Some(rules) = HostRules::merged(&here) {
            return Some(rules);
        }
    }
    None
}

impl<'a> HostRules<'a> {
    /// Rules that were found before, by their keys.
    pub(crate) fn of_keys(world: &'a World, keys: &[Key]) -> Option<Self> {
        let rules: Vec<_> = keys.iter().filter_map(|key| world.destination_rule(key)).collect();
        Self::merged(&rules)
    }

    fn merged(rules: &[(&'a Object, &'a DestinationRule)]) -> Option<Self> {
        let (object, first) = rules.first().copied()?;
        let mut subsets: Vec<&Subset> = Vec::new();
        for subset in rules.iter().flat_map(|(_, rule)| &rule.subsets) {
            if !subsets.iter().any(|known| known.name == subset.name) {
                subsets.push(subset);
            }
        }
        let keys = rules.iter().map(|(object, _)| &object.key).collect();
        Some(Self { keys, object, policy: &first.policy, subsets })
    }
}

/// What a workload's port takes: workload policy, then namespace, then mesh, then the mesh's default.
pub(crate) fn mtls_mode(world: &World, namespace: &str, labels: &Labels, port: u16) -> MtlsMode {
    let root = world.settings().root_namespace.as_str();
    let selecting = world
        .peer_authentications(namespace)
        .find(|policy| policy.selector.as_ref().is_some_and(|s| !s.is_empty() && s.select(labels)));
    let whole = |wanted: &str| {
        let mut policies = world.peer_authentications(wanted);
        policies.find(|policy| policy.selector.as_ref().is_none_or(Labels::is_empty)).map(|policy| policy.mtls)
    };
    let default = if world.settings().strict_mtls { MtlsMode::Strict } else { MtlsMode::Permissive };
    let by_port = selecting.and_then(|policy| policy.ports.get(&port).copied());
    [by_port, selecting.map(|policy| policy.mtls), whole(namespace), whole(root)]
        .into_iter()
        .flatten()
        .find(|mode| *mode != MtlsMode::Unset)
        .unwrap_or(default)
}
