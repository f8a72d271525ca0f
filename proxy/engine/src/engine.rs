//! The engine from outside: starts workers, hands them snapshots, binds sockets, drains.
//!
//! It does not know where snapshots come from.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hashbrown::HashMap;
use orrery_core::listener::Binding;
use orrery_core::names::ListenerName;
use orrery_core::snapshot::Snapshot;
use orrery_emit::access_log::AccessLog;
use orrery_emit::labels::Workload;
use orrery_emit::registry::Registry;
use orrery_emit::spans::SpanSink;
use orrery_net::datagram;
use orrery_net::listener::{BindError, bind, rebind};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::live::GaugeBook;
use crate::node::Node;
use crate::peer::OwnMetadata;
use crate::worker::{self, Order};

/// Orders that may wait for a worker.
const ORDERS: usize = 64;
/// How often draining looks whether connections are left.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// What an engine needs.
#[derive(Clone)]
pub struct EngineConfig {
    /// Threads that serve traffic; at least one.
    pub workers: usize,
    pub node: Node,
    pub registry: Registry,
    /// Where spans go; `None`: nowhere, and nothing is sampled.
    pub spans: Option<SpanSink>,
    /// Where access logs go if a listener asks for one.
    pub access_log: Option<AccessLog>,
}

/// Worker threads that serve what the last applied snapshot says. Dropping it stops them.
pub struct Engine {
    workers: Vec<mpsc::Sender<Order>>,
    threads: Vec<std::thread::JoinHandle<()>>,
    shared: Arc<Shared>,
    bound: Mutex<HashMap<ListenerName, Bound>>,
}

struct Bound {
    wanted: SocketAddr,
    address: SocketAddr,
}

/// What workers share: only what is written rarely or is atomic.
pub(crate) struct Shared {
    pub(crate) node: Node,
    pub(crate) own: Arc<Workload>,
    pub(crate) metadata: OwnMetadata,
    pub(crate) registry: Registry,
    pub(crate) spans: Option<SpanSink>,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) gauges: GaugeBook,
    pub(crate) connections: ConnectionCounts,
}

/// Accepted connections.
#[derive(Debug, Default)]
pub struct ConnectionCounts {
    opened: AtomicU64,
    closed: AtomicU64,
}

/// Why an engine cannot run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("a worker thread cannot be started: {0}")]
    Start(#[source] std::io::Error),
    #[error("a worker thread has ended; the proxy must be started again")]
    WorkerGone,
}

/// What came of applying a snapshot.
#[derive(Debug, Default)]
pub struct Applied {
    /// Every listener that has a socket, with its real address.
    pub listening: Vec<(ListenerName, SocketAddr)>,
    /// Listeners of the snapshot whose address cannot be bound; everything else is in force.
    pub failed: Vec<(ListenerName, BindError)>,
}

