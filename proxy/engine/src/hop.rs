//! One hop without a control plane: a snapshot made from a few settings, served by the same engine as in a mesh.
//! For measurements, and for a look at what a single proxy does.
//!
//! It reads no arguments and no environment; certificates are read from a folder that it is given.

mod config;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use orrery_emit::registry::{Registry, Resource};
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, EngineConfig, EngineError};
use crate::node::Node;

/// How long requests may take to finish at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// What the hop forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HopMode {
    /// HTTP/1.1, one route.
    Http,
    /// HTTP/2 with prior knowledge on both sides.
    H2,
    /// As a mesh configures it: 100 virtual hosts, request ids, tracing headers, retries, telemetry.
    Mesh,
    /// Opaque bytes.
    Tcp,
}

/// TLS towards clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HopTlsIn {
    None,
    /// Our certificate only.
    Server,
    /// The client must show one of the same root.
    Mutual,
}

/// TLS towards the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HopTlsOut {
    None,
    Mutual,
}

/// HTTP version on a TLS side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HopProtocol {
    H1,
    H2,
}

/// Settings of a hop.
#[derive(Clone, Debug)]
pub struct HopConfig {
    pub listen: SocketAddr,
    pub upstream: SocketAddr,
    pub mode: HopMode,
    pub tls_in: HopTlsIn,
    pub tls_out: HopTlsOut,
    pub proto_in: HopProtocol,
    pub proto_out: HopProtocol,
    /// Folder with `ca.pem`, `server.pem`, `server.key`, `client.pem`, `client.key`.
    pub certs: PathBuf,
    pub workers: usize,
    /// Further services that are configured but not called.
    pub services: usize,
    /// Endpoints of those services together.
    pub endpoints: usize,
}

/// Why a hop does not run.
#[derive(Debug, thiserror::Error)]
pub enum HopError {
    #[error("cannot read {path}: {source}; the folder needs ca.pem and server and client .pem and .key")]
    Certificate { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Bind(#[from] orrery_net::listener::BindError),
}

/// A hop that listens.
pub struct Hop {
    engine: Engine,
    address: SocketAddr,
    registry: Registry,
}

impl Hop {
    /// Binds and serves.
    pub async fn start(config: &HopConfig) -> Result<Self, HopError> {
        let node = Node {
            id: "sidecar~127.0.0.1~hop.default~default.svc.cluster.local".into(),
            name: "hop".into(),
            namespace: "default".into(),
            workload: "hop".into(),
            service_account: "hop".into(),
            cluster_id: "Kubernetes".into(),
            ..Node::default()
        };
        let registry = Registry::new(Resource::default());
        let engine = Engine::start(EngineConfig {
            workers: config.workers,
            node,
            registry: registry.clone(),
            spans: None,
            access_log: None,
        })?;
        let applied = engine.apply(Arc::new(config::snapshot(config)?)).await?;
        if let Some((_, error)) = applied.failed.into_iter().next() {
            return Err(error.into());
        }
        let address = applied.listening.first().map_or(config.listen, |(_, address)| *address);
        Ok(Self { engine, address, registry })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The metrics of what it served.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Lets requests finish, then ends.
    pub async fn drain(self) {
        self.engine.drain(DRAIN).await;
    }
}

/// Runs a hop until `shutdown`; `bound` is told its address.
pub async fn run(
    config: HopConfig,
    shutdown: CancellationToken,
    bound: impl FnOnce(SocketAddr),
) -> Result<(), HopError> {
    let hop = Hop::start(&config).await?;
    bound(hop.address());
    shutdown.cancelled().await;
    hop.drain().await;
    Ok(())
}
