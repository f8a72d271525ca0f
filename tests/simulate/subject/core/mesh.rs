//! MeshConfig's fields as compilation takes them.

use orrery_compile::Settings;
use serde_json::{Map, Value};

pub(super) fn settings(mesh: &Map<String, Value>) -> Result<Settings, String> {
    let mut settings = Settings::default();
    for (field, value) in mesh {
        match (field.as_str(), value["mode"].as_str()) {
            ("outboundTrafficPolicy", Some("REGISTRY_ONLY")) => settings.allow_unknown_destinations = false,
            ("outboundTrafficPolicy", Some("ALLOW_ANY")) => settings.allow_unknown_destinations = true,
            _ => return Err(format!("mesh: {field}: {value} is not understood")),
        }
    }
    Ok(settings)
}
