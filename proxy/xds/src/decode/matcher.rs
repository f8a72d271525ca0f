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
    let built = RegexBuilder::new(&ascii_classes(pattern)).size_limit(REGEX_SIZE).build();
    built.or_else(|error| refuse("regex", format!("{shown:?} cannot be used: {error}")))
}

/// `\d`, `\w`, `\s` and `\b` know ASCII alone in RE2, and all of Unicode in this crate's library. Inside of brackets
/// a class in brackets is a part of it.
fn ascii_classes(pattern: &str) -> String {
    let mut ascii = String::with_capacity(pattern.len());
    let mut in_class = false;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match (chars.next(), in_class) {
                (Some('d'), _) => ascii.push_str("[0-9]"),
                (Some('D'), _) => ascii.push_str("[^0-9]"),
                (Some('w'), _) => ascii.push_str("[0-9A-Za-z_]"),
                (Some('W'), _) => ascii.push_str("[^0-9A-Za-z_]"),
                (Some('s'), _) => ascii.push_str(r"[\t\n\f\r ]"),
                (Some('S'), _) => ascii.push_str(r"[^\t\n\f\r ]"),
                (Some('b'), false) => ascii.push_str(r"(?-u:\b)"),
                (escaped, _) => {
                    ascii.push(c);
                    ascii.extend(escaped);
                }
            },
            _ => {
                in_class = if in_class { c != ']' } else { c == '[' };
                ascii.push(c);
            }
        }
    }
    ascii
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_mean_what_they_mean_to_re2() {
        for (pattern, taken, not_taken) in [
            (
                r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s?#]+$",
                vec!["https://a.io", "ws://[::1]:80"],
                vec!["https://a b", "//a"],
            ),
            (r"/v\d+", vec!["/v1", "/v12"], vec!["/v", "/v\u{663}"]),
            (r"\w+", vec!["a_1"], vec!["\u{e9}"]),
            (r"[^\W\d]+", vec!["ab_"], vec!["a1", "a-"]),
            (r"(?i)abc", vec!["aBc"], vec!["abd"]),
            (r"a\\d\]", vec![r"a\d]"], vec!["a1]"]),
            (r".*\bfoo\b.*", vec!["a foo b"], vec!["afoo"]),
        ] {
            let regex = whole(pattern).unwrap();
            assert!(taken.iter().all(|text| regex.is_match(text)), "{pattern} {taken:?}");
            assert!(!not_taken.iter().any(|text| regex.is_match(text)), "{pattern} {not_taken:?}");
        }
        assert!(whole("(").is_err());
    }
}
