//! HTTPRoute.

use std::time::Duration;

use super::filter::{HttpFilter, filters};
use super::matching::{HttpMatch, http_match};
use super::name::{at_most, hosts, section};
use super::reference::{self, BackendReference, ParentReference, parents};
use crate::reader::{Fields, Reader};

/// An HTTPRoute.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpRoute {
    pub parents: Vec<ParentReference>,
    /// Empty: those of the listeners.
    pub hostnames: Vec<String>,
    pub rules: Vec<HttpRule>,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpRule {
    pub name: Option<String>,
    /// Any of these; empty matches everything.
    pub matches: Vec<HttpMatch>,
    pub filters: Vec<HttpFilter>,
    pub backends: Vec<HttpBackend>,
    pub timeouts: HttpTimeouts,
    pub retry: Option<HttpRetry>,
}

/// A share of the calls, and what is changed for them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpBackend {
    pub backend: BackendReference,
    pub filters: Vec<HttpFilter>,
}

/// Times after which a call is given up; 0: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpTimeouts {
    /// The whole, with all tries.
    pub request: Option<Duration>,
    /// One try.
    pub backend_request: Option<Duration>,
}

/// When and how often a call is tried again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpRetry {
    /// Statuses that are tried again.
    pub codes: Vec<u16>,
    pub attempts: Option<u32>,
    /// Least time between tries.
    pub backoff: Option<Duration>,
}

/// Most rules of a route.
pub(super) const RULES: usize = 16;

pub(crate) fn read_http(spec: Fields<'_>) -> Option<HttpRoute> {
    let rules = rules(&spec, rule).unwrap_or_else(|| vec![HttpRule::default()]);
    let route = HttpRoute { parents: parents(&spec), hostnames: hosts(&spec), rules };
    spec.not_supported(&["useDefaultGateways"]);
    spec.finish(&["parentRefs", "hostnames", "rules", "useDefaultGateways"]);
    Some(route)
}

/// The rules of a route; `None` when it names none.
pub(super) fn rules<T>(spec: &Fields<'_>, rule: fn(&Reader<'_>) -> Option<T>) -> Option<Vec<T>> {
    let list = spec.take("rules")?.list();
    at_most(spec, "rules", list.len(), RULES);
    Some(list.iter().filter_map(rule).collect())
}

fn rule(reader: &Reader<'_>) -> Option<HttpRule> {
    let fields = reader.fields()?;
    let matches = fields.list("matches");
    at_most(&fields, "matches", matches.len(), 64);
    let rule = HttpRule {
        name: section(&fields, "name"),
        matches: matches.iter().filter_map(http_match).collect(),
        filters: filters(&fields),
        backends: backends(&fields),
        timeouts: fields.take("timeouts").and_then(|one| timeouts(&one)).unwrap_or_default(),
        retry: fields.take("retry").and_then(|one| retry(&one)),
    };
    let redirects = rule.filters.iter().any(|filter| matches!(filter, HttpFilter::Redirect(_)));
    if redirects && !rule.backends.is_empty() {
        fields.report("a rule that redirects has no backendRefs", "");
    }
    if redirects && rule.filters.iter().any(|filter| matches!(filter, HttpFilter::Rewrite(_))) {
        fields.report("RequestRedirect and URLRewrite exclude each other in a rule", "");
    }
    fields.not_supported(&["sessionPersistence"]);
    fields.finish(&["name", "matches", "filters", "backendRefs", "timeouts", "retry", "sessionPersistence"]);
    Some(rule)
}

/// The `backendRefs` of an HTTP or gRPC rule.
pub(super) fn backends(fields: &Fields<'_>) -> Vec<HttpBackend> {
    let list = fields.list("backendRefs");
    at_most(fields, "backendRefs", list.len(), 16);
    list.iter().filter_map(backend).collect()
}

fn backend(reader: &Reader<'_>) -> Option<HttpBackend> {
    let fields = reader.fields()?;
    let backend = reference::backend(&fields);
    let filters = filters(&fields);
    fields.finish(&["group", "kind", "name", "namespace", "port", "weight", "filters"]);
    Some(HttpBackend { backend: backend?, filters })
}

fn timeouts(reader: &Reader<'_>) -> Option<HttpTimeouts> {
    let fields = reader.fields()?;
    let timeouts =
        HttpTimeouts { request: fields.duration("request"), backend_request: fields.duration("backendRequest") };
    if let (Some(request), Some(backend)) = (timeouts.request, timeouts.backend_request)
        && !request.is_zero()
        && backend > request
    {
        fields.report("backendRequest is longer than request", "one try cannot take longer than the whole");
    }
    fields.finish(&["request", "backendRequest"]);
    Some(timeouts)
}

fn retry(reader: &Reader<'_>) -> Option<HttpRetry> {
    let fields = reader.fields()?;
    let codes = fields.list("codes");
    let retry = HttpRetry {
        codes: codes
            .iter()
            .filter_map(|code| code.number(400, 599).and_then(|code| u16::try_from(code).ok()))
            .collect(),
        attempts: fields
            .take("attempts")
            .and_then(|attempts| attempts.number(0, 100))
            .and_then(|attempts| u32::try_from(attempts).ok()),
        backoff: fields.duration("backoff"),
    };
    fields.finish(&["codes", "attempts", "backoff"]);
    Some(retry)
}
