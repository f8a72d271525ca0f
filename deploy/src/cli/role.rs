//! Flags of the roles: proxy, control plane, telemetry.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "one value per process")]
pub enum ProxyCommand {
    /// The proxy beside one workload
    Sidecar(ProxyArgs),
    /// A gateway
    Router(ProxyArgs),
    /// One hop without a control plane, to measure what it costs
    Hop(HopArgs),
}

#[derive(Debug, Clone, Args)]
pub struct ProxyArgs {
    /// Name of the pod or workload entry
    #[arg(long)]
    pub name: String,
    /// Its namespace
    #[arg(short, long, default_value = "default")]
    pub namespace: String,
    /// Its service account
    #[arg(long, default_value = "default")]
    pub service_account: String,
    /// Name of what owns it, such as the Deployment [default: the name]
    #[arg(long)]
    pub workload: Option<String>,
    /// A label of the workload; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    pub labels: Vec<(String, String)>,
    /// Address of the workload, as other workloads see it
    #[arg(long)]
    pub address: IpAddr,
    /// Where the application listens, when that is another address (interception none)
    #[arg(long)]
    pub app_address: Option<IpAddr>,
    /// The control plane
    #[arg(long, default_value = "istiod.istio-system.svc:15012", value_name = "HOST:PORT")]
    pub discovery: String,
    /// The mesh's root certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub root_cert: PathBuf,
    /// The bootstrap token of the service account
    #[arg(long, value_name = "FILE")]
    pub token_file: PathBuf,
    /// Where signals are pushed to, OTLP over gRPC, such as http://127.0.0.1:4317 [default: nowhere]
    #[arg(long, value_name = "URL")]
    pub telemetry: Option<String>,
    /// How the application's traffic gets here
    #[arg(long, value_enum, default_value_t)]
    pub interception: Interception,
    /// Trust domain of identities
    #[arg(long, default_value = "cluster.local")]
    pub trust_domain: String,
    /// Cluster that the workload belongs to
    #[arg(long, default_value = "Kubernetes")]
    pub cluster_id: String,
    /// Mesh that the workload belongs to [default: the trust domain]
    #[arg(long)]
    pub mesh_id: Option<String>,
    /// DNS suffix of services
    #[arg(long, default_value = "cluster.local")]
    pub domain: String,
    /// Where the admin interface listens
    #[arg(long, default_value = "127.0.0.1:15000")]
    pub admin: SocketAddr,
    /// Threads that carry traffic [default: one for each processor]
    #[arg(long)]
    pub workers: Option<usize>,
    /// Stop when standard input ends
    #[arg(long, hide = true)]
    pub exit_with_parent: bool,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("KEY=VALUE is expected".to_owned()),
    }
}

/// How a workload's traffic reaches its proxy; Istio's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Interception {
    /// The application calls the outbound listener, and callers the workload's own address
    #[default]
    None,
    /// Connections are redirected to the proxy in the workload's network namespace
    Redirect,
}

