//! The demo mesh as a child process, as a person starts it.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::eventually::eventually;
use crate::http::{get, get_json};
use crate::tools;

/// A running demo with ports of its own; stopped when dropped.
pub struct Demo {
    child: Child,
    directory: TempDir,
    state: State,
    network: [u8; 2],
    /// From process start to the first answered page.
    pub ready_after: Duration,
}

/// What the mesh writes of itself into its state directory.
#[derive(Debug, Deserialize)]
pub struct State {
    pub control: String,
    pub ui: String,
    pub query: String,
    pub tracing: String,
}

impl Demo {
    /// Starts the demo on `127.<network>.0.0/16` and waits until it answers.
    pub async fn start(network: u8, arguments: &[&str]) -> Self {
        Self::launch([127, network], arguments).await
    }

    /// Starts the demo with a network namespace for each workload, on `10.<network>.0.0/16`.
    pub async fn start_in_namespaces(network: u8, arguments: &[&str]) -> Self {
        Self::launch([10, network], &[&["--netns"], arguments].concat()).await
    }

    async fn launch(network: [u8; 2], arguments: &[&str]) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let begun = Instant::now();
        let log = std::fs::File::create(directory.path().join("demo.log")).expect("a log file");
        let child = Command::new(tools::orrery())
            .args(["demo", "--headless", "--ports", "any", "--state-dir"])
            .arg(directory.path().join("state"))
            .arg("--address-range")
            .arg(format!("{}.{}.0.0/16", network[0], network[1]))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn()
            .expect("the demo starts");
        let mut demo = Self { child, directory, state: State::empty(), network, ready_after: Duration::ZERO };
        demo.await_ready(begun).await;
        demo
    }

    async fn await_ready(&mut self, begun: Instant) {
        let log = self.log_path();
        eventually("the demo is ready", Duration::from_secs(60), || async {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            text.lines().any(|line| line.contains("ready")).then_some(()).ok_or(text)
        })
        .await;
        self.ready_after = begun.elapsed();
        let file = self.state_dir().join("mesh.json");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        self.state = serde_json::from_str(&text).unwrap_or_else(|why| panic!("{}: {why}: {text}", file.display()));
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn state_dir(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    pub fn log_path(&self) -> PathBuf {
        self.directory.path().join("demo.log")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A scratch file or folder that goes with the demo.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The mesh address of the workload with this last octet (10 gateway, 11 productpage, 12 details, 13-15 reviews, 16 ratings).
    pub fn workload(&self, octet: u8, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(self.network[0], self.network[1], 0, octet)), port)
    }

    pub fn gateway(&self) -> SocketAddr {
        self.workload(10, 8080)
    }

    /// The outbound listener of productpage's sidecar.
    pub fn productpage_outbound(&self) -> SocketAddr {
        self.workload(11, 15001)
    }

    /// Kiali's graph of everything.
    pub async fn graph(&self, query: &str) -> Result<Value> {
        get_json(&format!("{}/api/namespaces/graph?namespaces=all&graphType=versionedApp&{query}", self.state.ui)).await
    }

    /// Runs the command line against this mesh.
    pub fn orrery(&self, arguments: &[&str]) -> Output {
        Command::new(tools::orrery())
            .args(arguments)
            .arg("--state-dir")
            .arg(self.state_dir())
            .stdin(Stdio::null())
            .output()
            .expect("the command line runs")
    }

    /// `orrery apply -f FILE`, which must succeed.
    pub fn apply(&self, file: &Path) {
        let output = self.orrery(&["apply", "-f", &file.display().to_string()]);
        assert!(
            output.status.success(),
            "apply {}: {}\n{}{}",
            file.display(),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// `orrery apply` of one of Istio's own Bookinfo files, unmodified.
    pub fn apply_sample(&self, name: &str) {
        self.apply(&tools::corpus(&format!("istio/samples/bookinfo-networking/{name}.yaml")));
    }

    /// Process ids of the mesh's parts whose command line has all of these words.
    pub fn parts(&self, words: &[&str]) -> Vec<u32> {
        children(self.child.id())
            .into_iter()
            .filter(|pid| {
                let line = command_line(*pid);
                words.iter().all(|word| line.iter().any(|argument| argument == word))
            })
            .collect()
    }

    /// Every process that the demo started.
    pub fn all_parts(&self) -> Vec<u32> {
        children(self.child.id())
    }

    /// Ctrl-C, then its exit status.
    pub async fn interrupt(&mut self) -> ExitStatus {
        signal(self.child.id(), Signal::SIGINT);
        let child = &mut self.child;
        for _ in 0..500 {
            if let Some(status) = child.try_wait().expect("the demo can be waited for") {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the demo did not stop within 10 s of Ctrl-C");
    }

    /// Ends the supervisor as a crash would, without a chance to clean up.
    pub fn kill(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("the demo can be killed");
    }

    /// The lines it printed so far.
    pub fn log(&self) -> Vec<String> {
        let file = std::fs::File::open(self.log_path()).expect("the demo's log");
        BufReader::new(file).lines().map_while(Result::ok).collect()
    }

    /// Waits until an HTTP GET succeeds.
    pub async fn await_url(&self, url: &str, limit: Duration) {
        eventually(url, limit, || async {
            let answer = get(url).await.context("no answer")?;
            anyhow::ensure!(answer.status.is_success(), "{}", answer.status);
            anyhow::Ok(())
        })
        .await;
    }
}

impl State {
    fn empty() -> Self {
        Self { control: String::new(), ui: String::new(), query: String::new(), tracing: String::new() }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            signal(self.child.id(), Signal::SIGTERM);
            // The supervisor gives its parts five seconds; its own end follows.
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the demo's log, {}:", self.log_path().display());
            eprintln!("{}", std::fs::read_to_string(self.log_path()).unwrap_or_default());
        }
    }
}

/// Sends a signal to one process that the test started.
pub fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("process ids fit"));
    kill(pid, signal).unwrap_or_else(|why| panic!("{signal} to {pid}: {why}"));
}

/// Whether the process still runs (a zombie does not).
pub fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit_once(") ").map(|(_, rest)| !rest.starts_with('Z')))
        .unwrap_or(false)
}

/// The arguments with which a process was started.
pub fn command_line(pid: u32) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

fn children(parent: u32) -> Vec<u32> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .ok()
                .and_then(|stat| stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok())
                == Some(parent)
        })
        .collect()
}
