//! Configuration in YAML, calls, and what comes of them: the same files for our own decisions, our proxy and a real Envoy.
//!
//! `SUBJECT=core` (without it) asks our own decisions without a socket. `CASE=name` runs the files whose name has this in it, as an
//! argument does. `README.md` in this folder says how a file is written.

mod answer;
mod case;
mod check;
mod client_hello;
mod cluster;
mod files;
mod node;
mod run;
mod secrets;
mod subject;

use std::process::ExitCode;

fn main() -> ExitCode {
    let filters = files::filters();
    let files = files::matching(&filters);
    println!("\nrunning {} tests", files.len());
    let mut failed = Vec::new();
    for file in &files {
        match run::file(file) {
            Ok(()) => println!("test {} ... ok", file.name),
            Err(wrong) => {
                println!("test {} ... FAILED", file.name);
                failed.push((file, wrong));
            }
        }
    }
    for (file, wrong) in &failed {
        println!("\n---- {} ({}) ----\n{}", file.name, file.path.display(), wrong.join("\n"));
    }
    let outcome = if failed.is_empty() { "ok" } else { "FAILED" };
    let passed = files.len() - failed.len();
    println!(
        "\ntest result: {outcome}. {passed} passed; {} failed; 0 ignored; 0 measured; 0 filtered out\n",
        failed.len()
    );
    if failed.is_empty() && !files.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
