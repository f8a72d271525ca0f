//! Header changes as Envoy has them: the host is no header that could be changed, but rewritten.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use orrery_api::HeaderOperations;

/// What one level changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    pub(super) request_add: Vec<HeaderValueOption>,
    pub(super) request_remove: Vec<String>,
    pub(super) response_add: Vec<HeaderValueOption>,
    pub(super) response_remove: Vec<String>,
    /// The host that requests get.
    pub(super) authority: Option<String>,
}

impl Changes {
    pub(super) fn of(operations: &HeaderOperations) -> Self {
        let host = |all: &BTreeMap<String, String>| {
            all.iter().find(|(name, _)| is_authority(name)).map(|(_, value)| value.clone())
        };
        let removed = |names: &[String]| names.iter().filter(|name| !is_internal(name)).cloned().collect();
        Self {
            request_add: additions(&operations.request_set, &operations.request_add),
            request_remove: removed(&operations.request_remove),
            response_add: additions(&operations.response_set, &operations.response_add),
            response_remove: removed(&operations.response_remove),
            authority: host(&operations.request_set).or_else(|| host(&operations.request_add)),
        }
    }

    /// These, and then those of the only destination.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.request_add.extend(other.request_add);
        self.request_remove.extend(other.request_remove);
        self.response_add.extend(other.response_add);
        self.response_remove.extend(other.response_remove);
        self.authority = self.authority.or(other.authority);
        self
    }
}

fn is_authority(name: &str) -> bool {
    name.eq_ignore_ascii_case(":authority") || name.eq_ignore_ascii_case("host")
}

/// Headers that Envoy does not change by name.
fn is_internal(name: &str) -> bool {
    name.starts_with(':') || is_authority(name)
}

fn additions(set: &BTreeMap<String, String>, add: &BTreeMap<String, String>) -> Vec<HeaderValueOption> {
    let one = |(key, value): (&String, &String), action: HeaderAppendAction| HeaderValueOption {
        // `%` begins an operator in Envoy; Istio's values are plain text.
        header: Some(HeaderValue { key: key.clone(), value: value.replace('%', "%%"), ..Default::default() }),
        append_action: action.into(),
        keep_empty_value: value.is_empty(),
        ..Default::default()
    };
    let set = set.iter().filter(|(name, _)| !is_internal(name));
    let add = add.iter().filter(|(name, _)| !is_internal(name));
    let set = set.map(|pair| one(pair, HeaderAppendAction::OverwriteIfExistsOrAdd));
    set.chain(add.map(|pair| one(pair, HeaderAppendAction::AppendIfExistsOrAdd))).collect()
}
