//! Envoy's messages to `orrery-core` values.
//!
//! Each message is taken apart field by field; a field that is set and was not taken is one that this proxy does not
//! implement, and the resource is refused by that field's name. Nothing is silently ignored.

pub(crate) mod cluster;
mod cors;
pub(crate) mod datagram;
pub(crate) mod endpoint;
mod fault;
mod http;
pub(crate) mod listener;
mod matcher;
mod plain;
mod retry;
pub(crate) mod route;
mod route_action;
pub(crate) mod secret;
mod tls;

use std::fmt::Debug;

use envoy_types::pb::google::protobuf::Any;
use prost::{Message, Name};
use thiserror::Error;

/// Why a resource is refused; the path says where in it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{path}: {reason}")]
pub(crate) struct Refused {
    path: String,
    reason: String,
}

pub(crate) type Result<T> = std::result::Result<T, Refused>;

/// A refusal at the place itself.
pub(crate) fn refuse<T>(path: &str, reason: impl Into<String>) -> Result<T> {
    Err(Refused { path: path.to_owned(), reason: reason.into() })
}

/// Puts the place around a refusal of something inside.
pub(crate) trait Within<T> {
    fn within(self, place: &str) -> Result<T>;
}

impl<T> Within<T> for Result<T> {
    fn within(self, place: &str) -> Self {
        self.map_err(|inner| Refused { path: format!("{place}.{}", inner.path), reason: inner.reason })
    }
}

/// Refuses what is left of a message after the supported fields were taken out.
pub(crate) fn nothing_left<M: Message + Default + PartialEq + Debug>(rest: &M) -> Result<()> {
    let empty = M::default();
    if *rest == empty {
        return Ok(());
    }
    // Field names come from the two debug forms: those whose text differs are set.
    let (rest, empty) = (format!("{rest:#?}"), format!("{empty:#?}"));
    let known: std::collections::HashSet<&str> = empty.lines().collect();
    let fields: Vec<&str> = rest
        .lines()
        .filter(|line| line.starts_with("    ") && !line.starts_with("     ") && !known.contains(line))
        .filter_map(|line| line.trim().split_once(':').map(|(name, _)| name))
        .collect();
    refuse(&fields.join(", "), "this proxy does not support it")
}

/// Unpacks a message whose type must be the one expected.
pub(crate) fn unpack<M: Message + Name + Default>(any: &Any) -> Result<M> {
    if any.type_url != M::type_url() {
        return refuse("@type", format!("{} where {} belongs", any.type_url, M::type_url()));
    }
    M::decode(any.value.as_slice()).or_else(|error| refuse("value", format!("it cannot be decoded: {error}")))
}

#[cfg(test)]
mod tests;
