//! BackendTLSPolicies and XBackendTrafficPolicies: the DestinationRules that they come to, and what their status says.

use std::collections::{BTreeMap, BTreeSet};

use orrery_api::gateway_api::{
    BackendTlsPolicy, BackendTrafficPolicy, ObjectReference, PolicyTarget, WellKnownCertificates,
};
use orrery_api::{Key, Kind, Object, Spec};

use crate::class::Controller;
use crate::condition::{Condition, Fault};
use crate::gateway::DERIVED;
use crate::rule::{DerivedRule, Piece, Pieces, client_tls, merged, retry_budget, rule_name};
use crate::sources::{Sources, age};

/// Leaves a policy without effect.
const IGNORED: &str = "istio.io/ignore-policy-attachment";
/// A credential that nobody has: calls fail rather than go unverified.
const NO_CREDENTIAL: &str = "invalid://";

/// The Gateways whose routes call a Service or ServiceEntry.
pub(crate) type Callers = BTreeMap<Key, BTreeSet<(Key, Controller)>>;

/// All policies of backends.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    pub(crate) reports: BTreeMap<Key, PolicyReport>,
    pub(crate) derived: Vec<DerivedRule>,
}

/// What status says of a policy.
#[derive(Debug, Default)]
pub(crate) struct PolicyReport {
    pub(crate) targets: Vec<(PolicyTarget, Vec<Condition>)>,
    /// Gateways whose routes call the targets, and the conditions that they see.
    pub(crate) gateways: BTreeSet<(Key, Controller)>,
    pub(crate) at_gateways: Vec<Condition>,
}

impl PolicyReport {
    /// Gateways whose routes call the targets.
    pub(crate) fn callers(&self) -> impl Iterator<Item = (&Key, Controller, &[Condition])> {
        self.gateways.iter().map(|(key, controller)| (key, *controller, self.at_gateways.as_slice()))
    }
}

/// A target that is there, with its hosts and named ports.
struct Target {
    key: Key,
    hosts: Vec<String>,
    ports: Vec<(String, u16)>,
}

impl Policies {
    pub(crate) fn of(sources: Sources<'_>, callers: &Callers) -> Self {
        let mut policies = Self::default();
        let mut pieces: Pieces<'_> = BTreeMap::new();
        let all = sources.of_kind(Kind::BackendTlsPolicy);
        for object in &all {
            if let Spec::BackendTlsPolicy(policy) = &object.spec {
                policies.tls(sources, callers, object, policy, &all, &mut pieces);
            }
        }
        for object in sources.of_kind(Kind::BackendTrafficPolicy) {
            if let Spec::BackendTrafficPolicy(policy) = &object.spec {
                policies.traffic(sources, object, policy, &mut pieces);
            }
        }
        for ((namespace, name, host), pieces) in pieces {
            policies.derived.push(merged(namespace, name, &host, pieces));
        }
        policies
    }

    fn tls<'a>(
        &mut self,
        sources: Sources<'_>,
        callers: &Callers,
        object: &'a Object,
        policy: &BackendTlsPolicy,
        all: &[&Object],
        pieces: &mut Pieces<'a>,
    ) {
        if is_ignored(object) {
            self.reports.insert(object.key.clone(), ignored(&policy.targets));
            return;
        }
        let mut conditions = vec![Condition::fine("Accepted", "it is valid")];
        let (credential, more) = credential(sources, &object.key.namespace, policy);
        conditions.extend(more);
        conditions = last_of_each(conditions);
        let tls = client_tls(policy, credential);
        let mut report = PolicyReport::default();
        let mut gateways = BTreeSet::new();
        for target in &policy.targets {
            let (fault, found) = match target_of(sources, &object.key.namespace, target) {
                Err(why) => (Some(Fault::new("TargetNotFound", why)), None),
                Ok(found) => {
                    let older = all.iter().find(|other| wins(other, object, target));
                    let conflict = older.map(|older| {
                        let message = format!("the policy {} is for the same, and comes before", older.key.name);
                        Fault::new("Conflicted", message)
                    });
                    (conflict, Some(found))
                }
            };
            if let (Some(found), None) = (&found, &fault) {
                let port = target.section_name.as_ref().and_then(|name| port_of(found, name));
                for host in &found.hosts {
                    let at = (object.key.namespace.clone(), rule_name(&found.key, host), host.clone());
                    let piece = Piece { object, tls: Some((port, tls.clone())), retry: None };
                    pieces.entry(at).or_default().push(piece);
                }
            }
            gateways.extend(found.iter().filter_map(|found| callers.get(&found.key)).flatten().cloned());
            let own = match &fault {
                None => conditions.clone(),
                Some(fault) => replaced(conditions.clone(), Condition::broken("Accepted", fault)),
            };
            report.targets.push((target.clone(), own));
        }
        // Gateways see what holds for the best of the targets.
        let best = report.targets.iter().find(|(_, own)| *own == conditions).or(report.targets.first());
        report.at_gateways = best.map(|(_, own)| own.clone()).unwrap_or(conditions);
        report.gateways = gateways;
        self.reports.insert(object.key.clone(), report);
    }

    fn traffic<'a>(
        &mut self,
        sources: Sources<'_>,
        object: &'a Object,
        policy: &BackendTrafficPolicy,
        pieces: &mut Pieces<'a>,
    ) {
        if is_ignored(object) {
            self.reports.insert(object.key.clone(), ignored(&policy.targets));
            return;
        }
        let retry = retry_budget(policy);
        let message = if policy.session_persistence { "it is valid; sessions do not persist" } else { "it is valid" };
        let mut report = PolicyReport::default();
        for target in &policy.targets {
            let found = target_of(sources, &object.key.namespace, target);
            let found = found.and_then(|found| match found.key.kind {
                Kind::Service => Ok(found),
                _ => Err(format!("the policy is for Services, not for a {}", target.kind)),
            });
            let fault = found.as_ref().err().map(|why| Fault::new("TargetNotFound", why.clone()));
            for host in found.iter().flat_map(|found| &found.hosts) {
                let at = (object.key.namespace.clone(), format!("{}~{DERIVED}", target.name), host.clone());
                pieces.entry(at).or_default().push(Piece { object, tls: None, retry });
            }
            report.targets.push((target.clone(), vec![Condition::unless("Accepted", fault.as_ref(), message)]));
        }
        self.reports.insert(object.key.clone(), report);
    }
}

