//! Rules between fields, and the looks into values that they take.

use std::collections::HashSet;
use std::net::IpAddr;

use serde_json::Value;

/// Whether a field is there and not null.
pub(crate) fn has(value: &Value, field: &str) -> bool {
    value.get(field).is_some_and(|found| !found.is_null())
}

/// How many of the fields are there.
pub(crate) fn count(value: &Value, fields: &[&str]) -> usize {
    fields.iter().filter(|field| has(value, field)).count()
}

pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn items<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

pub(crate) fn texts<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a str> {
    items(value, field).iter().filter_map(Value::as_str)
}

/// Whether a field is absent or a port number.
pub(crate) fn is_port(value: &Value, field: &str) -> bool {
    value.get(field).is_none_or(|port| port.as_i64().is_none_or(|port| (1..=65_535).contains(&port)))
}

/// Whether the items' values of a field all differ.
pub(crate) fn differ(value: &Value, list: &str, field: &str) -> bool {
    let mut seen = HashSet::new();
    items(value, list).iter().filter_map(|item| item.get(field)).all(|found| seen.insert(found.to_string()))
}

pub(crate) fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let longest = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= longest)
}

/// Whether no label of a selector has a wildcard.
pub(crate) fn no_wildcard(selector: &Value, field: &str) -> bool {
    let labels = selector.get(field).and_then(Value::as_object);
    labels.is_none_or(|labels| labels.values().all(|value| value.as_str().is_none_or(|value| !value.contains('*'))))
}
