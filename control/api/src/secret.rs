//! Secret: certificates and keys. What it holds is shown nowhere: not in documents, logs or messages.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::credential::{CredentialError, KeyPair, Roots};
use crate::parse::LAST_APPLIED;
use crate::reader::{Fields, Reader};
use crate::yaml;

/// Bytes of all values, as Kubernetes limits them.
const LARGEST: usize = 1 << 20;
/// Longest name of an entry, as Kubernetes limits it.
const LONGEST_ENTRY: usize = 253;

/// A Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Such as `kubernetes.io/tls`; `Opaque` when it does not say.
    pub kind: String,
    pub data: BTreeMap<String, Hidden>,
    /// Under `cert` and `key`, or `tls.crt` and `tls.key`, or why there is none.
    pub key_pair: Result<KeyPair, CredentialError>,
    /// Under `cacert` or `ca.crt`, or why there are none.
    pub roots: Result<Roots, CredentialError>,
}

/// Bytes that are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(Vec<u8>);

impl Hidden {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, for whoever has to have them.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes, redacted)", self.0.len())
    }
}

pub(crate) fn read(fields: Fields<'_>) -> Option<Secret> {
    let mut data = BTreeMap::new();
    for (name, value) in fields.take("data").map(|data| data.entries()).unwrap_or_default() {
        if let Some(bytes) = hidden_text(&value).and_then(|text| decode(&value, text)) {
            data.insert(name, Hidden(bytes));
        }
    }
    for (name, value) in fields.take("stringData").map(|data| data.entries()).unwrap_or_default() {
        if let Some(text) = hidden_text(&value) {
            data.insert(name, Hidden(text.as_bytes().to_vec()));
        }
    }
    let size: usize = data.values().map(|value| value.0.len()).sum();
    if size > LARGEST {
        fields.report(format!("the data has {size} bytes; at most {LARGEST} are taken"), "");
        return None;
    }
    for name in data.keys().filter(|name| !is_entry_name(name)) {
        fields.report(format!("{name:?} is no name of an entry"), "letters, digits, '-', '_' and '.' are allowed");
    }
    let kind = fields.text("type").unwrap_or_else(|| "Opaque".to_owned());
    for known in ["apiVersion", "kind", "metadata", "immutable"] {
        fields.take(known);
    }
    fields.finish(&["apiVersion", "kind", "metadata", "data", "stringData", "type", "immutable"]);
    let entry = |name: &str| data.get(name).map(Hidden::reveal);
    let (key_pair, roots) = (KeyPair::of(entry), Roots::of(entry));
    Some(Secret { kind, data, key_pair, roots })
}

/// Text, with a message that does not repeat what stands there instead.
fn hidden_text<'a>(reader: &Reader<'a>) -> Option<&'a str> {
    match &reader.node.value {
        yaml::Value::Text(text) => Some(text),
        yaml::Value::Null => Some(""),
        yaml::Value::Bool(_)
        | yaml::Value::Int(_)
        | yaml::Value::Float(_)
        | yaml::Value::List(_)
        | yaml::Value::Map(_) => {
            reader.report("text is expected here", "put it into quotes");
            None
        }
    }
}

fn decode(reader: &Reader<'_>, text: &str) -> Option<Vec<u8>> {
    // Lines may be broken anywhere.
    let joined: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let decoded = STANDARD.decode(joined).ok();
    if decoded.is_none() {
        reader.report(
            "this is no base64",
            "plain text belongs under stringData; what was shown as redacted cannot be applied",
        );
    }
    decoded
}

fn is_entry_name(name: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= LONGEST_ENTRY && name.chars().all(fine)
}

/// Takes what is secret out of a document that may be shown.
pub(crate) fn redact(document: &mut Value) {
    let Some(fields) = document.as_object_mut() else { return };
    let mut shown = Map::new();
    for from in ["data", "stringData"] {
        if let Some(Value::Object(entries)) = fields.remove(from) {
            shown.extend(entries.into_iter().map(|(name, _)| (name, json!("(redacted)"))));
        }
    }
    fields.insert("data".to_owned(), Value::Object(shown));
    if let Some(annotations) = fields.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"))
        && let Some(annotations) = annotations.as_object_mut()
    {
        annotations.remove(LAST_APPLIED);
    }
}

/// The document with everything in it again.
pub(crate) fn with_data(document: &Value, secret: &Secret) -> Value {
    let encoded = |(name, value): (&String, &Hidden)| (name.clone(), json!(STANDARD.encode(&value.0)));
    let mut whole = document.clone();
    if let Some(fields) = whole.as_object_mut() {
        fields.insert("data".to_owned(), Value::Object(secret.data.iter().map(encoded).collect()));
    }
    whole
}
