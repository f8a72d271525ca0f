//! Flags of `proxy-config`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Interception, MeshArgs};

#[derive(Debug, Subcommand)]
pub enum ProxyConfigCommand {
    /// Get a certificate for a workload, and print the bootstrap with which an Envoy joins the running mesh as it
    Bootstrap(BootstrapArgs),
}

#[derive(Debug, Args)]
pub struct BootstrapArgs {
    /// For an Envoy; our own proxies need no bootstrap
    #[arg(long, required = true)]
    pub envoy: bool,
    /// Name of the Pod or WorkloadEntry that the Envoy stands beside or is
    #[arg(short, long)]
    pub workload: String,
    /// Its namespace
    #[arg(short, long, default_value = "default")]
    pub namespace: String,
    /// What it is [default: what the workload's annotations say, a sidecar if they say nothing]
    #[arg(long, value_enum)]
    pub kind: Option<EnvoyKind>,
    /// Where the application listens when nothing is redirected [default: the workload's annotation, or else 127.0.0.1]
    #[arg(long)]
    pub app_address: Option<IpAddr>,
    /// How the application's traffic gets to the Envoy
    #[arg(long, value_enum, default_value_t)]
    pub interception: Interception,
    /// Where the Envoy's admin interface listens [default: port 15000 of the workload if that is on loopback, else of 127.0.0.1]
    #[arg(long)]
    pub admin: Option<SocketAddr>,
    /// Where certificate and roots are put, for the Envoy to read and watch; run the command again to renew them
    /// [default: below the mesh's state directory]
    #[arg(long, value_name = "DIR")]
    pub secrets_dir: Option<PathBuf>,
    /// How it is printed
    #[arg(short, long, value_enum, default_value_t)]
    pub output: BootstrapFormat,
    #[command(flatten)]
    pub mesh: MeshArgs,
}

/// How a bootstrap is printed; Envoy reads both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum BootstrapFormat {
    /// YAML
    #[default]
    Yaml,
    /// JSON
    Json,
}

/// What an Envoy is in the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EnvoyKind {
    /// Beside one workload
    Sidecar,
    /// A gateway
    Router,
}
