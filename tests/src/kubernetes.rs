//! A real Kubernetes API on loopback: etcd, kube-apiserver and kube-controller-manager, each its own process.
//!
//! There is no kubelet and no scheduler: pods are objects until a test runs them. Each cluster has an address of its own
//! in 127.0.0.0/8, so that the well-known ports never meet.

mod certificates;
mod process;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::eventually::eventually;
use crate::http::get;
use crate::tools;
use certificates::write_certificates;
use process::Process;

const API_PORT: u16 = 6443;
const ETCD_PORT: u16 = 2379;
const ETCD_PEER_PORT: u16 = 2380;
const MANAGER_PORT: u16 = 10_257;
/// Service addresses; nothing routes to them.
const SERVICE_RANGE: &str = "10.96.0.0/16";
/// From its start until a part is ready, on a machine that is busy.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A running cluster; dropping it ends its processes.
pub struct Cluster {
    address: Ipv4Addr,
    // Ended in this order.
    _manager: Process,
    apiserver: Process,
    _etcd: Process,
    directory: TempDir,
}

impl Cluster {
    /// Starts a cluster; `number` tells it from others of the same test run.
    ///
    /// # Panics
    /// When a part is missing or does not come up; the message has its last output.
    pub async fn start(number: u8) -> Self {
        let address = own_address(number);
        let directory = TempDir::new().expect("a temporary directory");
        let home = directory.path();
        write_certificates(home, address);
        write_kubeconfig(home, address);
        let etcd = start_etcd(home, address);
        await_etcd(&etcd, address).await;
        let apiserver = start_api_server(home, address);
        await_api_server(&apiserver, home).await;
        let manager = start_manager(home, address);
        let cluster = Self { address, _manager: manager, apiserver, _etcd: etcd, directory };
        // The controllers run once every namespace has its default account.
        eventually("the default service account exists", READY_WITHIN, || async {
            cluster.kubectl(&["get", "serviceaccount", "default", "-n", "default"])
        })
        .await;
        cluster
    }

    /// Credentials of an administrator, for `kubectl` and `orrery`.
    pub fn kubeconfig(&self) -> PathBuf {
        kubeconfig(self.directory.path())
    }

    /// Runs kubectl; its output, or its complaint.
    ///
    /// # Errors
    /// When kubectl fails: what it wrote.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        kubectl(self.directory.path(), arguments, None)
    }

    /// Applies documents.
    ///
    /// # Errors
    /// When kubectl fails: what it wrote.
    pub fn apply(&self, documents: &str) -> Result<String, String> {
        kubectl(self.directory.path(), &["apply", "-f", "-"], Some(documents))
    }

    /// An object as JSON.
    ///
    /// # Errors
    /// When there is none, or no API server.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Result<Value, String> {
        let text = self.kubectl(&["get", kind, name, "-n", namespace, "-o", "json"])?;
        serde_json::from_str(&text).map_err(|error| format!("{text}: {error}"))
    }

    /// Ends the API server, as a crash would, and starts it again.
    pub async fn restart_api_server(&mut self) {
        self.apiserver.kill();
        self.apiserver = start_api_server(self.directory.path(), self.address);
        await_api_server(&self.apiserver, self.directory.path()).await;
    }
}

/// An address that only this cluster of this process has.
fn own_address(number: u8) -> Ipv4Addr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | (high & 0x3f), low, number.max(1))
}

fn start_etcd(home: &Path, address: Ipv4Addr) -> Process {
    let (client, peer) = (format!("http://{address}:{ETCD_PORT}"), format!("http://{address}:{ETCD_PEER_PORT}"));
    let mut command = Command::new(tools::program("etcd", "etcd-server"));
    command
        .args(["--name", "one", "--data-dir"])
        .arg(home.join("etcd"))
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("one={peer}")])
        // What a test stores need not outlive the machine.
        .arg("--unsafe-no-fsync");
    Process::start("etcd", command, home)
}

