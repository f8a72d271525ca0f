//! `orrery validate`: whether documents are what their kinds allow, without a mesh and without looking at each other.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::{Output, ValidateArgs};
use crate::input::texts;
use crate::print;

/// What is wrong with a document.
struct Mistake {
    /// `<file>:<line>`.
    place: String,
    /// `<kind> <namespace>/<name>`; empty for text that is no document.
    object: String,
    message: String,
}

/// What came of the documents of all files.
#[derive(Default)]
struct Tally {
    mistakes: Vec<Mistake>,
    valid: usize,
    /// Kinds that have no schema here.
    unknown: usize,
}

pub(super) fn run(arguments: &ValidateArgs) -> anyhow::Result<ExitCode> {
    let mut tally = Tally::default();
    for path in &arguments.file {
        for (name, text) in texts(path, arguments.recursive)? {
            validate(&name, &text, &mut tally);
        }
    }
    show(&tally, arguments.output)?;
    let others = match tally.unknown {
        0 => String::new(),
        some => format!(", {some} of kinds without a schema"),
    };
    print::note(&format!("{} valid, {} mistakes{others}", tally.valid, tally.mistakes.len()));
    Ok(if tally.mistakes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn validate(file: &str, text: &str, tally: &mut Tally) {
    let documents = match orrery_api::documents(text) {
        Ok(documents) => documents,
        Err(why) => {
            let place = format!("{file}:{}", why.line);
            tally.mistakes.push(Mistake { place, object: String::new(), message: why.message });
            return;
        }
    };
    for document in documents {
        let body = document.to_json();
        match orrery_schema::check(&body) {
            None => tally.unknown += 1,
            Some(violations) if violations.is_empty() => tally.valid += 1,
            Some(violations) => tally.mistakes.extend(violations.iter().map(|violation| Mistake {
                place: format!("{file}:{}", document.line_of(&violation.pointer)),
                object: name_of(&body),
                message: violation.to_string(),
            })),
        }
    }
}

fn name_of(body: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, metadata) = (text(&body["kind"]), &body["metadata"]);
    match text(&metadata["namespace"]).as_str() {
        "" => format!("{kind} {}", text(&metadata["name"])),
        namespace => format!("{kind} {namespace}/{}", text(&metadata["name"])),
    }
}

fn show(tally: &Tally, output: Output) -> anyhow::Result<()> {
    let documents = || -> Vec<Value> {
        let one = |mistake: &Mistake| json!({ "reference": mistake.place, "origin": mistake.object, "message": mistake.message });
        tally.mistakes.iter().map(one).collect()
    };
    match output {
        Output::Json => print::json(&Value::Array(documents())),
        Output::Yaml => print::data(&serde_saphyr::to_string(&documents())?),
        Output::Table => {
            for mistake in &tally.mistakes {
                let object = if mistake.object.is_empty() { String::new() } else { format!("{}: ", mistake.object) };
                print::error(&format!("{}: {object}{}", mistake.place, mistake.message));
            }
            Ok(())
        }
    }
}
