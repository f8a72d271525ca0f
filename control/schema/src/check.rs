//! A document against its schema.

use std::collections::HashSet;
use std::fmt;

use regex::RegexBuilder;
use serde_json::{Map, Value};

use crate::shape::{Object, Shape, Unique};

/// Most violations of one document that are told.
const MOST: usize = 100;
/// Bytes that a compiled regular expression may take.
const REGEX_SIZE: usize = 1 << 20;
const BODY: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];

/// Something in a document that its schema does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Such as `spec.http[0].route[1].weight`; empty for the document as a whole.
    pub field: String,
    /// The same as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// The API server's words.
    pub reason: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

/// All violations of a document, or nothing when there is no schema for its kind.
pub fn check(document: &Value) -> Option<Vec<Violation>> {
    let text = |field: &str| document.get(field).and_then(Value::as_str).unwrap_or_default();
    let group = text("apiVersion").split_once('/').map_or("", |(group, _)| group);
    let schema = crate::spec_of(group, text("kind"))?;
    let mut checker = Checker { violations: Vec::new() };
    let root = Place { field: String::new(), pointer: String::new() };
    for key in document.as_object().into_iter().flat_map(Map::keys).filter(|key| !BODY.contains(&key.as_str())) {
        checker.report(&root.key(key), format!("unknown field {key:?}"));
    }
    let place = root.key("spec");
    match document.get("spec") {
        // A definition with a required field asks for the object that has it.
        None | Some(Value::Null) if schema.fields.iter().any(|field| field.required) => {
            checker.report(&place, "Required value".to_owned());
        }
        None | Some(Value::Null) => {}
        Some(spec) => checker.object(spec, schema, &place),
    }
    Some(checker.violations)
}

#[derive(Clone)]
struct Place {
    field: String,
    pointer: String,
}

impl Place {
    fn key(&self, key: &str) -> Self {
        let field = if self.field.is_empty() { key.to_owned() } else { format!("{}.{key}", self.field) };
        Self { field, pointer: format!("{}/{}", self.pointer, key.replace('~', "~0").replace('/', "~1")) }
    }

    fn item(&self, index: usize) -> Self {
        Self { field: format!("{}[{index}]", self.field), pointer: format!("{}/{index}", self.pointer) }
    }
}

struct Checker {
    violations: Vec<Violation>,
}

impl Checker {
    fn report(&mut self, place: &Place, reason: String) {
        if self.violations.len() < MOST {
            self.violations.push(Violation { field: place.field.clone(), pointer: place.pointer.clone(), reason });
        }
    }

    fn value(&mut self, value: &Value, shape: &Shape, place: &Place) {
        match shape {
            Shape::Text { least } => self.text(value, *least, place),
            Shape::Word(words) => self.word(value, words, place),
            Shape::Regex => self.regex(value, place),
            Shape::Whole { least, most } => self.whole(value, *least, *most, place),
            Shape::Number { least, most } => self.number(value, *least, *most, place),
            Shape::Flag if value.is_boolean() => {}
            Shape::Flag => self.wrong_type(value, "boolean", place),
            Shape::Duration { least } => self.duration(value, *least, place),
            Shape::Object(schema) => self.object(value, schema, place),
            Shape::List { of, least, most, unique } => self.list(value, of, (*least, *most), *unique, place),
            Shape::Map { of, least } => self.map(value, of, *least, place),
            Shape::Any => {}
        }
    }

    fn wrong_type(&mut self, value: &Value, wanted: &str, place: &Place) {
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let field = place.field.clone();
        self.report(
            place,
            format!("Invalid value: \"{found}\": {field} in body must be of type {wanted}: \"{found}\""),
        );
    }

    fn text(&mut self, value: &Value, least: usize, place: &Place) {
        match value.as_str() {
            None => self.wrong_type(value, "string", place),
            Some(text) if text.chars().count() < least => {
                let field = place.field.clone();
                self.report(
                    place,
                    format!("Invalid value: {text:?}: {field} in body should be at least {least} chars long"),
                );
            }
            Some(_) => {}
        }
    }

    fn word(&mut self, value: &Value, words: &[&str], place: &Place) {
        match value.as_str() {
            None => self.wrong_type(value, "string", place),
            Some(text) if !words.contains(&text) => {
                let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
                self.report(place, format!("Unsupported value: {text:?}: supported values: {}", words.join(", ")));
            }
            Some(_) => {}
        }
    }

    fn regex(&mut self, value: &Value, place: &Place) {
        let Some(text) = value.as_str() else { return self.wrong_type(value, "string", place) };
        if let Err(why) = RegexBuilder::new(text).size_limit(REGEX_SIZE).build() {
            let why = why.to_string();
            let last = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            self.report(place, format!("Invalid value: {}: this is no regular expression: {last}", short(text)));
        }
    }

