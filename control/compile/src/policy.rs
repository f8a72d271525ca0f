//! Which policies hold: destination rules for a host, peer authentication for a workload's port.

use orrery_api::{DestinationRule, Key, Labels, MtlsMode, Object, Subset, TrafficPolicy};

use crate::world::World;

/// The rules for a host, merged: policy of the first that has one, subsets of all.
#[derive(Clone, Debug)]
pub(crate) struct HostRules<'a> {
    /// All of them, the first first.
    pub(crate) keys: Vec<&'a Key>,
    pub(crate) object: &'a Object,
    pub(crate) policy: Option<&'a TrafficPolicy>,
    pub(crate) subsets: Vec<&'a Subset>,
    /// They are for this client alone.
    pub(crate) selected: bool,
}

/// Who asks for the rules of a host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client<'a> {
    pub(crate) namespace: &'a str,
    /// `None`: any client of the namespace, whose labels nobody knows.
    pub(crate) labels: Option<&'a Labels>,
}

type Rule<'a> = (&'a Object, &'a DestinationRule);

/// Rules of the client's namespace come before those of the service's, and those before the root namespace's. Of one
/// namespace the most specific host counts; of its rules those that select the client come before those for all, and
/// the oldest that has a policy decides it.
pub(crate) fn rules_for<'a>(
    world: &'a World,
    host: &str,
    service_namespace: &str,
    client: Client<'_>,
) -> Option<HostRules<'a>> {
    let root = world.settings().root_namespace.as_str();
    [client.namespace, service_namespace, root].into_iter().find_map(|namespace| {
        let rules: Vec<Rule<'a>> = most_specific(world, host, namespace, client);
        HostRules::merged(&rules)
    })
}

/// Rules of a namespace that hold for the client, for the narrowest host that has any; the narrowest selectors first.
fn most_specific<'a>(world: &'a World, host: &str, namespace: &str, client: Client<'_>) -> Vec<Rule<'a>> {
    let index = &world.index().destination_rules;
    let default = &world.settings().export_to.destination_rules;
    let holds = |(object, rule): &Rule<'a>| match (&rule.workload_selector, client.labels) {
        (Some(_), _) if object.key.namespace != client.namespace => false,
        (Some(selector), Some(labels)) => selector.select(labels),
        (Some(_), None) => true,
        (None, _) => rule.export_to.or(default).includes(&object.key.namespace, client.namespace),
    };
    let here = |keys: &mut dyn Iterator<Item = &'a Key>| -> Vec<Rule<'a>> {
        let rules = keys.filter(|key| key.namespace == namespace).filter_map(|key| world.destination_rule(key));
        rules.filter(holds).collect()
    };
    let mut found = here(&mut index.exactly(host));
    if found.is_empty() {
        found = here(&mut index.by_pattern(host));
        let longest = found.iter().map(|(_, rule)| rule.host.value.len()).max();
        found.retain(|(_, rule)| Some(rule.host.value.len()) == longest);
    }
    // A stable sort: what is older stays first among equals.
    found.sort_by_key(|(_, rule)| std::cmp::Reverse(rule.workload_selector.as_ref().map(|selector| selector.0.len())));
    found
}

impl<'a> HostRules<'a> {
    /// Rules that were found before, by their keys.
    pub(crate) fn of_keys(world: &'a World, keys: &[Key]) -> Option<Self> {
        let rules: Vec<_> = keys.iter().filter_map(|key| world.destination_rule(key)).collect();
        Self::merged(&rules)
    }

    fn merged(rules: &[Rule<'a>]) -> Option<Self> {
        let (object, first) = rules.first().copied()?;
        let mut subsets: Vec<&Subset> = Vec::new();
        for subset in rules.iter().flat_map(|(_, rule)| &rule.subsets) {
            if !subsets.iter().any(|known| known.name == subset.name) {
                subsets.push(subset);
            }
        }
        let keys = rules.iter().map(|(object, _)| &object.key).collect();
        let policy = rules.iter().find_map(|(_, rule)| rule.policy.as_ref());
        Some(Self { keys, object, policy, subsets, selected: first.workload_selector.is_some() })
    }

    /// All policies that are said.
    pub(crate) fn policies(&self) -> impl Iterator<Item = &TrafficPolicy> {
        let said = self.policy.into_iter().chain(self.subsets.iter().filter_map(|subset| subset.policy.as_ref()));
        said.flat_map(|policy| std::iter::once(policy).chain(policy.ports.iter().map(|port| &port.policy)))
    }
}

impl HostRules<'_> {
    /// How a port of a subset is called (without a subset: of the host). A subset's settings come before the host's; those
    /// of a port replace the ones around them whole.
    pub(crate) fn effective(&self, subset: Option<&TrafficPolicy>, port: u16) -> TrafficPolicy {
        let mut policy = self.policy.map(|policy| at_port(policy, port).0).unwrap_or_default();
        let Some((narrow, replaces)) = subset.map(|policy| at_port(policy, port)) else { return policy };
        fn choose<T>(narrow: Option<T>, wide: &mut Option<T>, replaces: bool) {
            if narrow.is_some() || replaces {
                *wide = narrow;
            }
        }
        choose(narrow.connection_pool, &mut policy.connection_pool, replaces);
        choose(narrow.outlier_detection, &mut policy.outlier_detection, replaces);
        choose(narrow.load_balancer, &mut policy.load_balancer, replaces);
        choose(narrow.tls, &mut policy.tls, replaces);
        choose(narrow.tunnel, &mut policy.tunnel, false);
        choose(narrow.proxy_protocol, &mut policy.proxy_protocol, false);
        choose(narrow.retry_budget, &mut policy.retry_budget, false);
        policy
    }
}

/// The settings of a port, and whether they are its own.
fn at_port(policy: &TrafficPolicy, port: u16) -> (TrafficPolicy, bool) {
    match policy.ports.iter().find(|one| one.port == port) {
        Some(own) => (own.policy.clone(), true),
        None => (TrafficPolicy { ports: Vec::new(), ..policy.clone() }, false),
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
