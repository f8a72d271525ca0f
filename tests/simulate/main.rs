//! Configuration in YAML, calls, and what comes of them: the same files for our own decisions, our proxy and a real Envoy.
//!
//! `SUBJECT=core` (without it) asks our own decisions without a socket. `CASE=name` runs the files whose name has this in it, as an
//! argument does. `README.md` in this folder says how a file is written.

mod answer;
mod case;
mod check;
mod client_hello;
mod cluster;
mod coverage;
mod files;
mod node;
mod run;
mod secrets;
mod subject;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let filters = files::filters();
    let files = files::matching(&filters);
    println!("\nrunning {} tests", files.len() + usize::from(filters.is_empty()));
    let mut failed = Vec::new();
    let mut passed = 0;
    let mut told = |name: &str, path: &Path, outcome: Result<(), Vec<String>>| match outcome {
        Ok(()) => {
            println!("test {name} ... ok");
            passed += 1;
        }
        Err(wrong) => {
            println!("test {name} ... FAILED");
            failed.push(format!("{name} ({}) ----\n{}", path.display(), wrong.join("\n")));
        }
    };
    if filters.is_empty() {
        told("every conformance manifest has its file", &files::folder(), coverage::conformance());
    }
    for file in &files {
        told(&file.name, &file.path, run::file(file));
    }
    for wrong in &failed {
        println!("\n---- {wrong}");
    }
    let outcome = if failed.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {outcome}. {passed} passed; {} failed; 0 ignored; 0 measured; 0 filtered out\n",
        failed.len()
    );
    if failed.is_empty() && !files.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
