//! Conditions of a status, and how they are written among those that are there.

use serde_json::{Map, Value, json};

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) kind: &'static str,
    pub(crate) holds: bool,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// Why something is not as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl Condition {
    /// True, with its own name as the reason.
    pub(crate) fn fine(kind: &'static str, message: &str) -> Self {
        Self { kind, holds: true, reason: kind, message: message.to_owned() }
    }

    /// Fine, or the fault.
    pub(crate) fn unless(kind: &'static str, fault: Option<&Fault>, message: &str) -> Self {
        fault.map_or_else(|| Self::fine(kind, message), |fault| Self::broken(kind, fault))
    }

    pub(crate) fn broken(kind: &'static str, fault: &Fault) -> Self {
        Self { kind, holds: false, reason: fault.reason, message: fault.message.clone() }
    }
}

/// The conditions, put in the place of those of their types, with others left as they are. What is new comes last, in the
/// order of its types. When a condition last changed is for whoever keeps the status to say: there is no clock here.
pub(crate) fn written(conditions: &[Condition], before: &[Value], generation: u64) -> Vec<Value> {
    let mut all: Vec<Value> = before.to_vec();
    let mut sorted: Vec<&Condition> = conditions.iter().collect();
    sorted.sort_by_key(|condition| condition.kind);
    for condition in sorted {
        let value = value(condition, generation);
        match all.iter_mut().find(|known| known.get("type").and_then(Value::as_str) == Some(condition.kind)) {
            Some(known) => *known = kept_time(value, known),
            None => all.push(value),
        }
    }
    all
}

/// A condition that says what it said keeps the time since when it says so.
fn kept_time(mut new: Value, old: &Value) -> Value {
    if new.get("status") == old.get("status")
        && let (Some(fields), Some(time)) = (new.as_object_mut(), old.get("lastTransitionTime"))
    {
        fields.insert("lastTransitionTime".to_owned(), time.clone());
    }
    new
}

fn value(condition: &Condition, generation: u64) -> Value {
    let mut fields = Map::new();
    fields.insert("type".to_owned(), json!(condition.kind));
    fields.insert("status".to_owned(), json!(if condition.holds { "True" } else { "False" }));
    fields.insert("reason".to_owned(), json!(condition.reason));
    fields.insert("message".to_owned(), json!(condition.message));
    if generation > 0 {
        fields.insert("observedGeneration".to_owned(), json!(generation));
    }
    Value::Object(fields)
}

/// The conditions that are in a status already.
pub(crate) fn conditions_of(status: Option<&Value>) -> Vec<Value> {
    status.and_then(|status| status.get("conditions")).and_then(Value::as_array).cloned().unwrap_or_default()
}
