//! What the control plane takes for many services and proxies: time, bytes, memory, and what it compiles.
//!
//! ```text
//! cargo build --release -p orrery
//! cargo bench -p orrery-tests --bench control -- [--services 1000,10000] [--proxies 200] [--changes 100]
//! ```
//!
//! For each number of services a directory is written with, for every one, a Service with ten Pods and a VirtualService of
//! two routes, over 20 namespaces and ten ports. A control plane is started on it as a process, and as many proxies as asked
//! for connect with streams of their own (delta ADS on loopback) and acknowledge everything. Then single changes are
//! applied: a Pod of another service becomes unready, a VirtualService gets another timeout, each when all have the last.
//!
//! The latency of a change is from the request that applies it to a proxy's decoded response, over all changes and proxies.
//! Clients and control plane share the machine, and its load is part of every figure. Exit code 1 when a limit is missed; for
//! other than the first number of services the limits are that it works, and that a change costs no more.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use orrery_tests::ads::{Fleet, Received};
use orrery_tests::control::Control;
use orrery_tests::tools;
use orrery_tests::wide_mesh::Shape;

/// What is asked of 1,000 services with 10 endpoints, 2,000 routes and 200 proxies on two cores.
const ALL_SYNCED: Duration = Duration::from_secs(10);
const CHANGE_P99: Duration = Duration::from_millis(100);
const MEMORY_MIB: f64 = 300.0;
/// So long may nothing come before the run counts as broken.
const SILENCE: Duration = Duration::from_secs(120);

struct Options {
    services: Vec<usize>,
    proxies: usize,
    changes: usize,
}

/// Figures of one number of services.
struct Figures {
    shape: Shape,
    synced: Duration,
    initial_bytes: usize,
    cpu_start: f64,
    cpu_changes: f64,
    memory: (f64, f64),
    endpoints: Change,
    files: Change,
    routes: Change,
    views: f64,
}

