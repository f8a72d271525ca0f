//! Strict reading of a tree: typed fields are taken by name, and what nobody took is an unknown field.
//!
//! Mistakes are gathered, not returned one by one: reading goes on with a default, and the document is refused at its end.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::duration;
use crate::problem::{Located, Place, Problem};
use crate::yaml::{Entry, Node, Value};

/// Characters of each part of a mistake that are told.
const LONGEST_MESSAGE: usize = 400;
/// Characters of their ends that are told even so.
const LONGEST_END: usize = 100;
/// Mistakes of one document that are told.
const MOST_PROBLEMS: usize = 100;

/// Whose mistakes are gathered.
#[derive(Debug, Default)]
pub(crate) struct Subject {
    pub(crate) file: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    problems: RefCell<Vec<Problem>>,
}

/// A value at a place.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    pub(crate) node: &'a Node,
    pub(crate) place: Place,
    subject: &'a Subject,
}

/// The fields of an object; each can be taken once.
pub(crate) struct Fields<'a> {
    entries: Vec<(&'a Entry, Cell<bool>)>,
    pub(crate) place: Place,
    subject: &'a Subject,
}

impl Subject {
    pub(crate) fn of(file: &str) -> Self {
        Self { file: file.to_owned(), ..Self::default() }
    }

    pub(crate) fn report(&self, place: &Place, message: impl Into<String>, hint: impl Into<String>) {
        if self.problems.borrow().len() >= MOST_PROBLEMS {
            return;
        }
        self.problems.borrow_mut().push(Problem {
            file: self.file.clone(),
            line: place.line,
            column: place.column,
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            field: short(&place.field),
            message: short(&message.into()),
            hint: short(&hint.into()),
        });
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// Documents decide what is told of them, not how much: of longer texts begin and end.
fn short(text: &str) -> String {
    let begin = text.char_indices().nth(LONGEST_MESSAGE).map(|(at, _)| at);
    let end = text.char_indices().rev().nth(LONGEST_END).map(|(at, _)| at);
    match (begin, end) {
        (Some(begin), Some(end)) if begin < end => {
            format!("{} [{} bytes] {}", &text[..begin], end - begin, &text[end..])
        }
        _ => text.to_owned(),
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(node: &'a Node, place: Place, subject: &'a Subject) -> Self {
        Self { node, place, subject }
    }

    pub(crate) fn report(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.subject.report(&self.place, message, hint);
    }

    fn wrong_type(&self, wanted: &str) {
        self.report(format!("{wanted} is expected here, not {}", describe(self.node)), "");
    }

    pub(crate) fn text(&self) -> Option<String> {
        match &self.node.value {
            Value::Text(text) => Some(text.clone()),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => {
                self.wrong_type("text");
                None
            }
        }
    }

    pub(crate) fn located_text(&self) -> Option<Located<String>> {
        self.text().map(|value| Located { value, place: self.place.clone() })
    }

    pub(crate) fn flag(&self) -> Option<bool> {
        match &self.node.value {
            Value::Bool(flag) => Some(*flag),
            Value::Null | Value::Text(_) | Value::Int(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => {
                self.wrong_type("true or false");
                None
            }
        }
    }

    /// A whole number within bounds, both included.
    pub(crate) fn number(&self, least: i64, most: i64) -> Option<i64> {
        match &self.node.value {
            Value::Int(number) if (least..=most).contains(number) => Some(*number),
            Value::Int(number) => {
                self.report(format!("{number} is out of range: {least} to {most} is allowed"), "");
                None
            }
            Value::Null | Value::Bool(_) | Value::Float(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
                self.wrong_type("a whole number");
                None
            }
        }
    }

    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn decimal(&self, least: f64, most: f64) -> Option<f64> {
        let number = match &self.node.value {
            Value::Int(number) => *number as f64,
            Value::Float(number) => *number,
            Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
                self.wrong_type("a number");
                return None;
            }
        };
        if !(least..=most).contains(&number) {
            self.report(format!("{number} is out of range: {least} to {most} is allowed"), "");
            return None;
        }
        Some(number)
    }

    pub(crate) fn duration(&self) -> Option<Duration> {
        let text = self.text()?;
        match duration::parse(&text) {
            Ok(duration) => Some(duration),
            Err(why) => {
                self.report(format!("{text:?} is no duration: {why}"), "write it as 5s, 100ms or 1h30m");
                None
            }
        }
    }

    /// One of a list of words.
    pub(crate) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.report(format!("{text:?} is not one of {}", known.join(", ")), "");
        None
    }

    pub(crate) fn list(&self) -> Vec<Self> {
        let Value::List(items) = &self.node.value else {
            self.wrong_type("a list");
            return Vec::new();
        };
        let item = |(at, node): (usize, &'a Node)| {
            let field = format!("{}[{at}]", self.place.field);
            Self { node, place: Place { line: node.line, column: node.column, field }, subject: self.subject }
        };
        items.iter().enumerate().map(item).collect()
    }

    pub(crate) fn fields(&self) -> Option<Fields<'a>> {
        let Value::Map(entries) = &self.node.value else {
            self.wrong_type("an object");
            return None;
        };
        let entries = entries.iter().map(|entry| (entry, Cell::new(false))).collect();
        Some(Fields { entries, place: self.place.clone(), subject: self.subject })
    }

    /// An object whose values are all text (labels, header values).
    pub(crate) fn text_map(&self) -> BTreeMap<String, String> {
        self.entries().into_iter().filter_map(|(key, value)| Some((key, value.text()?))).collect()
    }

    /// An object whose keys are not fixed.
    pub(crate) fn entries(&self) -> Vec<(String, Self)> {
        let Some(fields) = self.fields() else { return Vec::new() };
        fields.entries.iter().map(|(entry, _)| (entry.key.clone(), fields.child(entry))).collect()
    }
}

impl<'a> Fields<'a> {
    pub(crate) fn report(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.subject.report(&self.place, message, hint);
    }

