//! Which policies hold: destination rules for a host, peer authentication for a workload's port.

use orrery_api::{DestinationRule, Labels, MtlsMode, Object, Subset, TrafficPolicy};

use crate::names::covers;
use crate::world::World;

/// The rules for a host, merged: policy of the first, subsets of all.
#[derive(Clone, Debug)]
pub(crate) struct HostRules<'a> {
    pub(crate) object: &'a Object,
    pub(crate) policy: &'a TrafficPolicy,
    pub(crate) subsets: Vec<&'a Subset>,
}

/// Rules of the caller's namespace come before those of the service's, and those before the root namespace's. Of one
/// namespace an exact host comes before a wildcard, and the oldest rule decides the policy.
pub(crate) fn rules_for<'a>(
    world: &'a World,
    rules: &[(&'a Object, &'a DestinationRule)],
    host: &str,
    service_namespace: &str,
    caller_namespace: &str,
) -> Option<HostRules<'a>> {
    let root = world.settings().root_namespace.as_str();
    for namespace in [caller_namespace, service_namespace, root] {
        let mut here: Vec<_> = rules
            .iter()
            .filter(|(object, _)| object.key.namespace == namespace)
            .filter_map(|(object, rule)| {
                let pattern = world.resolve(&rule.host.value, namespace);
                covers(&pattern, host).then_some((pattern.starts_with('*'), *object, *rule))
            })
            .collect();
        here.sort_by_key(|(wildcard, _, _)| *wildcard);
        let Some((wildcard, object, first)) = here.first().copied() else { continue };
        let mut subsets: Vec<&Subset> = Vec::new();
        for (_, _, rule) in here.iter().filter(|(other, _, _)| *other == wildcard) {
            for subset in &rule.subsets {
                if !subsets.iter().any(|known| known.name == subset.name) {
                    subsets.push(subset);
                }
            }
        }
        return Some(HostRules { object, policy: &first.policy, subsets });
    }
    None
}

/// What a workload's port takes: workload policy, then namespace, then mesh, then the mesh's default.
pub(crate) fn mtls_mode(world: &World, namespace: &str, labels: &Labels, port: u16) -> MtlsMode {
    let policies = world.peer_authentications();
    let root = world.settings().root_namespace.as_str();
    let selecting = policies.iter().find(|(object, policy)| {
        object.key.namespace == namespace && policy.selector.as_ref().is_some_and(|s| !s.is_empty() && s.select(labels))
    });
    let whole = |wanted: &str| {
        let found = policies.iter().find(|(object, policy)| {
            object.key.namespace == wanted && policy.selector.as_ref().is_none_or(Labels::is_empty)
        });
        found.map(|(_, policy)| policy.mtls)
    };
    let default = if world.settings().strict_mtls { MtlsMode::Strict } else { MtlsMode::Permissive };
    let by_port = selecting.and_then(|(_, policy)| policy.ports.get(&port).copied());
    [by_port, selecting.map(|(_, policy)| policy.mtls), whole(namespace), whole(root)]
        .into_iter()
        .flatten()
        .find(|mode| *mode != MtlsMode::Unset)
        .unwrap_or(default)
}
