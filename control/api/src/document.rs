//! Documents as they came, of any kind: for those that look at what `parse` would refuse or does not know.

use serde_json::Value as Json;

use crate::parse::list_items;
use crate::yaml::{self, Node, Value};

/// A YAML document that remembers its lines.
#[derive(Clone, Debug)]
pub struct Document {
    node: Node,
}

/// Text that is no YAML, or too much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoYaml {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    pub message: String,
}

/// Reads all documents of a text; the items of a `kind: List` are documents of their own, empty ones are left out.
///
/// # Errors
/// When the text is no YAML or exceeds the limits on size, depth and count.
pub fn documents(text: &str) -> Result<Vec<Document>, NoYaml> {
    let nodes = yaml::documents(text).map_err(|error| NoYaml {
        line: error.line,
        column: error.column,
        message: error.message,
    })?;
    Ok(nodes.iter().flat_map(list_items).map(|node| Document { node: node.clone() }).collect())
}

impl Document {
    /// The document without places.
    pub fn to_json(&self) -> Json {
        self.node.to_json()
    }

    /// The line of a value by its JSON pointer (RFC 6901), or of the innermost part of it that exists. From 1.
    pub fn line_of(&self, pointer: &str) -> usize {
        let mut node = &self.node;
        let mut line = node.line;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let next = match &node.value {
                Value::Map(entries) => {
                    entries.iter().find(|entry| entry.key == step).map(|entry| (&entry.node, entry.line))
                }
                Value::List(items) => {
                    step.parse::<usize>().ok().and_then(|index| items.get(index)).map(|item| (item, item.line))
                }
                Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => None,
            };
            let Some((next, at)) = next else { break };
            (node, line) = (next, at);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_pointer() {
        let text = "kind: List\nitems:\n- a:\n    b/c:\n    - 1\n    - d: 2\n- e: 3\n";
        let documents = documents(text).unwrap();
        assert_eq!(documents.len(), 2);
        for (pointer, line) in [("", 3), ("/a", 3), ("/a/b~1c", 4), ("/a/b~1c/1/d", 6), ("/a/b~1c/7/d", 4), ("/x", 3)] {
            assert_eq!(documents[0].line_of(pointer), line, "{pointer}");
        }
        assert_eq!(documents[1].to_json(), serde_json::json!({"e": 3}));
    }

    #[test]
    fn what_is_no_yaml_has_its_line() {
        assert_eq!(documents("a: 1\nb: [\n").map(|_| ()).unwrap_err().line, 2);
    }
}