fn is_ignored(object: &Object) -> bool {
    object.meta.annotations.get(IGNORED).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

fn ignored(targets: &[PolicyTarget]) -> PolicyReport {
    let fault = Fault::new("IgnoredByIstio", format!("the annotation {IGNORED} leaves it without effect"));
    let conditions = vec![Condition::broken("Accepted", &fault)];
    PolicyReport {
        targets: targets.iter().map(|target| (target.clone(), conditions.clone())).collect(),
        ..PolicyReport::default()
    }
}

/// The condition in the place of the one of its kind.
fn replaced(conditions: Vec<Condition>, new: Condition) -> Vec<Condition> {
    last_of_each(conditions.into_iter().chain([new]).collect())
}

fn last_of_each(conditions: Vec<Condition>) -> Vec<Condition> {
    let by_kind: BTreeMap<&'static str, Condition> =
        conditions.into_iter().map(|condition| (condition.kind, condition)).collect();
    by_kind.into_values().collect()
}

/// The credential with the roots of a policy, and what is to be said of it.
fn credential(sources: Sources<'_>, namespace: &str, policy: &BackendTlsPolicy) -> (String, Vec<Condition>) {
    let fine = Condition::fine("ResolvedRefs", "everything that it refers to is there");
    let Some(reference) = policy.roots.first() else {
        return match &policy.well_known {
            Some(WellKnownCertificates::Other(name)) => {
                let fault = Fault::new("Invalid", format!("there are no well-known certificates {name:?}"));
                (String::new(), vec![fine, Condition::broken("Accepted", &fault)])
            }
            Some(WellKnownCertificates::System) | None => (String::new(), vec![fine]),
        };
    };
    match roots(sources, namespace, reference) {
        Ok(credential) => (credential, vec![fine]),
        Err(fault) => {
            let accepted = Fault { reason: "NoValidCACertificate", ..fault.clone() };
            let conditions = vec![Condition::broken("ResolvedRefs", &fault), Condition::broken("Accepted", &accepted)];
            (NO_CREDENTIAL.to_owned(), conditions)
        }
    }
}

fn roots(sources: Sources<'_>, namespace: &str, reference: &ObjectReference) -> Result<String, Fault> {
    let shown = format!("{} {namespace}/{}", reference.kind, reference.name);
    if !reference.group.is_empty() || reference.kind != "ConfigMap" {
        return Err(Fault::new("InvalidKind", format!("roots are in a ConfigMap, not in a {shown}")));
    }
    let map = sources.config_map(namespace, &reference.name);
    let map = map.ok_or_else(|| Fault::new("InvalidCACertificateRef", format!("there is no {shown}")))?;
    match &map.roots {
        Ok(_) => Ok(format!("configmap://{namespace}/{}", reference.name)),
        Err(error) => Err(Fault::new("InvalidCACertificateRef", format!("{shown} has no roots: {error}"))),
    }
}

/// The Service or ServiceEntry that a policy is for, or why there is none.
fn target_of(sources: Sources<'_>, namespace: &str, target: &PolicyTarget) -> Result<Target, String> {
    let missing = || format!("there is no {} {namespace}/{}", target.kind, target.name);
    let key = |kind| Key { kind, namespace: namespace.to_owned(), name: target.name.clone() };
    let found = match (target.group.as_str(), target.kind.as_str()) {
        ("", "Service") => {
            let (_, service) = sources.service(namespace, &target.name).ok_or_else(missing)?;
            let ports = service.ports.iter().map(|port| (port.name.clone(), port.port)).collect();
            Target { key: key(Kind::Service), hosts: vec![sources.host(&target.name, namespace)], ports }
        }
        ("networking.istio.io", "ServiceEntry") => {
            let (_, entry) = sources.service_entry(namespace, &target.name).ok_or_else(missing)?;
            let ports = entry.ports.iter().map(|port| (port.name.clone(), port.number)).collect();
            let hosts = entry.hosts.iter().map(|host| host.value.clone()).collect();
            Target { key: key(Kind::ServiceEntry), hosts, ports }
        }
        (group, kind) => return Err(format!("a policy of backends is not for a {kind} of {group:?}")),
    };
    match &target.section_name {
        Some(name) if port_of(&found, name).is_none() => Err(format!("{} has no port {name}", target.name)),
        Some(_) | None => Ok(found),
    }
}

fn port_of(target: &Target, name: &str) -> Option<u16> {
    target.ports.iter().find(|(known, _)| known == name).map(|(_, port)| *port)
}

/// Whether another policy is for the same target, and comes before: it is older, or its name is.
fn wins(other: &Object, object: &Object, target: &PolicyTarget) -> bool {
    let Spec::BackendTlsPolicy(policy) = &other.spec else { return false };
    other.key != object.key
        && other.key.namespace == object.key.namespace
        && !is_ignored(other)
        && policy.targets.contains(target)
        && age(other) < age(object)
}
