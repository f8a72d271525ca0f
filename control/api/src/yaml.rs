//! YAML text as a tree whose every node knows its line.
//!
//! Built from the parser's events with limits on size, depth and number of nodes, so that aliases cannot blow it up.

use std::collections::HashMap;
use std::net::Ipv6Addr;

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value as Json};

/// Bytes of one file.
const LARGEST: usize = 8 << 20;
const DEEPEST: usize = 64;
/// Nodes of one file, aliases counted by what they stand for.
const NODES: usize = 500_000;
const DOCUMENTS: usize = 5_000;

/// A node of the tree.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) node: Node,
}

/// Text that is no YAML, or too much of it.
#[derive(Clone, Debug)]
pub(crate) struct YamlError {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) message: String,
}

/// The documents of a text; empty ones are left out.
pub(crate) fn documents(text: &str) -> Result<Vec<Node>, YamlError> {
    if text.len() > LARGEST {
        return Err(error(1, 1, format!("the file has {} bytes; at most {LARGEST} are read", text.len())));
    }
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|scan| {
            let marker = scan.marker();
            error(marker.line().max(1), marker.col() + 1, format!("this is no YAML: {}", scan.info()))
        })?;
        builder.event(event, span.start.line(), span.start.col() + 1)?;
    }
    Ok(builder.documents)
}

fn error(line: usize, column: usize, message: impl Into<String>) -> YamlError {
    YamlError { line, column, message: message.into() }
}

#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

/// A collection that is not closed yet.
struct Open {
    line: usize,
    column: usize,
    anchor: usize,
    size: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<(String, usize, usize)> },
}

impl Builder {
    fn event(&mut self, event: Event<'_>, line: usize, column: usize) -> Result<(), YamlError> {
        match event {
            Event::SequenceStart(_, anchor, _) => self.open(line, column, anchor, Content::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => {
                self.open(line, column, anchor, Content::Map { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let value = if plain { plain_scalar(&text) } else { Value::Text(text.into_owned()) };
                let node = Node { line, column, value };
                if anchor > 0 {
                    self.anchors.insert(anchor, (node.clone(), 1));
                }
                self.add(node, 1)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some((mut node, size)) => {
                    node.line = line;
                    self.add(node, size)
                }
                None => Err(error(line, column, "the alias refers to something that contains it")),
            },
            _ => Ok(()),
        }
    }

    fn open(&mut self, line: usize, column: usize, anchor: usize, content: Content) -> Result<(), YamlError> {
        if self.open.len() >= DEEPEST {
            return Err(error(line, column, format!("nested more than {DEEPEST} deep")));
        }
        self.open.push(Open { line, column, anchor, size: 1, content });
        Ok(())
    }

    fn close(&mut self) -> Result<(), YamlError> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, .. } => ipv6_in_list(&entries).map_or(Value::Map(entries), Value::Text),
        };
        let node = Node { line: open.line, column: open.column, value };
        if open.anchor > 0 {
            self.anchors.insert(open.anchor, (node.clone(), open.size));
        }
        self.add(node, open.size)
    }

    /// Puts a finished node where it belongs. `size` counts the nodes in it.
    fn add(&mut self, node: Node, size: usize) -> Result<(), YamlError> {
        self.nodes += size;
        if self.nodes > NODES {
            return Err(error(node.line, node.column, format!("more than {NODES} values")));
        }
        let Some(parent) = self.open.last_mut() else {
            if !matches!(node.value, Value::Null) {
                self.documents.push(node);
            }
            if self.documents.len() > DOCUMENTS {
                return Err(error(1, 1, format!("more than {DOCUMENTS} documents")));
            }
            return Ok(());
        };
        parent.size += size;
        match &mut parent.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, key } => match key.take() {
                None => *key = Some((key_text(&node)?, node.line, node.column)),
                Some((name, line, column)) => {
                    if entries.iter().any(|entry| entry.key == name) {
                        return Err(error(line, column, format!("the key {name} is there twice")));
                    }
                    entries.push(Entry { key: name, line, column, node });
                }
            },
        }
        Ok(())
    }
}

/// `[2001:db8::]` is a list of one pair with the key `2001:db8:` in YAML 1.2, and of one text to the API server's parser
/// and to everybody who writes it.
fn ipv6_in_list(entries: &[Entry]) -> Option<String> {
    match entries {
        [only] if matches!(only.node.value, Value::Null) && only.key.ends_with(':') => {
            let text = format!("{}:", only.key);
            text.parse::<Ipv6Addr>().is_ok().then_some(text)
        }
        _ => None,
    }
}

fn key_text(node: &Node) -> Result<String, YamlError> {
    match &node.value {
        Value::Text(text) => Ok(text.clone()),
        Value::Int(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null | Value::Float(_) | Value::List(_) | Value::Map(_) => {
            Err(error(node.line, node.column, "a key must be text"))
        }
    }
}

/// Unquoted scalars by YAML 1.2's core schema, as Kubernetes reads them.
fn plain_scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    if let Ok(number) = text.parse::<i64>() {
        return Value::Int(number);
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    match text.parse::<f64>() {
        Ok(number) if numeric && number.is_finite() => Value::Float(number),
        Ok(_) | Err(_) => Value::Text(text.to_owned()),
    }
}

impl Node {
    /// The same without places.
    pub(crate) fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(flag) => Json::Bool(*flag),
            Value::Int(number) => Json::from(*number),
            Value::Float(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
            Value::Text(text) => Json::from(text.as_str()),
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => {
                let fields: Map<String, Json> =
                    entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect();
                Json::Object(fields)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_become_trees_with_lines() {
        let text = "a: 1\nb:\n- x: yes\n  y: \"2\"\n---\n\n---\nc: {d: [1.5, null, ~, true]}\n";
        let documents = documents(text).unwrap();
        let json: Vec<_> = documents.iter().map(Node::to_json).collect();
        assert_eq!(
            json,
            [json!({"a": 1, "b": [{"x": "yes", "y": "2"}]}), json!({"c": {"d": [1.5, null, null, true]}})]
        );
        let Value::Map(entries) = &documents[0].value else { panic!() };
        let Value::List(items) = &entries[1].node.value else { panic!() };
        assert_eq!((entries[1].line, items[0].line), (2, 3));
    }

    #[test]
    fn addresses_in_lists_are_text() {
        let documents = documents("a: [1.2.3.4, 2001:db8::, b: ]\n").unwrap();
        assert_eq!(documents[0].to_json(), json!({"a": ["1.2.3.4", "2001:db8::", {"b": null}]}));
    }

    #[test]
    fn mistakes_have_their_line() {
        for (text, line) in [("a: 1\na: 2\n", 2), ("a: [1\n", 1), ("a:\n\t- b\n", 2), ("? [x]\n: 1\n", 1)] {
            let error = documents(text).unwrap_err();
            assert_eq!(error.line, line, "{text:?}: {}", error.message);
        }
    }

    #[test]
    fn aliases_are_counted_by_what_they_stand_for() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let alias = format!("*a{}", level - 1);
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(", ")));
        }
        assert!(documents(&bomb).unwrap_err().message.contains("more than"));
        let fine = documents("a: &x {b: 1}\nc: *x\n").unwrap();
        assert_eq!(fine[0].to_json(), json!({"a": {"b": 1}, "c": {"b": 1}}));
    }

    #[test]
    fn depth_is_limited() {
        let deep = "[".repeat(10_000);
        assert!(documents(&deep).is_err());
    }
}
