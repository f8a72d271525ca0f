//! `orrery demo` and `orrery up`: a whole mesh on this machine, each part a process of this binary.

mod bookinfo;
pub(crate) mod described;
mod host;
mod mirror;
mod namespaces;
mod planes;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::mpsc::Receiver;

use crate::cli::{DemoArgs, GraphType, UpArgs};
use crate::client::Client;
use crate::command::graph;
use crate::supervise::Report;
use crate::{mesh, print, shutdown};
use host::{Host, Look};
use mirror::Mirror;
use namespaces::Namespaces;

/// Longest time until everything answers.
const READY: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(30);
/// How often the described workloads are compared with the running proxies.
const FOLLOW: Duration = Duration::from_secs(1);

/// Where the control plane of a mesh keeps its keys.
pub fn control_state(state_dir: &Path) -> PathBuf {
    state_dir.join("control")
}

/// Runs the demo until it is asked to stop, or for the time that it was given.
pub async fn run(arguments: DemoArgs) -> anyhow::Result<ExitCode> {
    let stop = shutdown::token(false)?;
    let namespaces = match arguments.netns {
        true => {
            let network = host::network(&arguments.host, true)?;
            Some(Namespaces::prepare(network, &bookinfo::services(network))?)
        }
        false => None,
    };
    let mut host = Host::prepare(&arguments.host, namespaces)?;
    let outcome = tokio::select! {
        outcome = run_demo(&mut host, &arguments) => outcome,
        () = stop.cancelled() => Ok(ExitCode::SUCCESS),
    };
    host.stop().await;
    outcome
}

async fn run_demo(host: &mut Host, arguments: &DemoArgs) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    bookinfo::write(host)?;
    let mirror = match &arguments.config {
        Some(directory) => Some(Mirror::start(directory, host.config_dir().join("added"))?),
        None => None,
    };
    let mut reports = host.start_planes()?;
    for workload in &bookinfo::workloads(host.network()) {
        host.start_proxy(workload)?;
    }
    bookinfo::start_applications(host)?;
    if !arguments.headless {
        print::note("starting control plane, aggregator, services and their proxies");
    }
    let gateway = format!("{}:8080", host.network().mesh(bookinfo::GATEWAY));
    tokio::select! {
        ready = await_ready(host, &gateway) => ready.with_context(|| host.logs_hint())?,
        () = tell(&mut reports) => {}
    }
    if !arguments.no_traffic {
        host.start_traffic(&gateway, arguments.rps)?;
    }
    host.publish()?;
    print::data(&host.welcome(&gateway, begun.elapsed(), Look::of(arguments.headless)))?;
    let over = async {
        match arguments.duration {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    let followed = async {
        match mirror {
            Some(mirror) => mirror.follow().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = tell(&mut reports) => {}
        () = followed => {}
        () = over => {}
    }
    summary(host, arguments).await
}

/// `orrery up`: control plane, aggregator, and proxies for the workloads that a directory of YAML describes.
pub async fn up(arguments: UpArgs) -> anyhow::Result<ExitCode> {
    let stop = shutdown::token(false)?;
    let mut host = Host::prepare(&arguments.host, None)?.with_config(&arguments.config)?;
    let outcome = tokio::select! {
        outcome = run_up(&mut host, arguments.headless) => outcome,
        () = stop.cancelled() => Ok(()),
    };
    host.stop().await;
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn run_up(host: &mut Host, headless: bool) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut reports = host.start_planes()?;
    let planes = host.planes();
    tokio::select! {
        ready = await_addresses(&planes) => ready.with_context(|| host.logs_hint())?,
        () = tell(&mut reports) => {}
    }
    let first = described::read(host.config_dir());
    host.follow(&first.workloads).await?;
    host.publish()?;
    print::data(&host.welcome("", begun.elapsed(), Look::of(headless)))?;
    tokio::select! {
        () = tell(&mut reports) => Ok(()),
        outcome = follow(host, first.problems) => outcome,
    }
}

/// Keeps the proxies those of the described workloads, for ever.
async fn follow(host: &mut Host, mut problems: Vec<String>) -> anyhow::Result<()> {
    problems.iter().for_each(|problem| print::warning(problem));
    loop {
        tokio::time::sleep(FOLLOW).await;
        let described = described::read(host.config_dir());
        described.problems.iter().filter(|problem| !problems.contains(problem)).for_each(|new| print::warning(new));
        problems = described.problems;
        if host.follow(&described.workloads).await? {
            host.publish()?;
        }
    }
}

/// Everything answers, and a request goes through the whole mesh.
async fn await_ready(host: &Host, gateway: &str) -> anyhow::Result<()> {
    let mut all = host.planes();
    all.extend(host.proxies().map(|address| (format!("{address}:15021"), "/healthz/ready")));
    all.push((gateway.to_owned(), "/productpage"));
    await_addresses(&all).await
}

async fn await_addresses(all: &[(String, &'static str)]) -> anyhow::Result<()> {
    let client = Client::default();
    let begun = Instant::now();
    for (address, path) in all {
        loop {
            let last = match client.get(address, path, Duration::from_secs(5)).await {
                Ok(answer) if answer.status().is_success() => break,
                Ok(answer) => format!("{} {}", answer.status(), String::from_utf8_lossy(answer.body()).trim()),
                Err(error) => error.to_string(),
            };
            if begun.elapsed() > READY {
                bail!("{address}{path} is not ready after {READY:?}: {last}");
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(())
}

/// Says what happens to parts, for ever.
async fn tell(reports: &mut Receiver<Report>) {
    while let Some(report) = reports.recv().await {
        match report {
            Report::Died { name, how, pause } => {
                print::warning(&format!("{name} died ({how}); started again in {pause:?}"))
            }
            Report::Restarted { name } => print::note(&format!("{name} runs again")),
            Report::Failed { name, why } => print::warning(&format!("{name} cannot be started: {why}")),
        }
    }
    std::future::pending().await
}

async fn summary(host: &Host, arguments: &DemoArgs) -> anyhow::Result<ExitCode> {
    let window = arguments.duration.unwrap_or(Duration::from_secs(60)).min(Duration::from_secs(60));
    let found = graph::fetch(&mesh::url(host.ui()), "all", GraphType::VersionedApp, window).await;
    let edges = graph::edges(&found.context("no summary")?);
    if edges.is_empty() {
        print::error("there was no traffic");
        return Ok(ExitCode::FAILURE);
    }
    print::data(&graph::table(&edges).render())?;
    Ok(ExitCode::SUCCESS)
}
