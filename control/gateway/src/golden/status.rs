//! Two statuses, compared in everything but their messages and times.

use serde_json::{Map, Value, json};

pub(super) fn assert_same(name: &str, ours: &[(String, Value)], theirs: &[Value]) {
    let mut expected: Vec<(String, Value)> =
        theirs.iter().map(|document| (shown(document), document["status"].clone())).collect();
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    let mut made = ours.to_vec();
    made.sort_by(|one, other| one.0.cmp(&other.0));
    let names = |all: &[(String, Value)]| all.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&made), names(&expected), "{name}: objects with a status");
    for ((object, made), (_, expected)) in made.iter().zip(&expected) {
        let (made, expected) = (normal(made), normal(expected));
        assert_eq!(pretty(&made), pretty(&expected), "{name}: {object}");
    }
}

fn shown(document: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &document["metadata"];
    format!("{} {}/{}", text(&document["kind"]), text(&metadata["namespace"]), text(&metadata["name"]))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("a value can be written")
}

/// Without messages and times, conditions in the order of their types; an empty list is as good as none.
fn normal(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut kept = Map::new();
            for (name, value) in fields {
                let skip = matches!(name.as_str(), "message" | "lastTransitionTime")
                    || value.as_array().is_some_and(Vec::is_empty);
                if !skip {
                    kept.insert(name.clone(), normal(value));
                }
            }
            if let Some(Value::Array(conditions)) = kept.get_mut("conditions") {
                conditions.sort_by_key(|condition| condition["type"].as_str().unwrap_or_default().to_owned());
            }
            Value::Object(kept)
        }
        Value::Array(items) => json!(items.iter().map(normal).collect::<Vec<_>>()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