/// Figures of one kind of change.
struct Change {
    latencies: Vec<Duration>,
    resources: usize,
    bytes: usize,
    changes: usize,
    /// Compiled in all: clusters, hosts, tables, frames.
    compiled: [f64; 4],
    /// Resources that nobody had to be sent.
    stray: Vec<String>,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match runtime.block_on(run()) {
        Ok(missed) if missed.is_empty() => ExitCode::SUCCESS,
        Ok(missed) => {
            missed.iter().for_each(|line| eprintln!("missed: {line}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<Vec<String>> {
    let options = options()?;
    let mut all = Vec::new();
    for services in &options.services {
        let shape = Shape { services: *services, endpoints: 10, namespaces: 20, proxies: options.proxies };
        let figures = measure(shape, options.changes).await.with_context(|| format!("with {services} services"))?;
        print(&figures);
        all.push(figures);
    }
    Ok(missed(&all))
}

#[allow(clippy::disallowed_methods, reason = "this is a program, with a command line of its own")]
fn options() -> Result<Options> {
    let mut options = Options { services: vec![1000, 10_000], proxies: 200, changes: 100 };
    // Cargo adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(name) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--services" => options.services = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
            "--proxies" => options.proxies = value.parse()?,
            "--changes" => options.changes = value.parse()?,
            other => anyhow::bail!("{other} is none of --services, --proxies, --changes"),
        }
    }
    Ok(options)
}

async fn measure(shape: Shape, changes: usize) -> Result<Figures> {
    let control = Control::start(&tools::orrery(), |directory| shape.write(directory)).await;
    let mut fleet = Fleet::connect(control.xds, shape.identities(), shape.services);
    let mut complete = vec![false; shape.proxies];
    let mut initial_bytes = 0;
    let mut last = control.begun;
    while complete.contains(&false) {
        let received = fleet.next(SILENCE).await?;
        initial_bytes += received.bytes;
        complete[received.client] = received.complete;
        last = received.at;
    }
    let (synced, cpu_start) = (last - control.begun, control.cpu()?);
    let service = |number: usize| (number * 37 + 11) % shape.services;
    let endpoints = changed(&control, &mut fleet, shape, changes, "eds", |number| {
        (shape.cluster(service(number)), How::Applied(shape.pod(service(number), 0, false)))
    });
    let endpoints = endpoints.await?;
    let routes = changed(&control, &mut fleet, shape, changes, "rds", |number| {
        (shape.table(service(number)), How::Applied(shape.virtual_service(service(number), 11 + number)))
    });
    let routes = routes.await?;
    let files = changed(&control, &mut fleet, shape, changes.min(20), "eds", |number| {
        let service = service(number + changes);
        (shape.cluster(service), How::File(format!("changed-{number}.yaml"), shape.pod(service, 1, false)))
    });
    let files = files.await?;
    let cpu_changes = control.cpu()? - cpu_start;
    let views = routes.compiled[1] / routes.changes as f64;
    let memory = control.memory()?;
    Ok(Figures { shape, synced, initial_bytes, cpu_start, cpu_changes, memory, endpoints, files, routes, views })
}

/// How a change is made.
enum How {
    Applied(String),
    /// Written into the configuration directory.
    File(String, String),
}

/// Makes changes one after the other, each when all proxies have what the last one made of a resource of this kind.
async fn changed(
    control: &Control,
    fleet: &mut Fleet,
    shape: Shape,
    changes: usize,
    kind: &'static str,
    make: impl Fn(usize) -> (String, How),
) -> Result<Change> {
    let before = control.compiled().await?;
    let mut all =
        Change { latencies: Vec::new(), resources: 0, bytes: 0, changes, compiled: [0.0; 4], stray: Vec::new() };
    for number in 0..changes {
        let (name, how) = make(number);
        let begun = Instant::now();
        match how {
            How::Applied(text) => control.apply(&text).await?,
            How::File(file, text) => std::fs::write(control.config().join(file), text)?,
        }
        let mut reached = vec![false; shape.proxies];
        while reached.contains(&false) {
            let received = fleet.next(SILENCE).await?;
            all.count(&received);
            if received.kind == kind && received.names == [name.as_str()] {
                reached[received.client] = true;
                all.latencies.push(received.at - begun);
            } else {
                all.stray.push(format!("{} {:?} to {}", received.kind, received.names, received.client));
            }
        }
    }
    let after = control.compiled().await?;
    all.compiled = std::array::from_fn(|unit| after[unit] - before[unit]);
    all.latencies.sort_unstable();
    Ok(all)
}

impl Change {
    fn count(&mut self, received: &Received) {
        self.resources += received.count;
        self.bytes += received.bytes;
    }

    fn percentile(&self, percent: usize) -> Duration {
        let index = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(index).copied().unwrap_or_default()
    }

    fn row(&self, name: &str, proxies: usize) -> String {
        let each = |value: f64| value / self.changes as f64;
        let [clusters, hosts, tables, frames] = self.compiled.map(each);
        format!(
            "{name:<34} {:>7.1} {:>7.1} {:>7.1} {:>9.2} {:>10.0} {clusters:>9.1} {hosts:>6.1} {tables:>7.1} {frames:>7.1}",
            millis(self.percentile(50)),
            millis(self.percentile(99)),
            millis(self.percentile(100)),
            each(self.resources as f64) / proxies as f64,
            each(self.bytes as f64) / proxies as f64,
        )
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[allow(clippy::print_stdout, reason = "the table is what this program is for")]
fn print(figures: &Figures) {
    let shape = figures.shape;
    println!(
        "{} services x {} endpoints, {} routes, {} proxies in {} views",
        shape.services,
        shape.endpoints,
        shape.services * 2,
        shape.proxies,
        figures.views
    );
    println!(
        "start to all synced {:.2} s, {:.0} MB sent; CPU {:.1} s to start, {:.1} s for all changes; memory {:.0} MiB now, {:.0} at most",
        figures.synced.as_secs_f64(),
        figures.initial_bytes as f64 / 1e6,
        figures.cpu_start,
        figures.cpu_changes,
        figures.memory.0,
        figures.memory.1,
    );
    println!(
        "{:<34} {:>7} {:>7} {:>7} {:>9} {:>10} {:>9} {:>6} {:>7} {:>7}",
        "one change of", "p50 ms", "p99 ms", "max ms", "resources", "bytes", "clusters", "hosts", "tables", "frames"
    );
    println!("{:<34} {:>25} {:>18} {:>32}", "", "", "sent to a proxy", "compiled");
    println!("{}", figures.endpoints.row("an endpoint, applied", shape.proxies));
    println!("{}", figures.files.row("an endpoint, in the directory", shape.proxies));
    println!("{}", figures.routes.row("a VirtualService, applied", shape.proxies));
    println!();
}

/// Limits that were not kept.
fn missed(all: &[Figures]) -> Vec<String> {
    let mut missed = Vec::new();
    let mut check = |holds: bool, text: String| {
        if !holds {
            missed.push(text);
        }
    };
    for figures in all {
        let services = figures.shape.services;
        for (name, change) in [
            ("endpoint", &figures.endpoints),
            ("endpoint in the directory", &figures.files),
            ("VirtualService", &figures.routes),
        ] {
            check(
                change.stray.is_empty(),
                format!("{services} services: {name}: also sent {:?}", first(&change.stray)),
            );
        }
        let per_change = |change: &Change| change.compiled.map(|units| units / change.changes as f64);
        let [clusters, hosts, tables, _] = per_change(&figures.endpoints);
        check(
            (clusters, hosts, tables) == (1.0, 0.0, 0.0),
            format!("{services} services: an endpoint compiled more than its service"),
        );
        let [clusters, hosts, tables, _] = per_change(&figures.routes);
        let expected = (0.0, figures.views, figures.views);
        check(
            (clusters, hosts, tables) == expected,
            format!("{services} services: a VirtualService compiled more than its host and table"),
        );
    }
    if let Some(figures) = all.first() {
        check(figures.synced <= ALL_SYNCED, format!("all synced after {:?}, not {ALL_SYNCED:?}", figures.synced));
        let p99 = figures.endpoints.percentile(99);
        check(p99 <= CHANGE_P99, format!("an endpoint arrived after {p99:?} (p99), not {CHANGE_P99:?}"));
        let most = figures.memory.1;
        check(most <= MEMORY_MIB, format!("{most:.0} MiB resident, not {MEMORY_MIB}"));
        for other in all.iter().skip(1) {
            let (p50, other_p50) = (figures.endpoints.percentile(50), other.endpoints.percentile(50));
            // Twice is noise on a machine that others use too; ten times the services would be ten times the cost.
            check(
                other_p50 <= p50 * 2,
                format!(
                    "an endpoint takes {other_p50:?} with {} services, {p50:?} with {}",
                    other.shape.services, figures.shape.services
                ),
            );
        }
    }
    missed
}

fn first(stray: &[String]) -> Vec<&String> {
    stray.iter().take(3).collect()
}
