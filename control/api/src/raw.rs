//! An object's document, kept as compact text: a tree of values takes ten times the memory, and is rarely asked for.

use std::fmt;

use serde_json::Value;

/// A document. Two are equal when they say the same, in whatever order their fields came.
#[derive(Clone, PartialEq, Eq)]
pub struct Raw(Box<str>);

impl Raw {
    /// The document as a tree.
    pub fn to_value(&self) -> Value {
        // It was written from a tree, so it reads as one.
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl From<Value> for Raw {
    fn from(value: Value) -> Self {
        Self(value.to_string().into_boxed_str())
    }
}

/// As JSON.
impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_fields_is_nothing() {
        let (one, other) = (Raw::from(json!({"a": 1, "b": [2, null]})), Raw::from(json!({"b": [2, null], "a": 1})));
        assert_eq!(one, other);
        assert_ne!(one, Raw::from(json!({"a": 1})));
        assert_eq!(one.to_value(), json!({"a": 1, "b": [2, null]}));
    }
}
