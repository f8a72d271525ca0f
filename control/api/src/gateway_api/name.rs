//! Host names and section names, as the CRDs want them.

use crate::reader::{Fields, Reader};

/// Longest host name (RFC 1123).
const LONGEST_HOST: usize = 253;

/// A host name; `wildcard`: its first label may be `*`. Reports it if it is none.
pub(super) fn host(reader: &Reader<'_>, wildcard: Wildcard) -> Option<String> {
    let text = reader.text()?;
    let rest = match wildcard {
        Wildcard::Allowed => text.strip_prefix("*.").unwrap_or(&text),
        Wildcard::Refused => &text,
    };
    if is_domain(rest) && text.len() <= LONGEST_HOST {
        return Some(text);
    }
    let hint = match wildcard {
        Wildcard::Allowed => "lower-case labels with dots between them; the first label may be *",
        Wildcard::Refused => "lower-case labels with dots between them, without *",
    };
    reader.report(format!("{text:?} is no host name"), hint);
    None
}

/// Whether `*` may stand for labels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wildcard {
    Allowed,
    Refused,
}

/// The host names of a route.
pub(super) fn hosts(spec: &Fields<'_>) -> Vec<String> {
    let list = spec.list("hostnames");
    at_most(spec, "hostnames", list.len(), 16);
    list.iter().filter_map(|reader| host(reader, Wildcard::Allowed)).collect()
}

/// The name of a listener, rule or section.
pub(super) fn section(fields: &Fields<'_>, name: &str) -> Option<String> {
    let reader = fields.take(name)?;
    let text = reader.text()?;
    if is_domain(&text) && text.len() <= LONGEST_HOST {
        return Some(text);
    }
    reader.report(format!("{text:?} is no name of a section"), "lower-case letters, digits, '-' and '.'");
    None
}

/// Reports a list that is longer than the CRD allows.
pub(super) fn at_most(fields: &Fields<'_>, name: &str, length: usize, most: usize) {
    if length > most {
        fields.report(format!("{name} has {length} items: at most {most} are allowed"), "");
    }
}

fn is_domain(text: &str) -> bool {
    !text.is_empty() && text.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !label.is_empty() && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
}
