//! What a request is matched by: strings, headers and query parameters (Envoy `StringMatcher`, `HeaderMatcher`).

use std::borrow::Cow;

use http::{HeaderMap, Method};
use regex::Regex;

/// A condition on a string.
#[derive(Clone, Debug)]
pub enum StringMatch {
    Exact {
        value: Box<str>,
        ignore_case: bool,
    },
    Prefix {
        value: Box<str>,
        ignore_case: bool,
    },
    Suffix {
        value: Box<str>,
        ignore_case: bool,
    },
    Contains {
        value: Box<str>,
        ignore_case: bool,
    },
    /// The whole string must match (the decoder anchors the expression at both ends).
    Regex(Regex),
}

/// A condition on one request header. All values of a repeated header are joined with `,` first, as Envoy does.
#[derive(Clone, Debug)]
pub struct HeaderMatch {
    /// Lower case; pseudo headers `:method`, `:path`, `:authority`, `:scheme` too.
    pub name: Box<str>,
    pub condition: ValueMatch,
    /// `invert_match`.
    pub invert: bool,
    /// `treat_missing_header_as_empty`.
    pub missing_as_empty: bool,
}

/// A condition on one query parameter (the first of that name counts).
#[derive(Clone, Debug)]
pub struct QueryMatch {
    pub name: Box<str>,
    pub condition: ValueMatch,
}

/// Presence, or a condition on the value.
#[derive(Clone, Debug)]
pub enum ValueMatch {
    Present(bool),
    /// `range_match`: a decimal integer in `start..end`.
    Range {
        start: i64,
        end: i64,
    },
    Value(StringMatch),
}

/// A request as matching sees it; borrowed from wherever it lives.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    pub method: &'a Method,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host with port as the client sent it.
    pub authority: &'a str,
    /// Without the query.
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
}

impl StringMatch {
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact { value, ignore_case: false } => text == &**value,
            Self::Exact { value, ignore_case: true } => text.eq_ignore_ascii_case(value),
            Self::Prefix { value, ignore_case: false } => text.starts_with(&**value),
            Self::Prefix { value, ignore_case: true } => starts_with_ignoring_case(text, value),
            Self::Suffix { value, ignore_case: false } => text.ends_with(&**value),
            Self::Suffix { value, ignore_case: true } => ends_with_ignoring_case(text, value),
            Self::Contains { value, ignore_case: false } => text.contains(&**value),
            Self::Contains { value, ignore_case: true } => {
                text.to_ascii_lowercase().contains(&value.to_ascii_lowercase())
            }
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

impl ValueMatch {
    /// `value` is `None` when there is no such header or parameter.
    fn matches(&self, value: Option<&str>) -> bool {
        match (self, value) {
            (Self::Present(wanted), value) => value.is_some() == *wanted,
            (Self::Range { .. } | Self::Value(_), None) => false,
            (Self::Range { start, end }, Some(value)) => value.parse().is_ok_and(|n: i64| (*start..*end).contains(&n)),
            (Self::Value(matcher), Some(value)) => matcher.matches(value),
        }
    }
}

impl HeaderMatch {
    pub fn matches(&self, request: &RequestView<'_>) -> bool {
        let value = self.value(request);
        let value = match (value, self.missing_as_empty) {
            (None, true) => Some(Cow::Borrowed("")),
            (value, _) => value,
        };
        match (&self.condition, value.as_deref()) {
            // A condition on a value that is not there does not hold, inverted or not (as Envoy has it).
            (ValueMatch::Range { .. } | ValueMatch::Value(_), None) => false,
            (condition, value) => condition.matches(value) != self.invert,
        }
    }

    fn value<'a>(&self, request: &RequestView<'a>) -> Option<Cow<'a, str>> {
        match &*self.name {
            ":method" => Some(Cow::Borrowed(request.method.as_str())),
            ":authority" | "host" => Some(Cow::Borrowed(request.authority)),
            ":scheme" => Some(Cow::Borrowed(request.scheme)),
            ":path" => Some(match request.query {
                Some(query) => Cow::Owned(format!("{}?{query}", request.path)),
                None => Cow::Borrowed(request.path),
            }),
            name => {
                let mut values = request.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
                let first = values.next()?;
                let mut joined = Cow::Borrowed(first);
                for value in values {
                    let all = joined.to_mut();
                    all.push(',');
                    all.push_str(value);
                }
                Some(joined)
            }
        }
    }
}

