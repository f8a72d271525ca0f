//! `orrery proxy sidecar` and `orrery proxy router`.

use std::process::ExitCode;
use std::time::Duration;

use orrery_engine::node::Node;
use orrery_proxy::{Config, ControlPlane, Interception, NodeKind, Ports, build};

use crate::cli::{Interception as InterceptionFlag, ProxyArgs};
use crate::{logging, shutdown};

/// How often signals are pushed; twice a second keeps the live graph within two seconds of the truth.
const PUSH: Duration = Duration::from_millis(500);
/// Istio's `terminationDrainDuration`.
const DRAIN: Duration = Duration::from_secs(4);
/// The name in the control plane's certificate.
pub(crate) const SERVER_NAME: &str = "istiod.istio-system.svc";

/// Which proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Sidecar,
    Router,
}

pub(crate) fn run(arguments: ProxyArgs, kind: Kind) -> anyhow::Result<ExitCode> {
    // Traffic has threads of its own; everything else fits on one.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(arguments, kind))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(arguments: ProxyArgs, kind: Kind) -> anyhow::Result<()> {
    let stop = shutdown::token(arguments.exit_with_parent)?;
    let bound = build(config(arguments, kind)).await?;
    super::announce("proxy", &bound.addresses());
    let serving = bound.serve(stop.clone());
    shutdown::run(stop, serving).await
}

/// What the flags mean.
pub(crate) fn config(arguments: ProxyArgs, kind: Kind) -> Config {
    let workload = arguments.workload.unwrap_or_else(|| arguments.name.clone());
    let ports = Ports { admin: arguments.admin, ..Ports::on(arguments.address) };
    let node = Node {
        id: String::new(),
        owner: format!("kubernetes://apis/apps/v1/namespaces/{}/deployments/{workload}", arguments.namespace),
        name: arguments.name,
        namespace: arguments.namespace,
        workload,
        service_account: arguments.service_account,
        cluster_id: arguments.cluster_id,
        mesh_id: arguments.mesh_id.unwrap_or(arguments.trust_domain),
        labels: arguments.labels.into_iter().collect(),
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Config {
        kind: match kind {
            Kind::Sidecar => NodeKind::Sidecar,
            Kind::Router => NodeKind::Router,
        },
        node,
        address: arguments.address,
        app_address: arguments.app_address,
        interception: match arguments.interception {
            InterceptionFlag::None => Interception::None,
            InterceptionFlag::Redirect => Interception::Redirect,
        },
        domain: arguments.domain,
        control: ControlPlane {
            address: arguments.discovery,
            root_certificate: arguments.root_cert,
            server_name: SERVER_NAME.to_owned(),
            token_file: Some(arguments.token_file),
        },
        telemetry: arguments.telemetry,
        push_interval: PUSH,
        workers: arguments.workers.unwrap_or(processors),
        ports,
        drain: DRAIN,
        log_level: logging::level(),
    }
}