    fn whole(&mut self, value: &Value, least: i64, most: i64, place: &Place) {
        match value.as_i64() {
            Some(number) if number < least => {
                let field = place.field.clone();
                self.report(
                    place,
                    format!("Invalid value: {number}: {field} in body should be greater than or equal to {least}"),
                );
            }
            Some(number) if number > most => {
                let field = place.field.clone();
                self.report(
                    place,
                    format!("Invalid value: {number}: {field} in body should be less than or equal to {most}"),
                );
            }
            Some(_) => {}
            None => self.wrong_type(value, "integer", place),
        }
    }

    fn number(&mut self, value: &Value, least: f64, most: f64, place: &Place) {
        match value.as_f64() {
            Some(number) if number < least => {
                let field = place.field.clone();
                self.report(
                    place,
                    format!("Invalid value: {number}: {field} in body should be greater than or equal to {least}"),
                );
            }
            Some(number) if number > most => {
                let field = place.field.clone();
                self.report(
                    place,
                    format!("Invalid value: {number}: {field} in body should be less than or equal to {most}"),
                );
            }
            Some(_) => {}
            None => self.wrong_type(value, "number", place),
        }
    }

    fn duration(&mut self, value: &Value, least: u64, place: &Place) {
        let Some(text) = value.as_str() else { return self.wrong_type(value, "string", place) };
        match microseconds(text) {
            None => {
                self.report(place, format!("Invalid value: {}: must be a valid duration, such as 1.5s", short(text)))
            }
            Some(length) if length < least => {
                self.report(place, format!("Invalid value: {text:?}: must be a valid duration greater than 1ms"));
            }
            Some(_) => {}
        }
    }

    fn object(&mut self, value: &Value, schema: &Object, place: &Place) {
        let Some(fields) = value.as_object() else { return self.wrong_type(value, "object", place) };
        for (name, value) in fields {
            match schema.fields.iter().find(|field| field.name == name) {
                None => {
                    let place = place.key(name);
                    let field = place.field.clone();
                    self.report(&place, format!("unknown field {field:?}"));
                }
                // An explicit null is an absent field.
                Some(_) if value.is_null() => {}
                Some(field) => self.value(value, &field.shape, &place.key(name)),
            }
        }
        for field in schema.fields.iter().filter(|field| field.required) {
            if fields.get(field.name).is_none_or(Value::is_null) {
                self.report(&place.key(field.name), "Required value".to_owned());
            }
        }
        for rule in schema.rules.iter().filter(|rule| !(rule.holds)(value)) {
            self.report(place, format!("Invalid value: {}", rule.message));
        }
    }

    fn list(&mut self, value: &Value, of: &Shape, (least, most): (usize, usize), unique: Unique, place: &Place) {
        let Some(items) = value.as_array() else { return self.wrong_type(value, "array", place) };
        let field = place.field.clone();
        if items.len() < least {
            self.report(
                place,
                format!("Invalid value: {}: {field} in body should have at least {least} items", items.len()),
            );
        }
        if items.len() > most {
            self.report(place, format!("Too many: {}: must have at most {most} items", items.len()));
        }
        for (index, item) in items.iter().enumerate() {
            self.value(item, of, &place.item(index));
        }
        if let Unique::Field(key) = unique {
            let mut seen = HashSet::new();
            for (index, item) in items.iter().enumerate() {
                let key_value = item.get(key).map(Value::to_string).unwrap_or_default();
                if !seen.insert(key_value.clone()) {
                    self.report(&place.item(index), format!("Duplicate value: {{{key:?}:{key_value}}}"));
                }
            }
        }
    }

    fn map(&mut self, value: &Value, of: &Shape, least: usize, place: &Place) {
        let Some(entries) = value.as_object() else { return self.wrong_type(value, "object", place) };
        if entries.len() < least {
            let field = place.field.clone();
            self.report(
                place,
                format!("Invalid value: {}: {field} in body should have at least {least} properties", entries.len()),
            );
        }
        for (key, value) in entries {
            self.value(value, of, &place.key(key));
        }
    }
}

/// Enough of a text to find it.
fn short(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Go's durations, as `1h2m3.5s`.
fn microseconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "h" => 3.6e9,
            "m" => 6e7,
            "s" => 1e6,
            "ms" => 1e3,
            "us" | "µs" => 1.0,
            "ns" => 1e-3,
            _ => return None,
        };
        sum += number * unit;
        rest = &rest[letters..];
    }
    // A cast of a float saturates.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (!text.is_empty()).then_some(sum as u64)
}

#[cfg(test)]
mod tests;