#[derive(Debug, Clone, Args)]
pub struct HopArgs {
    /// Where to listen
    #[arg(long)]
    pub listen: SocketAddr,
    /// Where to forward to
    #[arg(long, value_name = "HOST:PORT")]
    pub upstream: String,
    /// What flows: HTTP/1.1, HTTP/2, HTTP as a mesh configures it (100 virtual hosts, telemetry, tracing headers), or bytes
    #[arg(long, value_enum, default_value_t)]
    pub mode: HopMode,
    /// TLS towards the client
    #[arg(long, value_enum, default_value_t)]
    pub tls_in: HopTlsIn,
    /// TLS towards the upstream
    #[arg(long, value_enum, default_value_t)]
    pub tls_out: HopTlsOut,
    /// Directory of ca.pem, server.pem, server.key, client.pem and client.key
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub certs: PathBuf,
    /// HTTP version towards the client
    #[arg(long, value_enum, default_value_t)]
    pub proto_in: HopProtocol,
    /// HTTP version towards the upstream
    #[arg(long, value_enum, default_value_t)]
    pub proto_out: HopProtocol,
    /// Threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
    /// Configure so many further services
    #[arg(long, default_value_t = 0)]
    pub services: usize,
    /// Endpoints of each of them
    #[arg(long, default_value_t = 0)]
    pub endpoints: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum HopMode {
    #[default]
    Http,
    H2,
    Mesh,
    Tcp,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum HopTlsIn {
    #[default]
    None,
    Server,
    Mutual,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum HopTlsOut {
    #[default]
    None,
    Mutual,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum HopProtocol {
    #[default]
    H1,
    H2,
}

#[derive(Debug, Clone, Args)]
pub struct ControlArgs {
    /// The directory of YAML that is watched; applied objects are written below it
    #[arg(long, default_value = "config", value_name = "DIR")]
    pub config_dir: PathBuf,
    /// Where the authority's keys are kept
    #[arg(long, default_value = "state", value_name = "DIR")]
    pub state_dir: PathBuf,
    /// xDS and certificate authority, TLS
    #[arg(long, default_value = "127.0.0.1:15012")]
    pub xds: SocketAddr,
    /// The same without TLS
    #[arg(long, default_value = "127.0.0.1:15010")]
    pub xds_plaintext: SocketAddr,
    /// Metrics, readiness, debug pages and the configuration API
    #[arg(long, default_value = "127.0.0.1:15014")]
    pub debug: SocketAddr,
    /// Further DNS names in the server's certificate; may be repeated
    #[arg(long = "server-name", value_name = "NAME")]
    pub server_names: Vec<String>,
    /// File with the bearer token of the configuration API [default: that API is closed]
    #[arg(long, value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
    /// Trust domain of identities
    #[arg(long)]
    pub trust_domain: Option<String>,
    /// Cluster id in metrics and traces
    #[arg(long, default_value = "Kubernetes")]
    pub cluster_id: String,
    /// DNS suffix of services
    #[arg(long, default_value = "cluster.local")]
    pub domain: String,
    /// Istio's MeshConfig in a file; the ConfigMap istio of the root namespace comes before it, and it before flags
    #[arg(long, value_name = "FILE")]
    pub mesh_config: Option<PathBuf>,
    /// Whether hosts that the mesh does not know can be reached
    #[arg(long, value_enum, default_value_t)]
    pub outbound_traffic_policy: OutboundPolicy,
    /// Access log of the proxies
    #[arg(long, value_enum, default_value_t)]
    pub access_log: AccessLog,
    /// Share of requests that are traced when the caller did not decide, in per cent
    #[arg(long, default_value_t = 1.0, value_name = "PERCENT")]
    pub trace_sampling: f64,
    /// Refuse plaintext between workloads unless a PeerAuthentication says otherwise
    #[arg(long)]
    pub strict_mtls: bool,
    /// Stop when standard input ends
    #[arg(long, hide = true)]
    pub exit_with_parent: bool,
}

/// MeshConfig's `outboundTrafficPolicy.mode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum OutboundPolicy {
    #[default]
    AllowAny,
    RegistryOnly,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum AccessLog {
    /// None
    #[default]
    Off,
    /// Envoy's default text format
    Text,
    /// JSON
    Json,
}

#[derive(Debug, Clone, Args)]
pub struct TelemetryArgs {
    /// OTLP over gRPC
    #[arg(long, default_value = "127.0.0.1:4317")]
    pub otlp_grpc: SocketAddr,
    /// OTLP over HTTP
    #[arg(long, default_value = "127.0.0.1:4318")]
    pub otlp_http: SocketAddr,
    /// Prometheus HTTP API, federation and service discovery
    #[arg(long, default_value = "127.0.0.1:9090")]
    pub query: SocketAddr,
    /// Jaeger query API
    #[arg(long, default_value = "127.0.0.1:16686")]
    pub tracing: SocketAddr,
    /// Web UI and its API
    #[arg(long, default_value = "127.0.0.1:20001")]
    pub ui: SocketAddr,
    /// How long signals are kept
    #[arg(long, default_value = "1h", value_parser = crate::duration::parse, value_name = "TIME")]
    pub retention: std::time::Duration,
    /// Stop when standard input ends
    #[arg(long, hide = true)]
    pub exit_with_parent: bool,
}
