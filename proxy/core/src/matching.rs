//! What a request is matched by: strings, headers and query parameters (Envoy `StringMatcher`, `HeaderMatcher`).

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