async fn await_etcd(etcd: &Process, address: Ipv4Addr) {
    eventually("etcd is healthy", READY_WITHIN, || async {
        let answer = get(&format!("http://{address}:{ETCD_PORT}/health")).await.map_err(|why| etcd.told(&why))?;
        if answer.status.is_success() { Ok(()) } else { Err(etcd.told(&answer.status)) }
    })
    .await;
}

fn start_api_server(home: &Path, address: Ipv4Addr) -> Process {
    let file = |name: &str| home.join(name).display().to_string();
    let mut command = Command::new(tools::built("kube-apiserver"));
    command
        .arg(format!("--etcd-servers=http://{address}:{ETCD_PORT}"))
        .arg(format!("--bind-address={address}"))
        .arg(format!("--advertise-address={address}"))
        .arg(format!("--secure-port={API_PORT}"))
        .arg(format!("--service-cluster-ip-range={SERVICE_RANGE}"))
        .arg(format!("--tls-cert-file={}", file("apiserver.crt")))
        .arg(format!("--tls-private-key-file={}", file("apiserver.key")))
        .arg(format!("--client-ca-file={}", file("ca.crt")))
        .arg(format!("--service-account-key-file={}", file("accounts.pub")))
        .arg(format!("--service-account-signing-key-file={}", file("accounts.key")))
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .args(["--authorization-mode=Node,RBAC", "--allow-privileged=true", "--endpoint-reconciler-type=none"]);
    Process::start("kube-apiserver", command, home)
}

async fn await_api_server(apiserver: &Process, home: &Path) {
    eventually("the API server is ready", READY_WITHIN, || async {
        kubectl(home, &["get", "--raw", "/readyz"], None).map_err(|why| apiserver.told(&why))
    })
    .await;
}

fn start_manager(home: &Path, address: Ipv4Addr) -> Process {
    let file = |name: &str| home.join(name).display().to_string();
    let mut command = Command::new(tools::built("kube-controller-manager"));
    command
        .arg(format!("--kubeconfig={}", kubeconfig(home).display()))
        .arg(format!("--bind-address={address}"))
        .arg(format!("--secure-port={MANAGER_PORT}"))
        .arg(format!("--root-ca-file={}", file("ca.crt")))
        .arg(format!("--service-account-private-key-file={}", file("accounts.key")))
        .args(["--leader-elect=false", "--use-service-account-credentials=false"]);
    Process::start("kube-controller-manager", command, home)
}

fn kubeconfig(home: &Path) -> PathBuf {
    home.join("admin.kubeconfig")
}

fn write_kubeconfig(home: &Path, address: Ipv4Addr) {
    let file = |name: &str| home.join(name).display().to_string();
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {
            "server": format!("https://{address}:{API_PORT}"), "certificate-authority": file("ca.crt"),
        }}],
        "users": [{"name": "admin", "user": {
            "client-certificate": file("admin.crt"), "client-key": file("admin.key"),
        }}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
    });
    // JSON is YAML too.
    std::fs::write(kubeconfig(home), config.to_string()).expect("the kubeconfig is written");
}

fn kubectl(home: &Path, arguments: &[&str], input: Option<&str>) -> Result<String, String> {
    let mut child = Command::new(tools::kubectl())
        .arg("--kubeconfig")
        .arg(kubeconfig(home))
        .args(arguments)
        // Its cache of what kinds there are must not outlive the cluster.
        .arg("--cache-dir")
        .arg(home.join("kubectl"))
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("kubectl: {error}"))?;
    if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
        std::io::Write::write_all(&mut stdin, text.as_bytes()).map_err(|error| format!("kubectl: {error}"))?;
    }
    let Output { status, stdout, stderr } = child.wait_with_output().map_err(|error| format!("kubectl: {error}"))?;
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    if status.success() { Ok(out.into_owned()) } else { Err(format!("kubectl {}: {out}{err}", arguments.join(" "))) }
}
