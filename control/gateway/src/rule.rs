//! DestinationRules of policies: one for each host, of each part the oldest policy's.

use std::collections::BTreeMap;

use orrery_api::gateway_api::{BackendTlsPolicy, BackendTrafficPolicy, SubjectAltName};
use orrery_api::{
    ClientTls, ClientTlsMode, DestinationRule, ExportTo, Key, Kind, Object, PortPolicy, RetryBudget, TrafficPolicy,
};

use crate::backend::located;
use crate::gateway::DERIVED;
use crate::sources::age;

/// Of the retries under way where a policy does not say it (the CRD's default).
const RETRY_PERCENT: f64 = 20.0;

/// A derived DestinationRule.
#[derive(Debug)]
pub(crate) struct DerivedRule {
    pub(crate) key: Key,
    pub(crate) created: String,
    /// Policies that it was made of.
    pub(crate) parents: Vec<Key>,
    pub(crate) rule: DestinationRule,
}

/// What of a policy is for one host.
pub(crate) struct Piece<'a> {
    pub(crate) object: &'a Object,
    /// For one port, or for all.
    pub(crate) tls: Option<(Option<u16>, ClientTls)>,
    pub(crate) retry: Option<RetryBudget>,
}

/// Pieces by namespace, name of the rule, and host.
pub(crate) type Pieces<'a> = BTreeMap<(String, String, String), Vec<Piece<'a>>>;

/// What a BackendTLSPolicy says of connections.
pub(crate) fn client_tls(policy: &BackendTlsPolicy, credential_name: String) -> ClientTls {
    let names = policy.subject_alt_names.iter().map(|name| match name {
        SubjectAltName::Hostname(name) | SubjectAltName::Uri(name) => name.clone(),
    });
    ClientTls {
        mode: ClientTlsMode::Simple,
        client_certificate: String::new(),
        private_key: String::new(),
        ca_certificates: String::new(),
        credential_name,
        subject_alt_names: names.collect(),
        sni: policy.hostname.clone(),
        insecure_skip_verify: false,
    }
}

/// What an XBackendTrafficPolicy says of retries.
pub(crate) fn retry_budget(policy: &BackendTrafficPolicy) -> Option<RetryBudget> {
    policy.retry.map(|retry| RetryBudget {
        percent: retry.percent.map_or(RETRY_PERCENT, f64::from),
        min_concurrency: retry.least,
        interval: Some(retry.interval),
    })
}

/// The name of the rule for a host of a target.
pub(crate) fn rule_name(target: &Key, host: &str) -> String {
    match target.kind {
        Kind::ServiceEntry => format!("{}~{}~{DERIVED}", target.name, host.replace('.', "-")),
        _ => format!("{}~{DERIVED}", target.name),
    }
}

/// One rule of all policies for a host: of each part the oldest policy's.
pub(crate) fn merged(namespace: String, name: String, host: &str, mut pieces: Vec<Piece<'_>>) -> DerivedRule {
    pieces.sort_by(|one, other| age(one.object).cmp(&age(other.object)));
    let mut policy = TrafficPolicy::default();
    let mut ports: BTreeMap<u16, ClientTls> = BTreeMap::new();
    let mut parents: Vec<Key> = Vec::new();
    for piece in &pieces {
        match &piece.tls {
            Some((Some(port), tls)) => {
                ports.entry(*port).or_insert_with(|| tls.clone());
            }
            Some((None, tls)) if policy.tls.is_none() => policy.tls = Some(tls.clone()),
            Some((None, _)) | None => {}
        }
        policy.retry_budget = policy.retry_budget.or(piece.retry);
        if !parents.contains(&piece.object.key) {
            parents.push(piece.object.key.clone());
        }
    }
    let at_port =
        |(port, tls)| PortPolicy { port, policy: TrafficPolicy { tls: Some(tls), ..TrafficPolicy::default() } };
    policy.ports = ports.into_iter().map(at_port).collect();
    let created = pieces.first().map(|piece| piece.object.meta.created.clone()).unwrap_or_default();
    let rule =
        DestinationRule { host: located(host.to_owned()), policy, subsets: Vec::new(), export_to: ExportTo::All };
    DerivedRule { key: Key { kind: Kind::DestinationRule, namespace, name }, created, parents, rule }
}
