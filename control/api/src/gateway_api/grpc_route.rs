//! GRPCRoute.

use super::filter::{HttpFilter, filters};
use super::http_route::{HttpBackend, backends, rules};
use super::matching::{MatchType, ValueMatch, is_regex, match_type, values};
use super::name::{at_most, hosts, section};
use super::reference::{ParentReference, parents};
use crate::reader::{Fields, Reader};

/// A GRPCRoute.
#[derive(Clone, Debug, PartialEq)]
pub struct GrpcRoute {
    pub parents: Vec<ParentReference>,
    /// Empty: those of the listeners.
    pub hostnames: Vec<String>,
    pub rules: Vec<GrpcRule>,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GrpcRule {
    pub name: Option<String>,
    /// Any of these; empty matches everything.
    pub matches: Vec<GrpcMatch>,
    pub filters: Vec<HttpFilter>,
    pub backends: Vec<HttpBackend>,
}

/// Conditions that must all hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GrpcMatch {
    /// `None`: any method. One of service and method is there.
    pub method: Option<GrpcMethod>,
    pub headers: Vec<ValueMatch>,
}

/// Service and method, each exact or an expression.
#[derive(Clone, Debug, PartialEq)]
pub struct GrpcMethod {
    pub kind: MatchType,
    pub service: Option<String>,
    pub method: Option<String>,
}

pub(crate) fn read_grpc(spec: Fields<'_>) -> Option<GrpcRoute> {
    let rules = rules(&spec, rule).unwrap_or_default();
    let route = GrpcRoute { parents: parents(&spec), hostnames: hosts(&spec), rules };
    spec.not_supported(&["useDefaultGateways"]);
    spec.finish(&["parentRefs", "hostnames", "rules", "useDefaultGateways"]);
    Some(route)
}

fn rule(reader: &Reader<'_>) -> Option<GrpcRule> {
    let fields = reader.fields()?;
    let matches = fields.list("matches");
    at_most(&fields, "matches", matches.len(), 64);
    let rule = GrpcRule {
        name: section(&fields, "name"),
        matches: matches.iter().filter_map(grpc_match).collect(),
        filters: filters(&fields),
        backends: backends(&fields),
    };
    fields.not_supported(&["sessionPersistence"]);
    fields.finish(&["name", "matches", "filters", "backendRefs", "sessionPersistence"]);
    Some(rule)
}

fn grpc_match(reader: &Reader<'_>) -> Option<GrpcMatch> {
    let fields = reader.fields()?;
    let method = fields.take("method").and_then(|method| grpc_method(&method));
    let headers = values(&fields, "headers");
    fields.finish(&["method", "headers"]);
    Some(GrpcMatch { method, headers })
}

fn grpc_method(reader: &Reader<'_>) -> Option<GrpcMethod> {
    let fields = reader.fields()?;
    let kind = match_type(&fields);
    let part = |name: &str| {
        let value = fields.take(name)?;
        let text = value.text()?;
        let fine = match kind {
            MatchType::Exact => !text.contains('/'),
            MatchType::RegularExpression => is_regex(&value, &text),
        };
        if !fine && kind == MatchType::Exact {
            value.report(format!("{text:?} has a /: services and methods have none"), "");
        }
        fine.then_some(text)
    };
    let (service, method) = (part("service"), part("method"));
    if service.is_none() && method.is_none() {
        reader.report("one of service and method is expected", "");
    }
    fields.finish(&["type", "service", "method"]);
    (service.is_some() || method.is_some()).then_some(GrpcMethod { kind, service, method })
}
