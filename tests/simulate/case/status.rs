//! What the status of an object has to say.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::words::{ObjectRef, OneOrMany, Text};

/// Conditions by type: `Status Reason`, or the status alone for any reason; several are alternatives.
pub(crate) type Conditions = BTreeMap<String, OneOrMany<Text>>;

/// Metadata.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Infrastructure {
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// One object's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct StatusExpectation {
    pub(crate) object: ObjectRef,
    /// Of every condition.
    pub(crate) observed_generation: Option<i64>,
    #[serde(default)]
    pub(crate) conditions: Conditions,
    #[serde(default)]
    pub(crate) parents: Vec<ParentExpectation>,
    #[serde(default)]
    pub(crate) listeners: BTreeMap<String, ListenerExpectation>,
    /// `any`: at least one; or exactly these.
    pub(crate) addresses: Option<Value>,
    pub(crate) attached_listener_sets: Option<u32>,
    /// Labels and annotations of what is made for a Gateway.
    pub(crate) infrastructure: Option<Infrastructure>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ParentExpectation {
    pub(crate) parent: ObjectRef,
    pub(crate) section: Option<String>,
    pub(crate) port: Option<u16>,
    #[serde(default)]
    pub(crate) conditions: Conditions,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ListenerExpectation {
    pub(crate) attached_routes: Option<u32>,
    /// At least these; none where the list is empty.
    pub(crate) supported_kinds: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) conditions: Conditions,
}
