//! A real Prometheus as a child process.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tempfile::TempDir;

use crate::eventually::eventually;
use crate::http::{get, get_json};
use crate::tools;

/// Prometheus with one scrape job that finds its targets by HTTP service discovery.
pub struct Prometheus {
    child: Child,
    pub url: String,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts it with nothing but `http_sd_configs` pointing at `discovery`.
    pub async fn start(discovery: &str) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let config = directory.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: mesh\n  http_sd_configs:\n  - url: {discovery}\n    refresh_interval: 1s\n"
        );
        std::fs::write(&config, text).expect("a configuration file");
        // Prometheus cannot say which port it got, so one is asked of the system first.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
        let log = std::fs::File::create(directory.path().join("log")).expect("a log file");
        let child = Command::new(tools::program("prometheus", "prometheus"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={free}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn()
            .expect("prometheus starts");
        let url = format!("http://{free}");
        let prometheus = Self { child, url, _directory: directory };
        let ready = format!("{}/-/ready", prometheus.url);
        eventually("prometheus is ready", Duration::from_secs(30), || async {
            let answer = get(&ready).await?;
            anyhow::ensure!(answer.status.is_success(), "{}", answer.status);
            anyhow::Ok(())
        })
        .await;
        prometheus
    }

    /// Addresses of targets and whether their last scrape succeeded.
    pub async fn targets(&self) -> Result<Vec<(String, bool)>> {
        let answer = get_json(&format!("{}/api/v1/targets", self.url)).await?;
        let active = answer["data"]["activeTargets"].as_array().cloned().unwrap_or_default();
        Ok(active
            .iter()
            .map(|t| (t["labels"]["instance"].as_str().unwrap_or_default().to_owned(), t["health"] == "up"))
            .collect())
    }

    /// An instant query; the result vector.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>> {
        let answer = get_json(&format!("{}/api/v1/query?query={}", self.url, encode(expression))).await?;
        Ok(answer["data"]["result"].as_array().cloned().unwrap_or_default())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