impl QueryMatch {
    pub fn matches(&self, query: Option<&str>) -> bool {
        let value = query.unwrap_or_default().split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name == &*self.name).then_some(value)
        });
        self.condition.matches(value)
    }
}

pub(crate) fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.as_bytes().get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()))
}

fn ends_with_ignoring_case(text: &str, suffix: &str) -> bool {
    let Some(from) = text.len().checked_sub(suffix.len()) else { return false };
    text.as_bytes()[from..].eq_ignore_ascii_case(suffix.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(value: &str) -> ValueMatch {
        ValueMatch::Value(StringMatch::Exact { value: value.into(), ignore_case: false })
    }

    #[test]
    fn strings() {
        let exact = |v: &str, ignore_case| StringMatch::Exact { value: v.into(), ignore_case };
        let prefix = |v: &str, ignore_case| StringMatch::Prefix { value: v.into(), ignore_case };
        let suffix = |v: &str, ignore_case| StringMatch::Suffix { value: v.into(), ignore_case };
        let contains = |v: &str, ignore_case| StringMatch::Contains { value: v.into(), ignore_case };
        let regex = |v: &str| StringMatch::Regex(Regex::new(&format!("^(?:{v})$")).unwrap());
        for (matcher, text, expected) in [
            (exact("a", false), "a", true),
            (exact("a", false), "A", false),
            (exact("a", true), "A", true),
            (prefix("ab", false), "abc", true),
            (prefix("ab", false), "ABc", false),
            (prefix("ab", true), "ABc", true),
            (prefix("ab", true), "a", false),
            (prefix("\u{e4}", true), "\u{fc}x", false),
            (suffix("bc", false), "abc", true),
            (suffix("bc", true), "aBC", true),
            (suffix("abc", true), "bc", false),
            (contains("b", false), "abc", true),
            (contains("B", true), "abc", true),
            (regex("a|b"), "b", true),
            (regex("a|b"), "ab", false),
        ] {
            assert_eq!(matcher.matches(text), expected, "{matcher:?} {text}");
        }
    }

    #[test]
    fn headers() {
        let mut headers = HeaderMap::new();
        headers.insert("end-user", "jason".parse().unwrap());
        headers.append("x-tag", "a".parse().unwrap());
        headers.append("x-tag", "b".parse().unwrap());
        headers.insert("x-number", "7".parse().unwrap());
        let request = RequestView {
            method: &Method::POST,
            scheme: "http",
            authority: "reviews:9080",
            path: "/a",
            query: Some("x=1"),
            headers: &headers,
        };
        let present = ValueMatch::Present;
        let range = |start, end| ValueMatch::Range { start, end };
        for (name, condition, invert, missing_as_empty, expected) in [
            ("end-user", exact("jason"), false, false, true),
            ("end-user", exact("anna"), false, false, false),
            ("end-user", exact("anna"), true, false, true),
            ("end-user", present(true), false, false, true),
            ("end-user", present(false), false, false, false),
            ("absent", present(false), false, false, true),
            ("absent", present(true), true, false, true),
            ("absent", exact("x"), false, false, false),
            ("absent", exact("x"), true, false, false),
            ("absent", exact("x"), true, true, true),
            ("absent", exact(""), false, true, true),
            ("x-tag", exact("a,b"), false, false, true),
            ("x-number", range(7, 8), false, false, true),
            ("x-number", range(0, 7), false, false, false),
            ("end-user", range(0, 7), false, false, false),
            (":method", exact("POST"), false, false, true),
            (":authority", exact("reviews:9080"), false, false, true),
            (":path", exact("/a?x=1"), false, false, true),
            (":scheme", exact("http"), false, false, true),
        ] {
            let matcher = HeaderMatch { name: name.into(), condition, invert, missing_as_empty };
            assert_eq!(matcher.matches(&request), expected, "{matcher:?}");
        }
    }

    #[test]
    fn query_parameters() {
        for (query, condition, expected) in [
            (Some("a=1&v=2"), exact("2"), true),
            (Some("v=1&v=2"), exact("2"), false),
            (Some("v"), ValueMatch::Present(true), true),
            (Some("vv=2"), ValueMatch::Present(true), false),
            (None, ValueMatch::Present(false), true),
            (None, exact(""), false),
        ] {
            let matcher = QueryMatch { name: "v".into(), condition };
            assert_eq!(matcher.matches(query), expected, "{query:?} {matcher:?}");
        }
    }
}
