//! Starting a proxy: its own servers are bound first, then identity, configuration and workers follow while it serves.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use orrery_core::snapshot::Snapshot;
use orrery_emit::access_log::AccessLog;
use orrery_emit::registry::{Registry, Resource};
use orrery_emit::{push, spans};
use orrery_engine::{Engine, EngineConfig};
use orrery_xds::{AdsConfig, AdsStatus, Node as XdsNode};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, AdminState};
use crate::agent::{self, Svid, control_channel};
use crate::config::Config;
use crate::readiness::{Readiness, Waiting};
use crate::stats::{self, StatsState};

/// Spans that may wait for the next push.
const SPAN_QUEUE: usize = 4_096;
/// Access log lines that may wait for the writer.
const LOG_QUEUE: usize = 4_096;
/// How long the last lines of the access log may take at the end.
const LAST_LINES: Duration = Duration::from_secs(1);
/// How soon a listener whose address was taken is tried again.
const BIND_AGAIN: Duration = Duration::from_secs(1);

/// A proxy whose own servers are bound.
pub struct Bound {
    config: Config,
    admin: TcpListener,
    status: TcpListener,
    health: TcpListener,
    prometheus: TcpListener,
}

/// Binds the proxy's own servers.
///
/// # Errors
/// When an address is taken or does not exist here; the message names it.
pub async fn build(mut config: Config) -> Result<Bound> {
    config.node.id = config.node_id();
    let ports = config.ports;
    Ok(Bound {
        admin: bind("admin", ports.admin).await?,
        status: bind("status", ports.status).await?,
        health: bind("health", ports.health).await?,
        prometheus: bind("prometheus", ports.prometheus).await?,
        config,
    })
}

async fn bind(name: &str, address: SocketAddr) -> Result<TcpListener> {
    let why = || format!("the {name} server cannot listen on {address}: is another proxy running there?");
    TcpListener::bind(address).await.with_context(why)
}

impl Bound {
    /// Names and addresses of the proxy's own servers; traffic listeners come with the configuration.
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let servers = [
            ("admin", &self.admin),
            ("status", &self.status),
            ("health", &self.health),
            ("prometheus", &self.prometheus),
        ];
        servers.into_iter().filter_map(|(name, socket)| Some((name, socket.local_addr().ok()?))).collect()
    }

    /// Serves until `shutdown`, then drains.
    ///
    /// # Errors
    /// When a worker cannot be started or ends unasked, or one of the proxy's own servers fails.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<()> {
        // Asking the proxy to quit over its admin interface ends it as a signal does.
        let shutdown = shutdown.child_token();
        let background = CancellationToken::new();
        let parts = Parts::start(&self, &background, &shutdown)?;
        let mut servers = JoinSet::new();
        for (socket, routes) in [
            (self.admin, admin::router(parts.admin.clone())),
            (self.status, stats::router(parts.stats.clone())),
            (self.health, stats::health_router(parts.stats.clone())),
            (self.prometheus, stats::metrics_router(parts.stats.clone())),
        ] {
            servers.spawn(serve_http(socket, routes, background.clone()));
        }
        let applied = apply_snapshots(&parts, &shutdown).await;
        parts.readiness.wait(Waiting::Draining);
        parts.engine.drain(self.config.drain).await;
        background.cancel();
        let mut tasks = parts.tasks;
        let access_log = parts.access_log;
        let written = tokio::task::spawn_blocking(move || access_log.flush(LAST_LINES)).await;
        if !matches!(written, Ok(true)) {
            tracing::warn!("the last lines of the access log were not written");
        }
        while tasks.join_next().await.is_some() {}
        while servers.join_next().await.is_some() {}
        applied
    }
}

async fn serve_http(socket: TcpListener, routes: Router, shutdown: CancellationToken) {
    let graceful = axum::serve(socket, routes).with_graceful_shutdown(async move { shutdown.cancelled().await });
    if let Err(error) = graceful.into_future().await {
        tracing::error!(%error, "one of the proxy's own servers has ended");
    }
}

/// Everything that runs beside the servers.
struct Parts {
    engine: Engine,
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    readiness: Readiness,
    admin: AdminState,
    stats: StatsState,
    access_log: AccessLog,
    tasks: JoinSet<()>,
}

