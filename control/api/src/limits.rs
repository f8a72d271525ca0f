//! Limits on what a document may hold, whatever its kind: text that is too long to be meant.

use crate::kind::Kind;
use crate::problem::Place;
use crate::reader::Subject;
use crate::yaml::{Node, Value};

/// Bytes of one text. Envoy takes request headers of 60 KiB together.
const LONGEST_TEXT: usize = 64 << 10;
/// Bytes of one annotation, as Kubernetes limits all of an object's together.
const LONGEST_ANNOTATION: usize = 256 << 10;
/// Bytes of a key. Labels and annotations have 317 at most.
const LONGEST_KEY: usize = 1 << 10;

/// Reports text that is too long.
pub(crate) fn check(document: &Node, kind: Kind, subject: &Subject) {
    let mut walk = Walk { kind, subject, field: String::new() };
    walk.node(document, LONGEST_TEXT);
}

struct Walk<'a> {
    kind: Kind,
    subject: &'a Subject,
    field: String,
}

impl Walk<'_> {
    fn node(&mut self, node: &Node, longest: usize) {
        match &node.value {
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {}
            Value::Text(text) => self.text("the text", text.len(), longest, (node.line, node.column)),
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.inside(&format!("[{index}]"), |walk| walk.node(item, longest));
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    self.text("the key", entry.key.len(), LONGEST_KEY, (entry.line, entry.column));
                    let step = if self.field.is_empty() { entry.key.clone() } else { format!(".{}", entry.key) };
                    let Some(longest) = self.longest(&step, longest) else { continue };
                    self.inside(&step, |walk| walk.node(&entry.node, longest));
                }
            }
        }
    }

    fn inside(&mut self, step: &str, look: impl FnOnce(&mut Self)) {
        let before = self.field.len();
        self.field.push_str(step);
        look(self);
        self.field.truncate(before);
    }

    /// The limit below a field; nothing where the kind's own reader has one.
    fn longest(&self, step: &str, longest: usize) -> Option<usize> {
        let own = match self.kind {
            Kind::Secret | Kind::ConfigMap => matches!(step, "data" | "stringData" | "binaryData"),
            Kind::VirtualService => step == ".directResponse",
            _ => false,
        };
        match (own, step) {
            (true, _) => None,
            (false, ".annotations") if self.field == "metadata" => Some(LONGEST_ANNOTATION),
            (false, _) => Some(longest),
        }
    }

    fn text(&self, what: &str, bytes: usize, longest: usize, (line, column): (usize, usize)) {
        if bytes > longest {
            let place = Place { line, column, field: self.field.clone() };
            self.subject.report(&place, format!("{what} has {bytes} bytes; at most {longest} are taken"), "");
        }
    }
}