    fn child(&self, entry: &'a Entry) -> Reader<'a> {
        let field =
            if self.place.field.is_empty() { entry.key.clone() } else { format!("{}.{}", self.place.field, entry.key) };
        Reader {
            node: &entry.node,
            place: Place { line: entry.line, column: entry.column, field },
            subject: self.subject,
        }
    }

    /// A field that is there and not null.
    pub(crate) fn take(&self, name: &str) -> Option<Reader<'a>> {
        let (entry, taken) = self.entries.iter().find(|(entry, _)| entry.key == name)?;
        taken.set(true);
        if matches!(entry.node.value, Value::Null) { None } else { Some(self.child(entry)) }
    }

    /// A field that must be there.
    pub(crate) fn require(&self, name: &str) -> Option<Reader<'a>> {
        let found = self.take(name);
        if found.is_none() {
            self.report(format!("the field {name} is missing"), "");
        }
        found
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(entry, _)| entry.key == name)
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.take(name)?.text()
    }

    pub(crate) fn list(&self, name: &str) -> Vec<Reader<'a>> {
        self.take(name).map(|reader| reader.list()).unwrap_or_default()
    }

    pub(crate) fn texts(&self, name: &str) -> Vec<Located<String>> {
        self.list(name).iter().filter_map(Reader::located_text).collect()
    }

    pub(crate) fn fields(&self, name: &str) -> Option<Self> {
        self.take(name)?.fields()
    }

    pub(crate) fn text_map(&self, name: &str) -> BTreeMap<String, String> {
        self.take(name).map(|reader| reader.text_map()).unwrap_or_default()
    }

    pub(crate) fn duration(&self, name: &str) -> Option<Duration> {
        self.take(name)?.duration()
    }

    /// A number from 0 on that fits 32 bits.
    pub(crate) fn count(&self, name: &str) -> Option<u32> {
        self.take(name)?.number(0, i64::from(u32::MAX)).and_then(|number| u32::try_from(number).ok())
    }

    pub(crate) fn port(&self, name: &str) -> Option<u16> {
        self.take(name)?.number(1, 65_535).and_then(|number| u16::try_from(number).ok())
    }

    /// Refuses fields that Istio has and this version does not act on.
    pub(crate) fn not_supported(&self, names: &[&str]) {
        for name in names {
            if let Some(reader) = self.take(name) {
                reader.report("this field is not supported yet", "leave it out: it would have no effect");
            }
        }
    }

    /// Refuses what nobody took.
    pub(crate) fn finish(self, known: &[&str]) {
        for (entry, _) in self.entries.iter().filter(|(_, taken)| !taken.get()) {
            let near = nearest(&entry.key, known).map(|near| format!("did you mean {near}?")).unwrap_or_default();
            self.child(entry).report("this field is not known", near);
        }
    }

    /// Fields that others own may be there.
    pub(crate) fn ignore_rest(self) {}
}

fn describe(node: &Node) -> String {
    match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => format!("the number {number}"),
        Value::Float(number) => format!("the number {number}"),
        Value::Text(text) => format!("the text {text:?}"),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "an object".to_owned(),
    }
}

/// A known word at a small distance.
pub(crate) fn nearest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    let near = known.iter().map(|other| (distance(&word.to_lowercase(), &other.to_lowercase()), *other)).min()?;
    (near.0 <= 2 && near.0 < word.len()).then_some(near.1)
}

/// Levenshtein's distance.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, c) in one.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, d) in other.iter().enumerate() {
            let change = diagonal + usize::from(c != *d);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}