impl ConnectionCounts {
    pub(crate) fn opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections accepted so far.
    pub fn total(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Connections open now.
    pub fn active(&self) -> u64 {
        self.total().saturating_sub(self.closed.load(Ordering::Relaxed))
    }
}

impl Engine {
    /// Starts the workers; they serve nothing until a snapshot is applied.
    pub fn start(config: EngineConfig) -> Result<Self, EngineError> {
        let shared = Arc::new(Shared {
            own: Arc::new(config.node.as_workload()),
            metadata: OwnMetadata::of(&config.node),
            node: config.node,
            registry: config.registry,
            spans: config.spans,
            access_log: config.access_log,
            gauges: GaugeBook::default(),
            connections: ConnectionCounts::default(),
        });
        let mut engine = Self { workers: Vec::new(), threads: Vec::new(), shared, bound: Mutex::new(HashMap::new()) };
        for number in 0..config.workers.max(1) {
            let (orders, inbox) = mpsc::channel(ORDERS);
            let shared = engine.shared.clone();
            // Runtimes of this kind cannot move between threads: each is built where it runs.
            let thread = std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
                    Ok(runtime) => runtime.block_on(worker::run(shared, inbox)),
                    Err(error) => tracing::error!(%error, "a worker's runtime cannot be built"),
                })
                .map_err(EngineError::Start)?;
            engine.workers.push(orders);
            engine.threads.push(thread);
        }
        Ok(engine)
    }

    /// Puts a snapshot in force on all workers; returns when all of them serve it. Sockets are bound for new listeners,
    /// and closed for those that are gone.
    pub async fn apply(&self, snapshot: Arc<Snapshot>) -> Result<Applied, EngineError> {
        let mut bound = self.bound.lock().await;
        let mut applied = Applied::default();
        bound.retain(|name, bound| {
            let datagram = snapshot.datagram_listeners.get(name).is_some_and(|l| l.address == bound.wanted);
            let stream = snapshot.listeners.get(name);
            datagram || stream.is_some_and(|l| l.binding == Binding::Socket && l.address == bound.wanted)
        });
        let mut sockets: Vec<Vec<(ListenerName, std::net::TcpListener)>> =
            self.workers.iter().map(|_| Vec::new()).collect();
        for listener in snapshot.listeners.values().filter(|listener| listener.binding == Binding::Socket) {
            if bound.contains_key(&listener.name) {
                continue;
            }
            match bind_for_all(listener.address, self.workers.len()) {
                Ok((address, each)) => {
                    bound.insert(listener.name.clone(), Bound { wanted: listener.address, address });
                    for (worker, socket) in sockets.iter_mut().zip(each) {
                        worker.push((listener.name.clone(), socket));
                    }
                }
                Err(error) => applied.failed.push((listener.name.clone(), error)),
            }
        }
        let datagrams = self.bind_datagrams(&snapshot, &mut bound, &mut applied);
        let mut waiting = Vec::new();
        for ((worker, sockets), datagrams) in self.workers.iter().zip(sockets).zip(datagrams) {
            let (done, wait) = oneshot::channel();
            let order = Order::Apply { snapshot: snapshot.clone(), sockets, datagrams, done };
            worker.send(order).await.map_err(|_closed| EngineError::WorkerGone)?;
            waiting.push(wait);
        }
        for wait in waiting {
            wait.await.map_err(|_closed| EngineError::WorkerGone)?;
        }
        self.shared.gauges.forget_unused();
        applied.listening = bound.iter().map(|(name, bound)| (name.clone(), bound.address)).collect();
        applied.listening.sort();
        Ok(applied)
    }

    /// A socket for each worker and new UDP listener.
    fn bind_datagrams(
        &self,
        snapshot: &Snapshot,
        bound: &mut HashMap<ListenerName, Bound>,
        applied: &mut Applied,
    ) -> Vec<Vec<(ListenerName, std::net::UdpSocket)>> {
        let mut sockets: Vec<Vec<(ListenerName, std::net::UdpSocket)>> =
            self.workers.iter().map(|_| Vec::new()).collect();
        for listener in snapshot.datagram_listeners.values() {
            if bound.contains_key(&listener.name) {
                continue;
            }
            match datagrams_for_all(listener.address, self.workers.len()) {
                Ok((address, each)) => {
                    bound.insert(listener.name.clone(), Bound { wanted: listener.address, address });
                    for (worker, socket) in sockets.iter_mut().zip(each) {
                        worker.push((listener.name.clone(), socket));
                    }
                }
                Err(error) => applied.failed.push((listener.name.clone(), error)),
            }
        }
        sockets
    }

    /// Counts of accepted connections.
    pub fn connections(&self) -> &ConnectionCounts {
        &self.shared.connections
    }

    /// Stops accepting, lets requests finish for at most `limit`, then closes what is left.
    pub async fn drain(self, limit: Duration) {
        for worker in &self.workers {
            // A worker that is gone has nothing left to drain.
            let _ = worker.send(Order::Drain).await;
        }
        let finished = async {
            while self.shared.connections.active() > 0 {
                tokio::time::sleep(DRAIN_LOOK).await;
            }
        };
        if tokio::time::timeout(limit, finished).await.is_err() {
            tracing::warn!(left = self.shared.connections.active(), "drain time is over: closing connections");
        }
        for worker in &self.workers {
            let _ = worker.send(Order::Stop).await;
        }
        let threads = self.threads;
        drop(self.workers);
        let joined = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join())));
        if joined.await.is_err() {
            tracing::error!("a worker thread panicked");
        }
    }
}

/// As [`bind_for_all`], for datagrams.
fn datagrams_for_all(address: SocketAddr, workers: usize) -> Result<(SocketAddr, Vec<std::net::UdpSocket>), BindError> {
    let first = datagram::bind(address)?;
    let real = first.local_addr().map_err(|source| BindError { address, source })?;
    let mut all = Vec::with_capacity(workers);
    for _ in 1..workers {
        all.push(datagram::rebind(&first)?);
    }
    all.push(first);
    Ok((real, all))
}

/// One socket per worker on the same address; the first decides the port if it is 0.
fn bind_for_all(address: SocketAddr, workers: usize) -> Result<(SocketAddr, Vec<std::net::TcpListener>), BindError> {
    let first = bind(address)?;
    let real = first.local_addr().map_err(|source| BindError { address, source })?;
    let mut all = Vec::with_capacity(workers);
    for _ in 1..workers {
        all.push(rebind(&first)?);
    }
    all.push(first);
    Ok((real, all))
}
