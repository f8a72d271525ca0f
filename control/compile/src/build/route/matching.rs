//! Conditions of routes.

use envoy_types::pb::envoy::config::core::v3::RuntimeFractionalPercent;
use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::query_parameter_matcher::QueryParameterMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::{HeaderMatcher, QueryParameterMatcher, RouteMatch};
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher};
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::envoy::r#type::v3::fractional_percent::DenominatorType;
use orrery_api::{HttpMatch, RouteSemantics, StringMatch};

use crate::build::value::flag;

/// What a request must look like.
pub(super) fn route_match(one: &HttpMatch, semantics: RouteSemantics) -> RouteMatch {
    let mut headers = Vec::new();
    for (name, condition) in &one.headers {
        headers.push(header(name, condition.as_ref(), false));
    }
    for (name, condition) in &one.without_headers {
        headers.push(header(name, condition.as_ref(), true));
    }
    for (name, condition) in [(":method", &one.method), (":authority", &one.authority), (":scheme", &one.scheme)] {
        if let Some(condition) = condition {
            headers.push(header(name, Some(condition), false));
        }
    }
    let path = match &one.uri {
        None => PathSpecifier::Prefix("/".to_owned()),
        Some(StringMatch::Exact(path)) => PathSpecifier::Path(path.clone()),
        Some(StringMatch::Prefix(path)) => match semantics {
            RouteSemantics::GatewayApi if path != "/" => {
                PathSpecifier::PathSeparatedPrefix(path.strip_suffix('/').unwrap_or(path).to_owned())
            }
            RouteSemantics::GatewayApi | RouteSemantics::Istio => PathSpecifier::Prefix(path.clone()),
        },
        Some(StringMatch::Regex(pattern)) => PathSpecifier::SafeRegex(regex(pattern)),
    };
    let query = one.query_params.iter().map(|(name, condition)| QueryParameterMatcher {
        name: name.clone(),
        query_parameter_match_specifier: Some(match condition {
            None => QueryParameterMatchSpecifier::PresentMatch(true),
            Some(condition) => QueryParameterMatchSpecifier::StringMatch(string(condition)),
        }),
    });
    RouteMatch {
        path_specifier: Some(path),
        case_sensitive: flag(!one.ignore_uri_case),
        headers,
        query_parameters: query.collect(),
        ..Default::default()
    }
}

fn header(name: &str, condition: Option<&StringMatch>, invert: bool) -> HeaderMatcher {
    let specifier = match condition {
        None => HeaderMatchSpecifier::PresentMatch(true),
        Some(condition) => HeaderMatchSpecifier::StringMatch(string(condition)),
    };
    HeaderMatcher {
        name: name.to_owned(),
        header_match_specifier: Some(specifier),
        invert_match: invert,
        // A header that is not there has not the value either.
        treat_missing_header_as_empty: invert && condition.is_some(),
    }
}

pub(super) fn string(condition: &StringMatch) -> StringMatcher {
    let pattern = match condition {
        StringMatch::Exact(value) => MatchPattern::Exact(value.clone()),
        StringMatch::Prefix(value) => MatchPattern::Prefix(value.clone()),
        StringMatch::Regex(pattern) => MatchPattern::SafeRegex(regex(pattern)),
    };
    StringMatcher { match_pattern: Some(pattern), ..Default::default() }
}

pub(super) fn regex(pattern: &str) -> RegexMatcher {
    RegexMatcher { regex: pattern.to_owned(), ..Default::default() }
}

/// The share of requests, as parts of a whole, that a route takes.
pub(super) fn share((parts, whole): (u64, u64)) -> RuntimeFractionalPercent {
    let millionths = (parts.saturating_mul(1_000_000) / whole.max(1)).min(1_000_000);
    let value = FractionalPercent {
        numerator: u32::try_from(millionths).unwrap_or(1_000_000),
        denominator: DenominatorType::Million.into(),
    };
    RuntimeFractionalPercent { default_value: Some(value), ..Default::default() }
}

/// Requests of which only the path's beginning matters.
pub(super) fn prefix(value: &str) -> RouteMatch {
    RouteMatch { path_specifier: Some(PathSpecifier::Prefix(value.to_owned())), ..Default::default() }
}
