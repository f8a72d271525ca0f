//! Rules of GRPCRoutes as Istio's HTTP routes: a call's path is `/service/method`.

use orrery_api::gateway_api::{GrpcMatch, GrpcMethod, GrpcRule, HttpFilter, MatchType};
use orrery_api::{self as api, StringMatch};

use crate::backend::Caller;
use crate::condition::Fault;
use crate::destinations::{Split, destinations, for_each_match};
use crate::filter::{Applied, apply};
use crate::http::values;
use crate::outcome::Converted;

/// The routes of a rule: one for each of its matches, or one that matches everything.
pub(crate) fn routes(caller: &Caller<'_>, rule: &GrpcRule, position: usize) -> Vec<Converted<api::HttpRoute>> {
    match route(caller, rule, position) {
        Ok((routes, fault)) => for_each_match(&routes, rule.matches.iter().map(http_match).collect(), fault.as_ref()),
        Err(fault) => vec![Err(fault)],
    }
}

fn route(caller: &Caller<'_>, rule: &GrpcRule, position: usize) -> Result<(Vec<api::HttpRoute>, Option<Fault>), Fault> {
    if let Some(kind) = rule.filters.iter().find_map(foreign) {
        return Err(Fault::new("InvalidFilter", format!("gRPC rules have no filter {kind}")));
    }
    let Applied { mut route, fault } = apply(caller, &rule.filters, api::HttpRoute::default())?;
    if let Some(fault) = fault {
        return Err(fault);
    }
    let key = &caller.route.key;
    route.name = rule.name.clone().unwrap_or_else(|| format!("{}.{}.{position}", key.namespace, key.name));
    let Split { routes, fault } = destinations(caller, &rule.backends, &route)?;
    Ok((routes, fault))
}

/// Filters that HTTPRoutes alone have.
fn foreign(filter: &HttpFilter) -> Option<&'static str> {
    match filter {
        HttpFilter::Redirect(_) => Some("RequestRedirect"),
        HttpFilter::Rewrite(_) => Some("URLRewrite"),
        HttpFilter::Cors(_) => Some("CORS"),
        HttpFilter::RequestHeaders(_)
        | HttpFilter::ResponseHeaders(_)
        | HttpFilter::Mirror(_)
        | HttpFilter::Extension(_)
        | HttpFilter::Unknown(_) => None,
    }
}

fn http_match(wanted: &GrpcMatch) -> api::HttpMatch {
    api::HttpMatch {
        uri: wanted.method.as_ref().map(uri),
        headers: values(&wanted.headers),
        ..api::HttpMatch::default()
    }
}

fn uri(method: &GrpcMethod) -> StringMatch {
    match (method.kind, &method.service, &method.method) {
        (MatchType::Exact, Some(service), Some(method)) => StringMatch::Exact(format!("/{service}/{method}")),
        (MatchType::Exact, Some(service), None) => StringMatch::Prefix(format!("/{service}/")),
        (MatchType::RegularExpression, Some(service), Some(method)) => {
            StringMatch::Regex(format!("/{service}/{method}"))
        }
        (MatchType::RegularExpression, Some(service), None) => StringMatch::Regex(format!("/{service}/.+")),
        (_, None, Some(method)) => StringMatch::Regex(format!("/[^/]+/{method}")),
        (_, None, None) => StringMatch::Prefix("/".to_owned()),
    }
}