impl Parts {
    fn start(bound: &Bound, background: &CancellationToken, shutdown: &CancellationToken) -> Result<Self> {
        let config = &bound.config;
        let readiness = Readiness::default();
        let scrape = bound.status.local_addr().map(|address| address.to_string()).unwrap_or_default();
        let registry = Registry::new(resource(config, scrape));
        let (sink, queue) = spans::queue(SPAN_QUEUE);
        let access_log = AccessLog::start(Box::new(std::io::stdout()), LOG_QUEUE)?;
        let engine = Engine::start(EngineConfig {
            workers: config.workers,
            node: config.node.clone(),
            registry: registry.clone(),
            spans: config.telemetry.is_some().then_some(sink),
            access_log: Some(access_log.clone()),
        })?;
        let mut tasks = JoinSet::new();
        if let Some(endpoint) = config.telemetry.clone() {
            let push = push::PushConfig { endpoint, interval: config.push_interval };
            let pushing = push::run(push, registry.clone(), queue, background.clone());
            tasks.spawn(async move {
                if let Err(error) = pushing.await {
                    tracing::error!(%error, "no telemetry is pushed");
                }
            });
        }
        let (svid_sender, svid) = watch::channel(None);
        tasks.spawn(agent::run(config.control.clone(), svid_sender, readiness.clone(), background.clone()));
        let (snapshot_sender, snapshots) = watch::channel(None);
        let status = AdsStatus::default();
        tasks.spawn(subscribe(config.clone(), svid.clone(), snapshot_sender, status.clone(), background.clone()));
        let stats = StatsState { readiness: readiness.clone(), registry };
        let admin = AdminState {
            config: Arc::new(config.clone()),
            stats: stats.clone(),
            snapshots: snapshots.clone(),
            svid,
            ads: status,
            quit: shutdown.clone(),
        };
        Ok(Self { engine, snapshots, readiness, admin, stats, access_log, tasks })
    }
}

fn resource(config: &Config, scrape_address: String) -> Resource {
    let label = |name: &str| config.node.labels.get(name).cloned().unwrap_or_default();
    Resource {
        service_name: config.service_name(),
        instance_id: config.node.id.clone(),
        pod: config.node.name.clone(),
        namespace: config.node.namespace.clone(),
        app: label("app"),
        version: label("version"),
        scrape_address,
        component: "proxy",
        tag: env!("CARGO_PKG_VERSION"),
    }
}

/// Subscribes once there is an identity to subscribe with; each connection uses the newest certificate.
async fn subscribe(
    config: Config,
    mut svid: watch::Receiver<Option<Arc<Svid>>>,
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    status: AdsStatus,
    shutdown: CancellationToken,
) {
    tokio::select! {
        first = svid.wait_for(Option::is_some) => if first.is_err() { return },
        () = shutdown.cancelled() => return,
    }
    let control = config.control.clone();
    let newest = svid.clone();
    let ads = AdsConfig {
        node: XdsNode { id: config.node.id.clone(), cluster: config.service_name(), metadata: config.metadata() },
        channel: Box::new(move || {
            let svid = newest.borrow().clone();
            control_channel(&control, svid.as_deref()).map_err(|error| error.to_string())
        }),
    };
    let (sender, secrets) = watch::channel(Vec::new());
    let forwarding = async move {
        loop {
            let newest = svid.borrow_and_update().clone();
            sender.send_replace(newest.map(|svid| svid.secrets()).unwrap_or_default());
            if svid.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    };
    tokio::select! {
        () = forwarding => {}
        () = orrery_xds::run(ads, secrets, snapshots, status, shutdown) => {}
    }
}

/// Puts every new snapshot in force until `shutdown`.
async fn apply_snapshots(parts: &Parts, shutdown: &CancellationToken) -> Result<()> {
    let mut snapshots = parts.snapshots.clone();
    let mut again = false;
    loop {
        let newest = snapshots.borrow_and_update().clone();
        if let Some(snapshot) = newest {
            parts.readiness.done(Waiting::Configuration);
            let applied = parts.engine.apply(snapshot).await?;
            for (name, error) in &applied.failed {
                tracing::error!(listener = %name, %error, "a listener has no socket; it is tried again");
            }
            again = !applied.failed.is_empty();
            if !again {
                parts.readiness.done(Waiting::Listeners);
            }
        }
        tokio::select! {
            changed = snapshots.changed() => if changed.is_err() { return {
                let _: () = shutdown.cancelled().await;
                Ok(())
            } },
            () = tokio::time::sleep(BIND_AGAIN), if again => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}
