//! Conditions of routes.

use super::name::at_most;
use crate::header::is_header_name;
use crate::reader::{Fields, Reader};
pub(super) use crate::virtual_service::is_regex;

/// Conditions that must all hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpMatch {
    pub path: PathMatch,
    pub headers: Vec<ValueMatch>,
    pub query_params: Vec<ValueMatch>,
    pub method: Option<String>,
}

/// A condition on the path.
#[derive(Clone, Debug, PartialEq)]
pub enum PathMatch {
    Exact(String),
    /// Element by element: `/a` is a prefix of `/a/b`, and none of `/ab`.
    Prefix(String),
    /// Of the whole path.
    Regex(String),
}

/// A condition on a named value.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueMatch {
    pub name: String,
    pub kind: MatchType,
    pub value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchType {
    Exact,
    /// Of the whole value.
    RegularExpression,
}

/// Methods that a match may name.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

impl Default for PathMatch {
    fn default() -> Self {
        Self::Prefix("/".to_owned())
    }
}

pub(super) fn http_match(reader: &Reader<'_>) -> Option<HttpMatch> {
    let fields = reader.fields()?;
    let method = fields.take("method").and_then(|method| {
        let text = method.text()?;
        if !METHODS.contains(&text.as_str()) {
            method.report(format!("{text:?} is no method that a route can match"), METHODS.join(", "));
        }
        Some(text)
    });
    let matches = HttpMatch {
        path: fields.take("path").and_then(|path| path_match(&path)).unwrap_or_default(),
        headers: values(&fields, "headers"),
        query_params: values(&fields, "queryParams"),
        method,
    };
    fields.finish(&["path", "headers", "queryParams", "method"]);
    Some(matches)
}

fn path_match(reader: &Reader<'_>) -> Option<PathMatch> {
    #[derive(Clone, Copy)]
    enum Type {
        Exact,
        Prefix,
        Regex,
    }
    let fields = reader.fields()?;
    let words = [("Exact", Type::Exact), ("PathPrefix", Type::Prefix), ("RegularExpression", Type::Regex)];
    let kind = fields.take("type").and_then(|kind| kind.word(&words)).unwrap_or(Type::Prefix);
    let value = fields.take("value");
    let text = value.as_ref().and_then(Reader::text).unwrap_or_else(|| "/".to_owned());
    fields.finish(&["type", "value"]);
    match kind {
        Type::Exact | Type::Prefix => {
            if !is_path(&text) {
                reader.report(
                    format!("{text:?} is no path to match"),
                    "paths begin with / and have no //, /./, /../, %2f, # and no . or .. at the end",
                );
            }
            Some(if matches!(kind, Type::Exact) { PathMatch::Exact(text) } else { PathMatch::Prefix(text) })
        }
        Type::Regex => is_regex(value.as_ref().unwrap_or(reader), &text).then_some(PathMatch::Regex(text)),
    }
}

/// As the documentation of `HTTPPathMatch` asks.
fn is_path(path: &str) -> bool {
    let forbidden = ["//", "/./", "/../", "%2f", "%2F", "#"];
    path.starts_with('/')
        && !forbidden.iter().any(|part| path.contains(part))
        && !path.ends_with("/..")
        && !path.ends_with("/.")
}

/// Named conditions; of two of one name the first counts, as the documentation says.
pub(super) fn values(fields: &Fields<'_>, name: &str) -> Vec<ValueMatch> {
    let list = fields.list(name);
    at_most(fields, name, list.len(), 16);
    let mut values: Vec<ValueMatch> = Vec::new();
    for value in list.iter().filter_map(value_match) {
        let known = |other: &ValueMatch| match name {
            "headers" => other.name.eq_ignore_ascii_case(&value.name),
            _ => other.name == value.name,
        };
        if !values.iter().any(known) {
            values.push(value);
        }
    }
    values
}

fn value_match(reader: &Reader<'_>) -> Option<ValueMatch> {
    let fields = reader.fields()?;
    let name = fields.require("name").and_then(|name| {
        let text = name.text()?;
        is_header_name(&name, &text).then_some(text)
    });
    let kind = match_type(&fields);
    let value = fields.require("value").and_then(|value| {
        let text = value.text()?;
        match kind {
            MatchType::Exact => Some(text),
            MatchType::RegularExpression => is_regex(&value, &text).then_some(text),
        }
    });
    fields.finish(&["name", "type", "value"]);
    Some(ValueMatch { name: name?, kind, value: value? })
}

pub(super) fn match_type(fields: &Fields<'_>) -> MatchType {
    let words = [("Exact", MatchType::Exact), ("RegularExpression", MatchType::RegularExpression)];
    fields.take("type").and_then(|kind| kind.word(&words)).unwrap_or(MatchType::Exact)
}
