//! Every command and flag, as clap derives it. Types only: nothing here acts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::profile::{DumpFormat, Name as ProfileName};

mod analyze;
mod demo;
mod proxy_config;
mod role;

pub use analyze::{AnalyzeArgs, Severity};
pub use demo::{BookinfoArgs, DemoArgs, HostArgs, Network, Ports, TrafficArgs, UpArgs};
pub use proxy_config::{BootstrapArgs, BootstrapFormat, EnvoyKind, ProxyConfigCommand};
pub use role::{
    AccessLog, ControlArgs, HopArgs, HopMode, HopProtocol, HopTlsIn, HopTlsOut, Interception, OutboundPolicy,
    ProxyArgs, ProxyCommand, TelemetryArgs,
};

/// A service mesh that you can see.
#[derive(Debug, Parser)]
#[command(name = "orrery", version, about, propagate_version = true, disable_help_subcommand = true)]
pub struct Cli {
    /// What to log, such as `info`, `debug` or `warn,orrery_control=debug` (roles: info, other commands: warn)
    #[arg(long, global = true, env = "ORRERY_LOG", value_name = "FILTER")]
    pub log_level: Option<String>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "one value per process")]
pub enum Command {
    /// Run a whole mesh with a sample application on this machine; Ctrl-C stops it
    Demo(DemoArgs),
    /// Run a mesh on this machine for the workloads that a directory of YAML describes
    Up(UpArgs),
    /// Run a proxy
    #[command(subcommand)]
    Proxy(ProxyCommand),
    /// Run the control plane: configuration, xDS and certificate authority
    Control(ControlArgs),
    /// Run the telemetry aggregator and the web UI
    Telemetry(TelemetryArgs),
    /// Create or change configuration in a running mesh; all of it or, on any error, none
    Apply(ApplyArgs),
    /// Show configuration of a running mesh
    Get(GetArgs),
    /// Delete configuration from a running mesh
    Delete(DeleteArgs),
    /// Find what is wrong with configuration, in files or in a running mesh
    Analyze(AnalyzeArgs),
    /// Check documents against the schemas of Istio's kinds, without a mesh
    Validate(ValidateArgs),
    /// Show who calls whom right now: rates, errors, latency, mTLS
    Graph(GraphArgs),
    /// Open the web UI, or another page of a running mesh, in the browser
    Dashboard(DashboardArgs),
    /// Configuration of single proxies
    #[command(subcommand)]
    ProxyConfig(ProxyConfigCommand),
    /// Installation profiles
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Bootstrap tokens, with which a workload proves its service account once
    #[command(subcommand)]
    Token(TokenCommand),
    /// Show the version of this program, and of the running control plane
    Version(VersionArgs),
    /// Print completions for a shell, to be sourced by it
    Completion {
        /// The shell
        shell: Shell,
    },
    /// Run one service of the Bookinfo sample
    #[command(hide = true)]
    Bookinfo(BookinfoArgs),
    /// Send a steady rate of requests to a Bookinfo gateway
    #[command(hide = true)]
    Traffic(TrafficArgs),
}

/// Which running mesh a command talks to.
#[derive(Debug, Clone, Default, Args)]
pub struct MeshArgs {
    /// State directory of the mesh [default: the mesh started last by this user]
    #[arg(long, env = "ORRERY_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Aligned columns for people
    #[default]
    #[value(alias = "log")]
    Table,
    /// JSON
    Json,
    /// YAML
    Yaml,
}

#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// A file, a directory of .yaml and .yml files, or - for standard input; may be repeated
    #[arg(short, long = "filename", required = true, value_name = "FILE|DIR|-")]
    pub file: Vec<PathBuf>,
    /// Namespace of objects that do not name one
    #[arg(short, long, default_value = "default")]
    pub namespace: String,
    /// Check everything and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How results are printed
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    #[command(flatten)]
    pub mesh: MeshArgs,
}

