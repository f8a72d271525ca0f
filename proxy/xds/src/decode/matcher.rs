//! String, header and query matchers.

use envoy_types::pb::envoy::config::route::v3 as pb;
use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::query_parameter_matcher::QueryParameterMatchSpecifier;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher};
use orrery_core::matching::{HeaderMatch, QueryMatch, StringMatch, ValueMatch};
use regex::{Regex, RegexBuilder};

use super::{Result, refuse};

/// A compiled expression may take so many bytes.
const REGEX_SIZE: usize = 1 << 20;

/// An expression that must match the whole text, as RE2's full match.
pub(super) fn whole(regex: &str) -> Result<Regex> {
    compile(&format!("^(?:{regex})$"), regex)
}

/// An expression that may match a part.
pub(super) fn part(regex: &RegexMatcher) -> Result<Regex> {
    compile(&regex.regex, &regex.regex)
}

fn compile(pattern: &str, shown: &str) -> Result<Regex> {
    let built = RegexBuilder::new(pattern).size_limit(REGEX_SIZE).build();
    built.or_else(|error| refuse("regex", format!("{shown:?} cannot be used: {error}")))
}

pub(super) fn string(matcher: StringMatcher) -> Result<StringMatch> {
    let ignore_case = matcher.ignore_case;
    Ok(match matcher.match_pattern {
        Some(MatchPattern::Exact(value)) => StringMatch::Exact { value: value.into(), ignore_case },
        Some(MatchPattern::Prefix(value)) => StringMatch::Prefix { value: value.into(), ignore_case },
        Some(MatchPattern::Suffix(value)) => StringMatch::Suffix { value: value.into(), ignore_case },
        Some(MatchPattern::Contains(value)) => StringMatch::Contains { value: value.into(), ignore_case },
        Some(MatchPattern::SafeRegex(regex)) => StringMatch::Regex(whole(&regex.regex)?),
        Some(MatchPattern::Custom(_)) => return refuse("custom", "this proxy does not support it"),
        None => return refuse("match_pattern", "it is missing"),
    })
}

pub(super) fn header(matcher: pb::HeaderMatcher) -> Result<HeaderMatch> {
    let exact = |value: String| StringMatch::Exact { value: value.into(), ignore_case: false };
    let condition = match matcher.header_match_specifier {
        None => ValueMatch::Present(true),
        Some(HeaderMatchSpecifier::PresentMatch(present)) => ValueMatch::Present(present),
        Some(HeaderMatchSpecifier::ExactMatch(value)) => ValueMatch::Value(exact(value)),
        Some(HeaderMatchSpecifier::StringMatch(matcher)) => ValueMatch::Value(string(matcher)?),
        Some(HeaderMatchSpecifier::SafeRegexMatch(regex)) => {
            ValueMatch::Value(StringMatch::Regex(whole(&regex.regex)?))
        }
        Some(HeaderMatchSpecifier::RangeMatch(range)) => ValueMatch::Range { start: range.start, end: range.end },
        Some(HeaderMatchSpecifier::PrefixMatch(value)) => {
            ValueMatch::Value(StringMatch::Prefix { value: value.into(), ignore_case: false })
        }
        Some(HeaderMatchSpecifier::SuffixMatch(value)) => {
            ValueMatch::Value(StringMatch::Suffix { value: value.into(), ignore_case: false })
        }
        Some(HeaderMatchSpecifier::ContainsMatch(value)) => {
            ValueMatch::Value(StringMatch::Contains { value: value.into(), ignore_case: false })
        }
    };
    Ok(HeaderMatch {
        name: matcher.name.to_ascii_lowercase().into(),
        condition,
        invert: matcher.invert_match,
        missing_as_empty: matcher.treat_missing_header_as_empty,
    })
}

pub(super) fn query(matcher: pb::QueryParameterMatcher) -> Result<QueryMatch> {
    let condition = match matcher.query_parameter_match_specifier {
        None => ValueMatch::Present(true),
        Some(QueryParameterMatchSpecifier::PresentMatch(present)) => ValueMatch::Present(present),
        Some(QueryParameterMatchSpecifier::StringMatch(matcher)) => ValueMatch::Value(string(matcher)?),
    };
    Ok(QueryMatch { name: matcher.name.into(), condition })
}
