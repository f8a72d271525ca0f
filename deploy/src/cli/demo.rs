//! Flags of `demo`, `up` and the sample application's processes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::bookinfo::{ReviewsVersion, Service};

pub use crate::workload::Network;

#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Plain lines on standard output, for scripts
    #[arg(long)]
    pub headless: bool,
    /// Stop after this long and print a table of edges; fails if there was no traffic
    #[arg(long, value_parser = crate::duration::parse, value_name = "TIME")]
    pub duration: Option<Duration>,
    /// Requests per second that the traffic generator sends
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub rps: u32,
    /// Send no traffic
    #[arg(long)]
    pub no_traffic: bool,
    /// Give each workload a network namespace, with transparent redirection as in a pod; takes root, ip and nft
    #[arg(long)]
    pub netns: bool,
    /// A directory of YAML that is added to the demo's configuration, and watched
    #[arg(long, value_name = "DIR")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Debug, Clone, Args)]
pub struct UpArgs {
    /// The directory of YAML that describes the mesh; watched, and written to by `orrery apply`
    #[arg(long, value_name = "DIR")]
    pub config: PathBuf,
    /// Plain lines on standard output, for scripts
    #[arg(long)]
    pub headless: bool,
    #[command(flatten)]
    pub host: HostArgs,
}

/// Where a mesh on this machine lives.
#[derive(Debug, Clone, Args)]
pub struct HostArgs {
    /// Network for the workloads' addresses, a /16 of loopback, of which applications use the one after it, or with
    /// --netns a private one [default: 127.1.0.0/16, with --netns 10.77.0.0/16]
    #[arg(long, value_parser = Network::from_str)]
    pub address_range: Option<Network>,
    /// Usual ports for the control plane, telemetry and UI, or any free ones
    #[arg(long, value_enum, default_value_t)]
    pub ports: Ports,
    /// Where keys, logs and addresses are kept [default: a new temporary directory]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Share of requests that are traced, in per cent
    #[arg(long, default_value_t = 100.0, value_name = "PERCENT", value_parser = percent)]
    pub trace_sampling: f64,
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=100.0).contains(&value) => Ok(value),
        Ok(_) | Err(_) => Err("a number from 0 to 100 is expected".to_owned()),
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Ports {
    /// Istio's and the addons' own: 15010-15014, 4317, 4318, 9090, 16686, 20001
    #[default]
    Default,
    /// Free ports
    Any,
}

#[derive(Debug, Args)]
pub struct BookinfoArgs {
    /// Which service
    #[arg(value_enum)]
    pub service: Service,
    /// Where it listens
    #[arg(long)]
    pub listen: SocketAddr,
    /// Version of reviews: v1 shows no stars, v2 black ones, v3 red ones
    #[arg(long = "reviews-version", value_enum, default_value_t)]
    pub reviews_version: ReviewsVersion,
    /// The sidecar's outbound listener; without it, other services are found by DNS
    #[arg(long)]
    pub outbound: Option<SocketAddr>,
    /// Stop when standard input ends
    #[arg(long, hide = true)]
    pub exit_with_parent: bool,
}

#[derive(Debug, Args)]
pub struct TrafficArgs {
    /// The gateway
    #[arg(long)]
    pub target: SocketAddr,
    /// Requests per second
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub rps: u32,
    /// Stop when standard input ends
    #[arg(long, hide = true)]
    pub exit_with_parent: bool,
}
