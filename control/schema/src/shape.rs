//! What a value may look like.

use serde_json::Value;

/// The form of a value.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// Text of at least so many characters.
    Text {
        least: usize,
    },
    /// One of these words.
    Word(&'static [&'static str]),
    /// A regular expression (RE2).
    Regex,
    /// A whole number, bounds included.
    Whole {
        least: i64,
        most: i64,
    },
    /// A number, bounds included.
    Number {
        least: f64,
        most: f64,
    },
    Flag,
    /// Such as `1.5s`; at least so many microseconds.
    Duration {
        least: u64,
    },
    Object(&'static Object),
    List {
        of: &'static Self,
        least: usize,
        most: usize,
        unique: Unique,
    },
    /// Any keys, with values of one form.
    Map {
        of: &'static Self,
        least: usize,
    },
    /// What only its reader understands.
    Any,
}

/// What must differ between the items of a list.
#[derive(Clone, Copy)]
pub(crate) enum Unique {
    Nothing,
    /// A field of each item; the API server's list type `map`.
    Field(&'static str),
}

/// A set of fields, and the rules between them.
pub(crate) struct Object {
    pub(crate) fields: &'static [Field],
    pub(crate) rules: &'static [Rule],
}

pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
}

/// A rule between fields.
pub(crate) struct Rule {
    /// In the words of the definition or of the webhook that has the rule.
    pub(crate) message: &'static str,
    pub(crate) holds: fn(&Value) -> bool,
}

/// A kind and the schema of its `spec`.
pub(crate) struct Kind {
    pub(crate) group: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) spec: &'static Object,
}

pub(crate) const TEXT: Shape = Shape::Text { least: 0 };
pub(crate) const NAME: Shape = Shape::Text { least: 1 };
pub(crate) const FLAG: Shape = Shape::Flag;
pub(crate) const REGEX: Shape = Shape::Regex;
pub(crate) const COUNT: Shape = Shape::Whole { least: 0, most: u32::MAX as i64 };
pub(crate) const SIGNED: Shape = Shape::Whole { least: i32::MIN as i64, most: i32::MAX as i64 };
pub(crate) const PERCENT: Shape = Shape::Whole { least: 0, most: 100 };
pub(crate) const SHARE: Shape = Shape::Number { least: 0.0, most: 100.0 };
pub(crate) const ANY_DURATION: Shape = Shape::Duration { least: 0 };
/// Istio refuses shorter ones in most places.
pub(crate) const DURATION: Shape = Shape::Duration { least: 1_000 };
pub(crate) const TEXTS: Shape = list(&TEXT);
pub(crate) const NAMES: Shape = list(&NAME);
pub(crate) const LABELS: Shape = map(&TEXT);

pub(crate) const fn list(of: &'static Shape) -> Shape {
    Shape::List { of, least: 0, most: usize::MAX, unique: Unique::Nothing }
}

pub(crate) const fn some(of: &'static Shape) -> Shape {
    Shape::List { of, least: 1, most: usize::MAX, unique: Unique::Nothing }
}

pub(crate) const fn unique_list(of: &'static Shape, field: &'static str) -> Shape {
    Shape::List { of, least: 0, most: usize::MAX, unique: Unique::Field(field) }
}

pub(crate) const fn map(of: &'static Shape) -> Shape {
    Shape::Map { of, least: 0 }
}

pub(crate) const fn field(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false }
}

pub(crate) const fn required(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: true }
}

pub(crate) const fn object(fields: &'static [Field]) -> Object {
    Object { fields, rules: &[] }
}

pub(crate) const fn ruled(fields: &'static [Field], rules: &'static [Rule]) -> Object {
    Object { fields, rules }
}

pub(crate) const fn rule(message: &'static str, holds: fn(&Value) -> bool) -> Rule {
    Rule { message, holds }
}
