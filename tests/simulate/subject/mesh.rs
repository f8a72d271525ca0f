//! The fields of MeshConfig that a case may set.

use serde_json::{Map, Value};

/// `outboundTrafficPolicy`: whether calls to hosts that nobody knows go through, as they do unless a case says otherwise.
///
/// # Errors
/// A field that is not understood.
pub(super) fn allows_unknown_destinations(mesh: &Map<String, Value>) -> Result<bool, String> {
    let mut allowed = true;
    for (field, value) in mesh {
        allowed = match (field.as_str(), value["mode"].as_str()) {
            ("outboundTrafficPolicy", Some("REGISTRY_ONLY")) => false,
            ("outboundTrafficPolicy", Some("ALLOW_ANY")) => true,
            _ => return Err(format!("mesh: {field}: {value} is not understood")),
        };
    }
    Ok(allowed)
}
