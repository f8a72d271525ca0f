//! The command line of Orrery: every role of the mesh, the demo that runs them all, and the commands that talk to a
//! running mesh.
//!
//! The only crate that reads arguments, the environment and the user's files. What a role does is in its own crate.

use std::process::ExitCode;

use clap::Parser;

pub mod bookinfo;
pub mod cli;
mod client;
mod command;
pub mod demo;
mod duration;
mod input;
mod interception;
mod logging;
mod mesh;
mod print;
mod profile;
mod role;
mod shutdown;
mod supervise;
mod table;
pub mod traffic;
mod workload;

/// Reads the arguments, does what they say, and gives the exit status: 0 done, 1 failed or found problems, 2 wrong usage.
pub fn run() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => return usage_status(&usage),
    };
    // Fails only if a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let outcome = logging::start(cli.log_level.as_deref(), &cli.command).and_then(|()| command::run(cli.command));
    match outcome {
        Ok(status) => status,
        Err(error) => {
            print::error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Help and version go to standard output with status 0, wrong usage to standard error with status 2.
fn usage_status(usage: &clap::Error) -> ExitCode {
    // Nowhere to report a closed terminal to.
    let _ = usage.print();
    if usage.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
}
