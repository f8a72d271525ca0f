//! ConfigMap: settings and certificates of authorities, none of them secret.

use std::collections::BTreeMap;

use crate::credential::{CredentialError, Roots};
use crate::reader::Fields;

/// Bytes of all values, as Kubernetes limits them.
const LARGEST: usize = 1 << 20;

/// A ConfigMap. What `binaryData` has is not kept.
#[derive(Clone, Debug)]
pub struct ConfigMap {
    pub data: BTreeMap<String, String>,
    /// Under `cacert` or `ca.crt`, or why there is none.
    pub roots: Result<Roots, CredentialError>,
}

pub(crate) fn read(fields: Fields<'_>) -> Option<ConfigMap> {
    let data = fields.text_map("data");
    let size: usize = data.values().map(String::len).sum();
    if size > LARGEST {
        fields.report(format!("the data has {size} bytes; at most {LARGEST} are taken"), "");
        return None;
    }
    fields.take("binaryData");
    fields.take("immutable");
    for known in ["apiVersion", "kind", "metadata"] {
        fields.take(known);
    }
    fields.finish(&["apiVersion", "kind", "metadata", "data", "binaryData", "immutable"]);
    let roots = Roots::of(|key| data.get(key).map(String::as_bytes));
    Some(ConfigMap { data, roots })
}
