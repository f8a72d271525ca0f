//! What a control plane is told when it starts. Plain values: whoever reads arguments makes them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use orrery_api::MeshConfig;

/// Everything that a control plane needs to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// The directory of YAML files that is watched, and that applied objects are written to.
    pub config_dir: PathBuf,
    /// Where the authority's keys live across restarts.
    pub state_dir: PathBuf,
    /// Where each server listens.
    pub addresses: Addresses,
    /// Trust domain of every identity, such as `cluster.local`.
    pub trust_domain: String,
    /// The cluster's id, as metrics and traces name it.
    pub cluster_id: String,
    /// DNS suffix of services, such as `cluster.local`.
    pub domain: String,
    /// Mesh-wide behaviour (Istio's MeshConfig).
    pub mesh: Mesh,
    /// The same as a MeshConfig says it, which comes before; the ConfigMap `istio` of the root namespace comes before
    /// both.
    pub mesh_config: MeshConfig,
    /// Bearer token of the configuration API; `None` closes that API.
    pub admin_token: Option<String>,
    /// Further DNS names in the xDS server's certificate.
    pub server_names: Vec<String>,
    /// How changes are gathered before proxies are told.
    pub debounce: Debounce,
    /// Proxies at the same time.
    pub max_proxies: usize,
}

/// Where each server listens; port 0 takes any free one.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// xDS and the CA over TLS.
    pub xds: SocketAddr,
    /// The same without encryption; only on loopback, unless asked otherwise.
    pub xds_plaintext: Option<SocketAddr>,
    /// Metrics, readiness, debugging and the configuration API.
    pub debug: SocketAddr,
}

/// Mesh-wide behaviour, with Istio's names for it.
#[derive(Debug, Clone)]
pub struct Mesh {
    /// `outboundTrafficPolicy.mode`: whether hosts that the mesh does not know can be reached.
    pub allow_unknown_destinations: bool,
    /// `accessLogFile` and `accessLogEncoding`.
    pub access_log: AccessLog,
    /// Share of requests that are traced when the caller did not decide, in percent.
    pub trace_sampling: f64,
    /// Whether workloads refuse plaintext when no PeerAuthentication says otherwise.
    pub strict_mtls: bool,
}

/// The proxies' access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLog {
    /// None.
    Off,
    /// Envoy's default text format, on standard output.
    Text,
    /// The same fields as JSON.
    Json,
}

/// How changes are gathered.
#[derive(Debug, Clone, Copy)]
pub struct Debounce {
    /// Wait until nothing changed for this long,
    pub quiet: Duration,
    /// but no longer than this after the first change.
    pub most: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            config_dir: PathBuf::from("config"),
            state_dir: PathBuf::from("state"),
            addresses: Addresses::default(),
            trust_domain: "cluster.local".to_owned(),
            cluster_id: "Kubernetes".to_owned(),
            domain: "cluster.local".to_owned(),
            mesh: Mesh::default(),
            mesh_config: MeshConfig::default(),
            admin_token: None,
            server_names: Vec::new(),
            debounce: Debounce::default(),
            max_proxies: 20_000,
        }
    }
}

impl Default for Addresses {
    fn default() -> Self {
        let on = |ip: IpAddr, port| SocketAddr::new(ip, port);
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self { xds: on(loopback, 15012), xds_plaintext: Some(on(loopback, 15010)), debug: on(loopback, 15014) }
    }
}

impl Default for Mesh {
    fn default() -> Self {
        Self { allow_unknown_destinations: true, access_log: AccessLog::Off, trace_sampling: 1.0, strict_mtls: false }
    }
}

impl Default for Debounce {
    fn default() -> Self {
        Self { quiet: Duration::from_millis(10), most: Duration::from_millis(200) }
    }
}
