//! Looking into documents of any shape: what is absent or of another type reads as empty.

use std::collections::BTreeMap;

use serde_json::Value;

/// Labels, annotations, and selectors by equality.
pub(crate) type Labels = BTreeMap<String, String>;

static NULL: Value = Value::Null;

/// Access by JSON pointer (RFC 6901).
pub(crate) trait Look {
    fn at(&self, pointer: &str) -> &Value;

    fn has(&self, pointer: &str) -> bool {
        !self.at(pointer).is_null()
    }

    fn text(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_default()
    }

    fn list(&self, pointer: &str) -> &[Value] {
        self.at(pointer).as_array().map(Vec::as_slice).unwrap_or_default()
    }

    fn texts(&self, pointer: &str) -> Vec<&str> {
        self.list(pointer).iter().filter_map(Value::as_str).collect()
    }

    /// A port number.
    fn port(&self, pointer: &str) -> Option<u64> {
        let value = self.at(pointer);
        value.as_u64().or_else(|| value.as_str()?.parse().ok()).filter(|port| *port > 0)
    }

    fn labels(&self, pointer: &str) -> Labels {
        let Some(fields) = self.at(pointer).as_object() else { return Labels::new() };
        fields
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            .collect()
    }
}

impl Look for Value {
    fn at(&self, pointer: &str) -> &Value {
        self.pointer(pointer).unwrap_or(&NULL)
    }
}

/// Whether all of the selector's pairs are among the labels; an empty selector selects all.
pub(crate) fn selects(selector: &Labels, labels: &Labels) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Kubernetes' LabelSelector: `matchLabels` and `matchExpressions`. An absent or empty one selects all.
pub(crate) fn label_selector_selects(selector: &Value, labels: &Labels) -> bool {
    selects(&selector.labels("/matchLabels"), labels)
        && selector.list("/matchExpressions").iter().all(|expression| {
            let value = labels.get(expression.text("/key"));
            let listed = || value.is_some_and(|value| expression.texts("/values").contains(&value.as_str()));
            match expression.text("/operator") {
                "In" => listed(),
                "NotIn" => !listed(),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

/// A key as a step of a JSON pointer.
pub(crate) fn step(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