#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// A file, a directory of .yaml and .yml files, or - for standard input; may be repeated
    #[arg(short, long = "filename", required = true, value_name = "FILE|DIR|-")]
    pub file: Vec<PathBuf>,
    /// Read directories below directories too
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// How mistakes are printed
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct GetArgs {
    /// Kind, such as virtualservice or its short name vs [default: every kind]
    pub kind: Option<String>,
    /// Name of one object
    pub name: Option<String>,
    /// Only this namespace [default: all for a list, "default" for a name]
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// List every namespace
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// How results are printed
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    #[command(flatten)]
    pub mesh: MeshArgs,
}

#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Kind, such as virtualservice or its short name vs
    #[arg(requires = "name", required_unless_present = "file")]
    pub kind: Option<String>,
    /// Name of the object
    pub name: Option<String>,
    /// Delete what is described in a file, a directory, or - for standard input; may be repeated
    #[arg(short, long = "filename", conflicts_with_all = ["kind", "name"], value_name = "FILE|DIR|-")]
    pub file: Vec<PathBuf>,
    /// Namespace of objects that do not name one
    #[arg(short, long, default_value = "default")]
    pub namespace: String,
    /// No error for objects that do not exist
    #[arg(long)]
    pub ignore_not_found: bool,
    #[command(flatten)]
    pub mesh: MeshArgs,
}

#[derive(Debug, Args)]
pub struct GraphArgs {
    /// Only these namespaces, separated by commas [default: all]
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// Over how long rates are taken
    #[arg(long, default_value = "60s", value_parser = crate::duration::parse)]
    pub duration: std::time::Duration,
    /// What a node is
    #[arg(long, value_enum, default_value_t)]
    pub graph_type: GraphType,
    /// How results are printed; JSON is Kiali's graph
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    #[command(flatten)]
    pub mesh: MeshArgs,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum GraphType {
    /// Versions of applications
    #[default]
    VersionedApp,
    /// Workloads
    Workload,
    /// Applications
    App,
    /// Services
    Service,
}

impl GraphType {
    /// As the graph API and Kiali spell it.
    pub fn query(self) -> &'static str {
        match self {
            Self::VersionedApp => "versionedApp",
            Self::Workload => "workload",
            Self::App => "app",
            Self::Service => "service",
        }
    }
}

#[derive(Debug, Args)]
pub struct DashboardArgs {
    /// Which page
    #[arg(value_enum, default_value_t)]
    pub page: Page,
    /// Which proxy, for `proxy`
    #[arg(required_if_eq("page", "proxy"))]
    pub name: Option<String>,
    /// Open it in the browser, not only print the URL
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "true|false")]
    pub browser: bool,
    #[command(flatten)]
    pub mesh: MeshArgs,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Page {
    /// The web UI
    #[default]
    Ui,
    /// The Prometheus HTTP API
    Prometheus,
    /// The trace list
    Tracing,
    /// The control plane's debug pages
    Control,
    /// The admin interface of one proxy
    Proxy,
}

#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// List the profiles
    List {
        /// How results are printed
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Print a profile as an IstioOperator document
    Dump {
        /// Which profile
        #[arg(value_enum, default_value = "default")]
        profile: ProfileName,
        /// Only the part under this path, such as components.ingressGateways
        #[arg(short = 'p', long, value_name = "PATH")]
        config_path: Option<String>,
        /// How it is printed
        #[arg(short, long, value_enum, default_value_t)]
        output: DumpFormat,
    },
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Print a token for a service account, signed with the key in the mesh's state directory
    Create {
        /// Service account
        #[arg(long)]
        service_account: String,
        /// Its namespace
        #[arg(short, long, default_value = "default")]
        namespace: String,
        /// How long the token is valid
        #[arg(long, default_value = "1h", value_parser = crate::duration::parse)]
        ttl: std::time::Duration,
        #[command(flatten)]
        mesh: MeshArgs,
    },
}

#[derive(Debug, Args)]
pub struct VersionArgs {
    /// Print only the version of this program
    #[arg(short, long)]
    pub short: bool,
    /// How results are printed
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    #[command(flatten)]
    pub mesh: MeshArgs,
}

#[cfg(test)]
mod tests;
