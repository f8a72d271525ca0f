//! `orrery apply`: sends documents to the control plane and prints what became of them, or every reason against them.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::{ApplyArgs, Output};
use crate::command::api::{Api, Applied, Outcome, Problem};
use crate::input::Input;
use crate::mesh::Mesh;
use crate::print;
use crate::table::Table;

pub(super) async fn run(arguments: ApplyArgs) -> anyhow::Result<ExitCode> {
    let input = Input::read(&arguments.file)?;
    let mesh = Mesh::find(&arguments.mesh)?;
    let api = Api::new(&mesh);
    let answer = api.apply(input.text(), input.only_name(), &arguments.namespace, arguments.dry_run).await?;
    match answer {
        Ok(applied) => {
            applied.warnings.iter().for_each(|warning| print::warning(&words(warning, &input)));
            show(&applied, arguments.output, arguments.dry_run)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            problems.iter().for_each(|problem| print::error(&explain(problem, &input)));
            print::note("nothing was changed");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// `file:line:column: Kind namespace/name: field: message`, and the hint on a line of its own.
fn explain(problem: &Problem, input: &Input) -> String {
    let mut parts = vec![input.place(problem.line)];
    if let (Some(place), Some(column)) = (parts.first_mut(), problem.line.and(problem.column)) {
        place.push_str(&format!(":{column}"));
    }
    let object = [problem.kind.as_deref(), Some(&object_name(problem))]
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    parts.push(object);
    parts.extend(problem.field.clone());
    parts.push(problem.message.clone());
    parts.retain(|part| !part.is_empty());
    let text = parts.join(": ");
    match problem.hint.as_deref().filter(|hint| !hint.is_empty()) {
        Some(hint) => format!("{text}\n  {hint}"),
        None => text,
    }
}

fn object_name(problem: &Problem) -> String {
    match (problem.namespace.as_deref().filter(|n| !n.is_empty()), problem.name.as_deref().filter(|n| !n.is_empty())) {
        (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
        (None, Some(name)) => name.to_owned(),
        (Some(_) | None, None) => String::new(),
    }
}

/// A warning is a text, or has the fields of a problem.
fn words(warning: &Value, input: &Input) -> String {
    match warning {
        Value::String(text) => text.clone(),
        other => match serde_json::from_value::<Problem>(other.clone()) {
            Ok(problem) => explain(&problem, input),
            Err(_) => other.to_string(),
        },
    }
}

fn show(applied: &Applied, output: Output, dry_run: bool) -> anyhow::Result<()> {
    let rows = || {
        applied.results.iter().map(|outcome| {
            let Outcome { kind, namespace, name, result } = outcome;
            json!({ "kind": kind, "namespace": namespace, "name": name, "result": result })
        })
    };
    match output {
        Output::Json => print::json(&rows().collect()),
        Output::Yaml => print::yaml(&rows().collect()),
        Output::Table => {
            let mut table = Table::new(&["KIND", "NAMESPACE", "NAME", "RESULT"]);
            let dry = if dry_run { " (dry run)" } else { "" };
            for outcome in &applied.results {
                let Outcome { kind, namespace, name, result } = outcome;
                table.row(vec![kind.clone(), namespace.clone(), name.clone(), format!("{result}{dry}")]);
            }
            print::data(&table.render())
        }
    }
}

#[cfg(test)]
mod tests;
