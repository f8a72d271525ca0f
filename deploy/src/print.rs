//! Words on the terminal: data to standard output, messages to standard error, colour only where it is wanted.

use std::io::{self, IsTerminal, Write};

use anyhow::Context;
use serde_json::Value;

/// Whether the user allows colour at all (no-color.org).
#[allow(clippy::disallowed_methods, reason = "the command line reads the environment")]
pub(crate) fn colour_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// An error on standard error.
pub(crate) fn error(text: &str) {
    labelled("error", "31", text);
}

/// A warning on standard error.
pub(crate) fn warning(text: &str) {
    labelled("warning", "33", text);
}

/// A message on standard error.
pub(crate) fn note(text: &str) {
    // A closed standard error is nobody's loss.
    let _ = writeln!(io::stderr(), "{text}");
}

fn labelled(label: &str, colour: &str, text: &str) {
    let painted = colour_wanted() && io::stderr().is_terminal();
    let label = if painted { format!("\x1b[1;{colour}m{label}:\x1b[0m") } else { format!("{label}:") };
    note(&format!("{label} {text}"));
}

/// Data on standard output, with a line end.
///
/// # Errors
/// When standard output is closed or full.
pub(crate) fn data(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    write!(out, "{text}{end}").and_then(|()| out.flush()).context("cannot write to standard output")
}

/// A value as indented JSON.
///
/// # Errors
/// When standard output is closed or full.
pub(crate) fn json(value: &Value) -> anyhow::Result<()> {
    data(&serde_json::to_string_pretty(value)?)
}

/// A value as YAML; an array as one document for each item.
///
/// # Errors
/// When standard output is closed or full, or a value has no YAML form.
pub(crate) fn yaml(value: &Value) -> anyhow::Result<()> {
    match value {
        Value::Array(items) => {
            let documents: Result<Vec<String>, _> = items.iter().map(serde_saphyr::to_string).collect();
            data(&documents?.join("---\n"))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            data(&serde_saphyr::to_string(value)?)
        }
    }
}
