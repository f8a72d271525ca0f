//! `orrery demo` and `orrery up`: a whole mesh on this machine, each part a process of this binary.

mod bookinfo;
mod host;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use crate::cli::{DemoArgs, GraphType, UpArgs};
use crate::client::Client;
use crate::command::graph;
use crate::supervise::Report;
use crate::{mesh, print, shutdown};
use host::Host;

/// Longest time until everything answers.
const READY: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(30);

/// Where the control plane of a mesh keeps its keys.
pub fn control_state(state_dir: &Path) -> PathBuf {
    state_dir.join("control")
}

/// Runs the demo until it is asked to stop, or for the time that it was given.
pub async fn run(arguments: DemoArgs) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let stop = shutdown::token(false)?;
    let mut host = Host::prepare(&arguments.host)?;
    bookinfo::write(&host, arguments.config.as_deref())?;
    let reports = host.start_planes()?;
    let workloads = bookinfo::workloads(host.network());
    for workload in &workloads {
        host.start_proxy(workload)?;
    }
    bookinfo::start_applications(&mut host)?;
    let gateway = format!("{}:8080", host.network().mesh(bookinfo::GATEWAY));
    let outcome = run_started(&mut host, &arguments, &gateway, begun, reports, &stop).await;
    host.stop().await;
    outcome
}

async fn run_started(
    host: &mut Host,
    arguments: &DemoArgs,
    gateway: &str,
    begun: Instant,
    reports: Receiver<Report>,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    tokio::select! {
        ready = await_ready(host, gateway) => ready?,
        () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
    }
    if !arguments.no_traffic {
        host.start_traffic(gateway, arguments.rps)?;
    }
    host.publish()?;
    print::data(&host.welcome(gateway, begun.elapsed()))?;
    let over = async {
        match arguments.duration {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = tell(reports) => {}
        () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
        () = over => {}
    }
    summary(host, arguments).await
}

/// `orrery up`: the control plane and the aggregator for a directory of YAML.
pub async fn up(arguments: UpArgs) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let stop = shutdown::token(false)?;
    let mut host = Host::prepare(&arguments.host)?.with_config(arguments.config);
    let reports = host.start_planes()?;
    let started = async {
        await_addresses(&host.planes()).await?;
        host.publish()?;
        print::data(&host.welcome("", begun.elapsed()))
    };
    tokio::select! {
        started = started => started?,
        () = stop.cancelled() => {}
    }
    tokio::select! {
        () = tell(reports) => {}
        () = stop.cancelled() => {}
    }
    host.stop().await;
    Ok(ExitCode::SUCCESS)
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
async fn tell(mut reports: Receiver<Report>) {
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
