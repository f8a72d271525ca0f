//! Log lines on standard error: what is logged, and whether in colour.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::cli::Command;
use crate::print;

/// Starts logging with this filter, or with the command's default.
pub(crate) fn start(filter: Option<&str>, command: &Command) -> anyhow::Result<()> {
    let filter = filter.unwrap_or_else(|| default_filter(command));
    let filter = EnvFilter::try_new(filter).with_context(|| format!("--log-level {filter:?}"))?;
    let colour = std::io::stderr().is_terminal() && print::colour_wanted();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour).init();
    Ok(())
}

fn default_filter(command: &Command) -> &'static str {
    match command {
        Command::Proxy(_)
        | Command::Control(_)
        | Command::Telemetry(_)
        | Command::Bookinfo(_)
        | Command::Traffic(_) => "info",
        Command::Demo(_)
        | Command::Up(_)
        | Command::Apply(_)
        | Command::Get(_)
        | Command::Delete(_)
        | Command::Graph(_)
        | Command::Dashboard(_)
        | Command::Profile(_)
        | Command::Token(_)
        | Command::Version(_)
        | Command::Completion { .. } => "warn",
    }
}
