//! From good documents to bad ones.

use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use serde_json::{Map, Value, json};

use crate::seeds;

/// Text of values that break careless readers.
const EVIL: [&str; 24] = [
    "",
    "*",
    "*.",
    "**",
    ".",
    "-",
    "~",
    "/",
    "a/b/c",
    "\u{0}",
    "\n",
    "%",
    "%REQ(a)%",
    "ü\u{202e}",
    "(((((",
    "(a*)*b",
    "[",
    "\\",
    "(?i)x{1000}{1000}",
    "-1s",
    "999999999999h",
    "1e999",
    "0.0.0.0/0",
    "::1",
];
const NUMBERS: [i64; 12] = [0, 1, -1, 99, 100, 101, 599, 65_535, 65_536, 1 << 31, i64::MAX, i64::MIN];

/// The text of some documents after some changes; the whole mesh of our own comes with them.
pub(crate) fn text(seeds: &[Value], random: &mut SmallRng) -> String {
    let mut documents = seeds::own();
    for _ in 0..random.random_range(0..4) {
        documents.extend(seeds.choose(random).cloned());
    }
    for _ in 0..random.random_range(1..8) {
        let at = random.random_range(0..documents.len());
        match random.random_range(0..10) {
            0 => documents.push(documents[at].clone()),
            1 => drop(documents.swap_remove(at)),
            _ => change(&mut documents[at], seeds, random),
        }
        if documents.is_empty() {
            documents = seeds::own();
        }
    }
    let texts: Vec<String> = documents.iter().map(Value::to_string).collect();
    let mut text = texts.join("\n---\n");
    if random.random_ratio(1, 10) {
        damage(&mut text, random);
    }
    text
}

/// Changes one value somewhere in a document.
fn change(document: &mut Value, seeds: &[Value], random: &mut SmallRng) {
    let place = somewhere(document, random);
    let Some(value) = document.pointer_mut(&place) else { return };
    match random.random_range(0..9) {
        0 => *value = Value::from(*EVIL.choose(random).unwrap_or(&"")),
        1 => *value = Value::from(*NUMBERS.choose(random).unwrap_or(&0)),
        2 => {
            *value = [json!(null), json!(true), json!([]), json!({}), json!(0.5), json!("a".repeat(100_000))]
                [random.random_range(0..6)]
            .clone()
        }
        3 => repeat(value, random),
        4 => *value = json!([value.take()]),
        5 => drop_one(value, random),
        6 => rename_one(value, random),
        // A part of another document.
        _ => {
            if let Some(other) = seeds.choose(random) {
                let from = somewhere(other, random);
                *value = other.pointer(&from).cloned().unwrap_or_default();
            }
        }
    }
}

/// A JSON pointer to some value, deep ones as likely as shallow ones.
fn somewhere(value: &Value, random: &mut SmallRng) -> String {
    let mut all = Vec::new();
    places(value, String::new(), &mut all);
    all.choose(random).cloned().unwrap_or_default()
}

fn places(value: &Value, pointer: String, all: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                places(value, format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), all);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                places(value, format!("{pointer}/{index}"), all);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    all.push(pointer);
}

fn repeat(value: &mut Value, random: &mut SmallRng) {
    if let Value::Array(items) = value
        && let Some(item) = items.choose(random).cloned()
    {
        let times = if random.random_ratio(1, 50) { 2_000 } else { 5 };
        items.extend(std::iter::repeat_n(item, times));
    }
}

fn drop_one(value: &mut Value, random: &mut SmallRng) {
    match value {
        Value::Object(fields) => {
            if let Some(key) = some_key(fields, random) {
                fields.remove(&key);
            }
        }
        Value::Array(items) if !items.is_empty() => drop(items.swap_remove(random.random_range(0..items.len()))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => *value = Value::Null,
    }
}

fn rename_one(value: &mut Value, random: &mut SmallRng) {
    if let Value::Object(fields) = value
        && let Some(key) = some_key(fields, random)
        && let Some(held) = fields.remove(&key)
    {
        fields.insert((*EVIL.choose(random).unwrap_or(&"x")).to_owned(), held);
    }
}

fn some_key(fields: &Map<String, Value>, random: &mut SmallRng) -> Option<String> {
    let keys: Vec<&String> = fields.keys().collect();
    keys.choose(random).map(|key| (*key).clone())
}

/// Changes the text itself.
fn damage(text: &mut String, random: &mut SmallRng) {
    let mut place = random.random_range(0..=text.len());
    while !text.is_char_boundary(place) {
        place -= 1;
    }
    match random.random_range(0..4) {
        0 => text.truncate(place),
        1 => text.insert_str(place, "{[{[{["),
        2 => text.insert_str(place, &"[".repeat(5_000)),
        _ => text.insert_str(place, "\n- \t: &a *a\n"),
    }
}
