//! What a proxy is told when it starts. Plain values: whoever reads arguments makes them.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use orrery_engine::node::Node;
use serde_json::{Map, Value, json};

use crate::logging::LogLevel;

/// Everything that a proxy needs to start.
#[derive(Clone)]
pub struct Config {
    pub kind: NodeKind,
    /// Names and labels; its `id` is filled in from the rest.
    pub node: Node,
    /// The address that the mesh knows the workload by.
    pub address: IpAddr,
    /// Where the application listens when nothing is redirected; the same port numbers as on `address`.
    pub app_address: Option<IpAddr>,
    pub interception: Interception,
    /// DNS suffix of services, such as `cluster.local`.
    pub domain: String,
    pub control: ControlPlane,
    /// OTLP/gRPC endpoint, `http://host:4317`; `None`: nothing is pushed and nothing traced.
    pub telemetry: Option<String>,
    pub push_interval: Duration,
    /// Threads that serve traffic.
    pub workers: usize,
    pub ports: Ports,
    /// How long requests may go on after the proxy was asked to stop (Istio's `terminationDrainDuration`).
    pub drain: Duration,
    /// How the process's log level is read and changed at run time.
    pub log_level: LogLevel,
}

/// What kind of proxy this is, as node ids spell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    Sidecar,
    /// A gateway.
    Router,
}

/// How traffic gets to the proxy (Istio's `interceptionMode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interception {
    /// Nothing is redirected: the proxy's own addresses are called.
    None,
    /// The kernel redirects, and the original destination is asked of it.
    Redirect,
}

/// How the control plane is reached and recognised.
#[derive(Clone, Debug)]
pub struct ControlPlane {
    /// `host:port` of xDS and the CA over TLS.
    pub address: String,
    /// PEM file with the roots that the control plane's certificate is checked against.
    pub root_certificate: PathBuf,
    /// The DNS name in its certificate.
    pub server_name: String,
    /// File with the bootstrap or service account token, read again at each use.
    pub token_file: Option<PathBuf>,
}

/// The proxy's own servers; port 0 takes any free one.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// Admin interface; loopback only.
    pub admin: SocketAddr,
    /// Metrics and readiness, 15020.
    pub status: SocketAddr,
    /// Readiness, 15021.
    pub health: SocketAddr,
    /// Metrics, 15090.
    pub prometheus: SocketAddr,
}

impl NodeKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sidecar => "sidecar",
            Self::Router => "router",
        }
    }
}

impl Interception {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Redirect => "REDIRECT",
        }
    }
}

impl Ports {
    /// The usual ports on an address; the admin interface on loopback unless the address is one.
    pub fn on(address: IpAddr) -> Self {
        let admin = if address.is_loopback() { address } else { IpAddr::from([127, 0, 0, 1]) };
        Self {
            admin: SocketAddr::new(admin, 15000),
            status: SocketAddr::new(address, 15020),
            health: SocketAddr::new(address, 15021),
            prometheus: SocketAddr::new(address, 15090),
        }
    }
}

impl Config {
    /// `sidecar~<ip>~<pod>.<namespace>~<namespace>.svc.<domain>`.
    pub fn node_id(&self) -> String {
        let Node { name, namespace, .. } = &self.node;
        format!("{}~{}~{name}.{namespace}~{namespace}.svc.{}", self.kind.as_str(), self.address, self.domain)
    }

    /// `<app>.<namespace>`: the node's cluster in xDS and the service's name in telemetry.
    pub fn service_name(&self) -> String {
        let app = self.node.labels.get("app").map_or(self.node.workload.as_str(), String::as_str);
        format!("{app}.{}", self.node.namespace)
    }

    /// Node metadata under the keys that Istio's agents use.
    pub fn metadata(&self) -> Map<String, Value> {
        let node = &self.node;
        let mut metadata = Map::new();
        for (key, value) in [
            ("NAME", &node.name),
            ("NAMESPACE", &node.namespace),
            ("WORKLOAD_NAME", &node.workload),
            ("SERVICE_ACCOUNT", &node.service_account),
            ("CLUSTER_ID", &node.cluster_id),
            ("MESH_ID", &node.mesh_id),
            ("OWNER", &node.owner),
        ] {
            metadata.insert(key.to_owned(), json!(value));
        }
        metadata.insert("INSTANCE_IPS".into(), json!(self.address.to_string()));
        metadata.insert("LABELS".into(), json!(node.labels));
        metadata.insert("INTERCEPTION_MODE".into(), json!(self.interception.as_str()));
        metadata.insert("GENERATOR".into(), json!("orrery"));
        if let Some(app) = self.app_address {
            metadata.insert("APP_ADDRESS".into(), json!(app.to_string()));
        }
        metadata
    }
}
