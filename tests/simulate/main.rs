//! Configuration in YAML, calls, and what comes of them: the same files for our own decisions, our proxy and a real Envoy.
//!
//! `SUBJECT=core` (without it) asks our own decisions without a socket, `SUBJECT=envoy` a real Envoy, `SUBJECT=proxy` our proxy.
//! `CASE=name` runs the files whose name has this in it, as an argument does. `README.md` in this folder says how a file is
//! written.

mod answer;
mod call;
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
mod workers;

use std::process::ExitCode;

use files::{File, Which};

fn main() -> ExitCode {
    let filters = files::filters();
    let which = files::which();
    let files: Vec<File> = files::matching(&filters).into_iter().filter(|file| run::concerns(which, file)).collect();
    let covering = filters.is_empty() && which == Which::Core;
    println!("\nrunning {} tests", files.len() + usize::from(covering));
    let mut failed = Vec::new();
    let mut passed = 0;
    let mut told = |name: &str, outcome: Result<(), Vec<String>>| match outcome {
        Ok(()) => {
            println!("test {name} ... ok");
            passed += 1;
        }
        Err(wrong) => {
            println!("test {name} ... FAILED");
            failed.push(format!("{name} ----\n{}", wrong.join("\n")));
        }
    };
    if covering {
        told("every conformance manifest has its file", coverage::conformance());
    }
    workers::run(which, &files, |file, outcome| told(&file.name, outcome));
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
