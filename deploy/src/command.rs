//! From the parsed arguments to what does the work.

use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use tokio::runtime::{Builder, Runtime};

use crate::cli::{Cli, Command, ProxyCommand, ProxyConfigCommand};
use crate::{bookinfo, demo, role, traffic};

mod analyze;
mod api;
mod apply;
mod dashboard;
mod delete;
mod get;
pub(crate) mod graph;
mod kinds;
mod profile;
mod proxy_config;
mod token;
mod validate;
mod version;

/// Does what the command says.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(arguments) => many_threads()?.block_on(demo::run(arguments)),
        Command::Up(arguments) => many_threads()?.block_on(demo::up(arguments)),
        Command::Proxy(ProxyCommand::Sidecar(arguments)) => role::proxy::run(arguments, role::proxy::Kind::Sidecar),
        Command::Proxy(ProxyCommand::Router(arguments)) => role::proxy::run(arguments, role::proxy::Kind::Router),
        Command::Proxy(ProxyCommand::Hop(arguments)) => role::hop::run(arguments),
        Command::Control(arguments) => done(many_threads()?.block_on(role::control::run(arguments))),
        Command::Telemetry(arguments) => done(many_threads()?.block_on(role::telemetry::run(arguments))),
        Command::Apply(arguments) => one_thread()?.block_on(apply::run(arguments)),
        Command::Get(arguments) => one_thread()?.block_on(get::run(arguments)),
        Command::Delete(arguments) => one_thread()?.block_on(delete::run(arguments)),
        Command::Analyze(arguments) => one_thread()?.block_on(analyze::run(arguments)),
        Command::Validate(arguments) => validate::run(&arguments),
        Command::Graph(arguments) => one_thread()?.block_on(graph::run(arguments)),
        Command::Dashboard(arguments) => dashboard::run(&arguments),
        Command::ProxyConfig(ProxyConfigCommand::Bootstrap(arguments)) => {
            one_thread()?.block_on(proxy_config::bootstrap(arguments))
        }
        Command::Profile(arguments) => profile::run(arguments),
        Command::Token(arguments) => token::run(arguments),
        Command::Version(arguments) => one_thread()?.block_on(version::run(arguments)),
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "orrery", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Bookinfo(arguments) => done(one_thread()?.block_on(bookinfo::run(arguments))),
        Command::Traffic(arguments) => done(one_thread()?.block_on(traffic::run(arguments))),
    }
}

fn done(outcome: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    outcome.map(|()| ExitCode::SUCCESS)
}

fn one_thread() -> anyhow::Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("cannot start the runtime")
}

fn many_threads() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}
