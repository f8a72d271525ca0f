//! A control plane as a process of its own, on a directory of configuration.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};
use tempfile::TempDir;

use crate::eventually::eventually;
use crate::http::{Ask, Connection, get};

const TOKEN: &str = "a token that only this process knows";

/// A running control plane; stopped when dropped.
pub struct Control {
    child: Child,
    directory: TempDir,
    /// Discovery, not encrypted.
    pub xds: SocketAddr,
    debug: SocketAddr,
    /// When the process was started.
    pub begun: Instant,
}

impl Control {
    /// Starts on the configuration that `write` puts into a directory, and waits until it listens.
    pub async fn start(program: &Path, write: impl FnOnce(&Path) -> std::io::Result<()>) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let config = directory.path().join("config");
        fs::create_dir(&config).expect("a configuration directory");
        write(&config).expect("a written configuration");
        let token = directory.path().join("token");
        fs::write(&token, TOKEN).expect("a token file");
        let log = directory.path().join("control.log");
        let file = fs::File::create(&log).expect("a log file");
        let begun = Instant::now();
        let child = Command::new(program)
            .args(["control", "--exit-with-parent"])
            .args(["--xds", "127.0.0.1:0", "--xds-plaintext", "127.0.0.1:0", "--debug", "127.0.0.1:0"])
            .arg("--config-dir")
            .arg(&config)
            .arg("--state-dir")
            .arg(directory.path().join("state"))
            .arg("--admin-token-file")
            .arg(&token)
            .stdin(Stdio::piped())
            .stdout(file.try_clone().expect("a log file"))
            .stderr(file)
            .spawn()
            .expect("the control plane starts");
        let addresses = eventually("the control plane listens", Duration::from_secs(20), || async {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let found = [address(&text, "xds-plaintext"), address(&text, "debug")];
            match found {
                [Some(xds), Some(debug)] => Ok((xds, debug)),
                [None, _] | [_, None] => Err(text),
            }
        })
        .await;
        Self { child, directory, xds: addresses.0, debug: addresses.1, begun }
    }

    /// The configuration directory.
    pub fn config(&self) -> PathBuf {
        self.directory.path().join("config")
    }

    /// Applies documents, as `orrery apply` does.
    pub async fn apply(&self, text: &str) -> Result<()> {
        let mut connection = Connection::open(self.debug).await?;
        let authorization = format!("Bearer {TOKEN}");
        let ask = Ask {
            method: Some(Method::POST),
            path: "/api/v1/apply",
            headers: &[("authorization", &authorization)],
            body: text.as_bytes(),
        };
        let answer = connection.ask(&ask).await?;
        ensure!(answer.status == StatusCode::OK, "{}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        Ok(())
    }

    /// Its own metrics, by name and labels.
    pub async fn metrics(&self) -> Result<BTreeMap<String, f64>> {
        let answer = get(&format!("http://{}/metrics", self.debug)).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Ok(lines.filter_map(sample).collect())
    }

    /// How often each kind of unit was compiled: clusters, hosts, tables, frames.
    pub async fn compiled(&self) -> Result<[f64; 4]> {
        let metrics = self.metrics().await?;
        let of = |unit: &str| metrics.get(&format!("orrery_control_compiled_total{{unit=\"{unit}\"}}")).copied();
        let all = ["clusters", "hosts", "tables", "frames"].map(|unit| of(unit).unwrap_or_default());
        Ok(all)
    }

    /// Resident memory in MiB, now and at most.
    pub fn memory(&self) -> Result<(f64, f64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| -> Result<f64> {
            let line = status.lines().find(|line| line.starts_with(name)).context("no such field in /proc")?;
            let kib: f64 = line.split_whitespace().nth(1).context("no value in /proc")?.parse()?;
            Ok(kib / 1024.0)
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    /// CPU seconds so far, user and system.
    pub fn cpu(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let rest = stat.rsplit_once(')').context("no command in /proc")?.1;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks: f64 =
            fields.get(11..13).context("too few fields in /proc")?.iter().flat_map(|ticks| ticks.parse::<f64>()).sum();
        // USER_HZ is 100 on Linux, whatever the kernel's own is.
        Ok(ticks / 100.0)
    }
}

/// The address after `<name> listens on`.
fn address(log: &str, name: &str) -> Option<SocketAddr> {
    let marker = format!(": {name} listens on ");
    let line = log.lines().find(|line| line.contains(&marker))?;
    line.rsplit_once(' ')?.1.trim().parse().ok()
}

impl Drop for Control {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
