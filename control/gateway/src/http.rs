//! Rules of HTTPRoutes as Istio's HTTP routes.

use std::collections::BTreeMap;

use orrery_api::gateway_api::{HttpMatch, HttpRetry, HttpRule, HttpTimeouts, MatchType, PathMatch, ValueMatch};
use orrery_api::{self as api, Retries, StringMatch};

use crate::backend::Caller;
use crate::condition::Fault;
use crate::destinations::{Split, destinations, for_each_match};
use crate::filter::{Applied, apply};
use crate::outcome::Converted;

/// What is tried again unless a rule says more: connections that failed, and calls that the backend did not take.
const RETRY_ON: &str = "connect-failure,refused-stream,unavailable,cancelled";
/// How often, where a rule does not say it.
const ATTEMPTS: u32 = 2;

/// The routes of a rule: one for each of its matches, or one that matches everything.
pub(crate) fn routes(caller: &Caller<'_>, rule: &HttpRule, position: usize) -> Vec<Converted<api::HttpRoute>> {
    match route(caller, rule, position) {
        Ok((routes, fault)) => for_each_match(&routes, rule.matches.iter().map(http_match).collect(), fault.as_ref()),
        Err(fault) => vec![Err(fault)],
    }
}

/// Without its matches; several where backends differ in what is changed for them.
fn route(caller: &Caller<'_>, rule: &HttpRule, position: usize) -> Result<(Vec<api::HttpRoute>, Option<Fault>), Fault> {
    let Applied { mut route, fault } = apply(caller, &rule.filters, api::HttpRoute::default())?;
    let key = &caller.route.key;
    route.name = rule.name.clone().unwrap_or_else(|| format!("{}.{}.{position}", key.namespace, key.name));
    route.retries = rule.retry.as_ref().map(retries);
    timeouts(rule.timeouts, &mut route);
    if route.redirect.is_some() && rule.backends.is_empty() {
        return Ok((vec![route], fault));
    }
    let Split { routes, fault: backends } = destinations(caller, &rule.backends, &route)?;
    Ok((routes, fault.or(backends)))
}

fn retries(retry: &HttpRetry) -> Retries {
    let attempts = retry.attempts.unwrap_or(ATTEMPTS);
    let codes: String = retry.codes.iter().map(|code| format!(",{code}")).collect();
    Retries {
        attempts,
        retry_on: Some(if attempts == 0 { String::new() } else { format!("{RETRY_ON}{codes}") }),
        backoff: retry.backoff,
        ..Retries::default()
    }
}

fn timeouts(timeouts: HttpTimeouts, route: &mut api::HttpRoute) {
    route.timeout = timeouts.request.filter(|timeout| !timeout.is_zero());
    let Some(one_try) = timeouts.backend_request.filter(|timeout| !timeout.is_zero()) else { return };
    match &mut route.retries {
        Some(retries) => retries.per_try_timeout = Some(one_try),
        // The only try is the whole.
        None => route.timeout = Some(one_try),
    }
}

fn http_match(wanted: &HttpMatch) -> api::HttpMatch {
    api::HttpMatch {
        uri: Some(uri(&wanted.path)),
        headers: values(&wanted.headers),
        query_params: values(&wanted.query_params),
        method: wanted.method.clone().map(StringMatch::Exact),
        ..api::HttpMatch::default()
    }
}

fn uri(path: &PathMatch) -> StringMatch {
    match path {
        PathMatch::Exact(path) => StringMatch::Exact(path.clone()),
        PathMatch::Prefix(path) if path == "/" => StringMatch::Prefix(path.clone()),
        PathMatch::Prefix(path) => StringMatch::Prefix(path.strip_suffix('/').unwrap_or(path).to_owned()),
        PathMatch::Regex(regex) => StringMatch::Regex(regex.clone()),
    }
}

pub(crate) fn values(wanted: &[ValueMatch]) -> BTreeMap<String, Option<StringMatch>> {
    let condition = |one: &ValueMatch| match one.kind {
        MatchType::Exact => StringMatch::Exact(one.value.clone()),
        MatchType::RegularExpression => StringMatch::Regex(one.value.clone()),
    };
    wanted.iter().map(|one| (one.name.clone(), Some(condition(one)))).collect()
}
