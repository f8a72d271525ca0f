//! Log lines on standard error: what is logged, and whether in colour.

use std::io::IsTerminal;
use std::sync::OnceLock;

use anyhow::Context;
use orrery_proxy::{LevelError, LogLevel};
use tracing_subscriber::EnvFilter;

use crate::cli::Command;
use crate::print;

/// Reads and changes the level of this process, once logging has started.
static LEVEL: OnceLock<LogLevel> = OnceLock::new();

/// Starts logging with this filter, or with the command's default.
pub(crate) fn start(filter: Option<&str>, command: &Command) -> anyhow::Result<()> {
    let filter = filter.unwrap_or_else(|| default_filter(command));
    let filter = EnvFilter::try_new(filter).with_context(|| format!("--log-level {filter:?}"))?;
    let colour = std::io::stderr().is_terminal() && print::colour_wanted();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_filter_reloading();
    let (reader, changer) = (subscriber.reload_handle(), subscriber.reload_handle());
    let read = move || reader.with_current(ToString::to_string).unwrap_or_default();
    let change = move |wanted: &str| {
        let failed = |reason: String| LevelError { wanted: wanted.to_owned(), reason };
        let filter = EnvFilter::try_new(wanted).map_err(|error| failed(error.to_string()))?;
        changer.reload(filter).map_err(|error| failed(error.to_string()))
    };
    // A second start in one process keeps the first one's level.
    let _ = LEVEL.set(LogLevel::new(read, change));
    subscriber.init();
    Ok(())
}

/// How the level is read and changed while the process runs.
pub(crate) fn level() -> LogLevel {
    LEVEL.get().cloned().unwrap_or_else(|| LogLevel::fixed("off"))
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
        | Command::Analyze(_)
        | Command::Apply(_)
        | Command::Get(_)
        | Command::Delete(_)
        | Command::Validate(_)
        | Command::Graph(_)
        | Command::Dashboard(_)
        | Command::ProxyConfig(_)
        | Command::Profile(_)
        | Command::Token(_)
        | Command::Version(_)
        | Command::Completion { .. } => "warn",
    }
}
