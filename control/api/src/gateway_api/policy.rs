//! BackendTLSPolicy, and the experimental XBackendTrafficPolicy: how backends are called.

use std::time::Duration;

use super::name::{Wildcard, at_most, host, section};
use super::reference::{self, ObjectReference};
use crate::reader::{Fields, Reader};

/// A BackendTLSPolicy: calls to the targets are made over TLS.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendTlsPolicy {
    pub targets: Vec<PolicyTarget>,
    /// Of the policy's own namespace.
    pub roots: Vec<ObjectReference>,
    pub well_known: Option<WellKnownCertificates>,
    /// The server name that is asked for, and that the certificate must be for unless there are other names.
    pub hostname: String,
    pub subject_alt_names: Vec<SubjectAltName>,
}

/// What a policy is for, of its own namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyTarget {
    pub group: String,
    pub kind: String,
    pub name: String,
    /// A port's name.
    pub section_name: Option<String>,
}

/// Roots that everybody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WellKnownCertificates {
    /// Those of the system.
    System,
    /// Of a vendor.
    Other(String),
}

/// A name that a certificate may be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectAltName {
    Hostname(String),
    Uri(String),
}

/// An XBackendTrafficPolicy (`gateway.networking.x-k8s.io`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BackendTrafficPolicy {
    pub targets: Vec<PolicyTarget>,
    pub retry: Option<RetryConstraint>,
    /// Asked for, and not given: its status says so.
    pub session_persistence: bool,
}

/// How much of the calls may be tries again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryConstraint {
    /// Of the calls of the interval.
    pub percent: Option<u32>,
    pub interval: Duration,
    /// Tries again that are always allowed in the interval.
    pub least: u32,
}

/// Most targets of a policy.
const TARGETS: usize = 16;

pub(crate) fn read_backend_tls_policy(spec: Fields<'_>) -> Option<BackendTlsPolicy> {
    let targets = targets(&spec);
    let validation = spec.require("validation").and_then(|one| one.fields());
    // Of vendors; there are none of ours.
    spec.take("options");
    spec.finish(&["targetRefs", "validation", "options"]);
    let validation = validation?;
    let roots = validation.list("caCertificateRefs");
    at_most(&validation, "caCertificateRefs", roots.len(), 8);
    let hostname = validation.require("hostname").and_then(|one| host(&one, Wildcard::Refused));
    let names = validation.list("subjectAltNames");
    at_most(&validation, "subjectAltNames", names.len(), 5);
    let policy = BackendTlsPolicy {
        targets,
        roots: roots.iter().filter_map(|one| reference::object(one, "", "")).collect(),
        well_known: validation.text("wellKnownCACertificates").map(|name| match name.as_str() {
            "System" => WellKnownCertificates::System,
            _ => WellKnownCertificates::Other(name),
        }),
        hostname: hostname.unwrap_or_default(),
        subject_alt_names: names.iter().filter_map(subject_alt_name).collect(),
    };
    match (policy.roots.is_empty(), policy.well_known.is_some()) {
        (true, false) => validation.report("one of caCertificateRefs and wellKnownCACertificates is expected", ""),
        (false, true) => validation.report("caCertificateRefs and wellKnownCACertificates exclude each other", ""),
        (true, true) | (false, false) => {}
    }
    validation.finish(&["caCertificateRefs", "wellKnownCACertificates", "hostname", "subjectAltNames"]);
    Some(policy)
}

pub(crate) fn read_backend_traffic_policy(spec: Fields<'_>) -> Option<BackendTrafficPolicy> {
    let policy = BackendTrafficPolicy {
        targets: targets(&spec),
        retry: spec.take("retryConstraint").and_then(|one| retry_constraint(&one)),
        session_persistence: spec.take("sessionPersistence").is_some(),
    };
    spec.finish(&["targetRefs", "retryConstraint", "sessionPersistence"]);
    Some(policy)
}

fn targets(spec: &Fields<'_>) -> Vec<PolicyTarget> {
    let list = spec.list("targetRefs");
    at_most(spec, "targetRefs", list.len(), TARGETS);
    if list.is_empty() {
        spec.report("targetRefs is missing or empty: the policy is for nothing", "");
    }
    list.iter().filter_map(target).collect()
}

fn target(reader: &Reader<'_>) -> Option<PolicyTarget> {
    let fields = reader.fields()?;
    let text = |name: &str| fields.require(name).and_then(|one| one.text());
    let (group, kind, name) = (text("group"), text("kind"), text("name"));
    let section_name = section(&fields, "sectionName");
    fields.finish(&["group", "kind", "name", "sectionName"]);
    Some(PolicyTarget { group: group?, kind: kind?, name: name?, section_name })
}

fn subject_alt_name(reader: &Reader<'_>) -> Option<SubjectAltName> {
    let fields = reader.fields()?;
    let kind = fields.require("type").and_then(|kind| kind.word(&[("Hostname", true), ("URI", false)]));
    let name = match kind? {
        true => fields.require("hostname").and_then(|one| host(&one, Wildcard::Allowed)).map(SubjectAltName::Hostname),
        false => fields.require("uri").and_then(|one| one.text()).map(SubjectAltName::Uri),
    };
    fields.finish(&["type", "hostname", "uri"]);
    name
}

fn retry_constraint(reader: &Reader<'_>) -> Option<RetryConstraint> {
    let fields = reader.fields()?;
    let budget = fields.fields("budget").map(|budget| {
        let percent = budget.take("percent").and_then(|percent| percent.number(0, 100));
        let interval = budget.duration("interval");
        budget.finish(&["percent", "interval"]);
        (percent.and_then(|percent| u32::try_from(percent).ok()), interval)
    });
    let least = fields.fields("minRetryRate").and_then(|rate| {
        let count = rate.count("count");
        rate.duration("interval");
        rate.finish(&["count", "interval"]);
        count
    });
    fields.finish(&["budget", "minRetryRate"]);
    let (percent, interval) = budget.unwrap_or_default();
    // The defaults are those of the CRD.
    Some(RetryConstraint { percent, interval: interval.unwrap_or(Duration::from_secs(10)), least: least.unwrap_or(10) })
}
