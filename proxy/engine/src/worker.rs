//! One worker thread: its view of the configuration, its live state, its connections, and the sweeper over them.
//!
//! Everything here belongs to one thread. Work arrives by accepting connections; orders arrive from the engine.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use orrery_core::listener::Listener;
use orrery_core::names::{ClusterName, ListenerName};
use orrery_core::snapshot::{ListenersByAddress, Snapshot};
use orrery_emit::labels::Workload;
use orrery_net::activity::{Activity, Command, Phase};
use orrery_net::listener::accept;
use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::engine::Shared;
use crate::live::LiveCluster;
use crate::peer::PeerBook;
use crate::secrets::TlsStore;
use crate::trace::Chance;
use crate::{connection, datagram};

/// How often connections and pools are looked over.
const SWEEP: Duration = Duration::from_secs(1);
/// A request's head must arrive within this if the listener does not say.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Sweeps after which cached metric handles are looked up anew, so that unused series can expire.
const FORGET_SERIES_EVERY: u32 = 300;

/// An order from the engine.
pub(crate) enum Order {
    Apply {
        snapshot: Arc<Snapshot>,
        sockets: Vec<(ListenerName, std::net::TcpListener)>,
        datagrams: Vec<(ListenerName, std::net::UdpSocket)>,
        done: oneshot::Sender<()>,
    },
    /// Stop accepting; connections finish what they do.
    Drain,
    /// Close what is left.
    Stop,
}

/// The configuration as this worker sees it. A request keeps the one it began with.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) snapshot: Arc<Snapshot>,
    by_address: ListenersByAddress,
}

/// A worker's state.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) own: Arc<Workload>,
    pub(crate) tls: TlsStore,
    pub(crate) peers: PeerBook,
    view: RefCell<Rc<View>>,
    clusters: RefCell<HashMap<ClusterName, Rc<LiveCluster>>>,
    connections: RefCell<HashMap<u64, Watch>>,
    next_connection: Cell<u64>,
    random: RefCell<SmallRng>,
    draining: Cell<bool>,
    started: Instant,
}

/// How long a connection may stay in a phase.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patience {
    pub(crate) idle: Option<Duration>,
    pub(crate) head: Option<Duration>,
}

#[derive(Debug)]
struct Watch {
    activity: Arc<Activity>,
    listener: Arc<Listener>,
    patience: Patience,
}

/// A connection's entry in the worker's list; dropping it removes the entry.
pub(crate) struct Listed {
    worker: Rc<Worker>,
    number: u64,
}

impl View {
    fn new(snapshot: Arc<Snapshot>) -> Self {
        let by_address = ListenersByAddress::of(&snapshot);
        Self { snapshot, by_address }
    }

    /// The listener for an original destination.
    pub(crate) fn listener_for(&self, destination: SocketAddr) -> Option<&Arc<Listener>> {
        self.by_address.find(destination)
    }
}

impl Worker {
    fn new(shared: Arc<Shared>) -> Rc<Self> {
        Rc::new(Self {
            own: shared.own.clone(),
            shared,
            tls: TlsStore::default(),
            peers: PeerBook::default(),
            view: RefCell::default(),
            clusters: RefCell::default(),
            connections: RefCell::default(),
            next_connection: Cell::new(0),
            random: RefCell::new(SmallRng::from_os_rng()),
            draining: Cell::new(false),
            started: Instant::now(),
        })
    }

    pub(crate) fn view(&self) -> Rc<View> {
        self.view.borrow().clone()
    }

    pub(crate) fn random(&self) -> u64 {
        self.random.borrow_mut().next_u64()
    }

    pub(crate) fn chance(&self) -> Chance {
        let trace = (u128::from(self.random()) << 64) | u128::from(self.random());
        let share = (self.random() >> 11) as f64 / (1_u64 << 53) as f64;
        Chance { trace, span: self.random(), share }
    }

    /// Time since this worker began.
    pub(crate) fn moment(&self, now: Instant) -> Duration {
        now.duration_since(self.started)
    }

    /// A cluster's live state, resolved at first use.
    pub(crate) fn cluster(&self, view: &View, name: &ClusterName) -> Option<Rc<LiveCluster>> {
        if let Some(cluster) = self.clusters.borrow().get(name) {
            return Some(cluster.clone());
        }
        let config = view.snapshot.clusters.get(name)?;
        let cluster = Rc::new(LiveCluster::new(config.clone(), None, self.shared.gauges.of(name)));
        self.clusters.borrow_mut().insert(name.clone(), cluster.clone());
        Some(cluster)
    }

    /// Enters a connection into the list that the sweeper watches.
    pub(crate) fn list(
        self: &Rc<Self>,
        activity: &Arc<Activity>,
        listener: &Arc<Listener>,
        patience: Patience,
    ) -> Listed {
        let number = self.next_connection.get();
        self.next_connection.set(number + 1);
        let watch = Watch { activity: activity.clone(), listener: listener.clone(), patience };
        self.connections.borrow_mut().insert(number, watch);
        self.shared.connections.opened();
        if self.draining.get() {
            activity.tell(Command::Drain);
        }
        Listed { worker: self.clone(), number }
    }

    /// Replaces the configuration. Clusters that did not change keep their state as it is; connections of listeners
    /// that changed are asked to finish, so that clients come back to the new ones.
    fn apply(&self, snapshot: Arc<Snapshot>) {
        self.clusters.borrow_mut().retain(|name, live| match snapshot.clusters.get(name) {
            None => false,
            Some(config) => {
                if !Arc::ptr_eq(config, &live.config) {
                    *live = Rc::new(LiveCluster::new(config.clone(), Some(live), live.gauges.clone()));
                }
                true
            }
        });
        for watch in self.connections.borrow().values() {
            let current = snapshot.listeners.get(&watch.listener.name);
            if !current.is_some_and(|current| Arc::ptr_eq(current, &watch.listener)) {
                watch.activity.tell(Command::Drain);
            }
        }
        *self.view.borrow_mut() = Rc::new(View::new(snapshot));
        self.tls.forget_unused();
    }

    fn tell_all(&self, command: Command) {
        for watch in self.connections.borrow().values() {
            watch.activity.tell(command);
        }
    }

    fn sweep(&self, tick: u32) {
        let now = Instant::now();
        let over = |ticks: u32, limit: Option<Duration>| limit.is_some_and(|limit| SWEEP * ticks >= limit);
        for watch in self.connections.borrow().values() {
            let ticks = watch.activity.ticks_in_phase(tick);
            match watch.activity.phase() {
                Phase::Idle if over(ticks, watch.patience.idle) => watch.activity.tell(Command::Drain),
                Phase::Head if over(ticks, watch.patience.head.or(Some(HEAD_TIMEOUT))) => {
                    watch.activity.tell(Command::Abort);
                }
                Phase::Idle | Phase::Head | Phase::Busy => {}
            }
        }
        let moment = self.moment(now);
        for cluster in self.clusters.borrow().values() {
            cluster.sweep(now, moment);
            if tick.is_multiple_of(FORGET_SERIES_EVERY) {
                cluster.forget_series();
            }
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.worker.connections.borrow_mut().remove(&self.number);
        self.worker.shared.connections.closed();
    }
}

/// A worker's whole life.
pub(crate) async fn run(shared: Arc<Shared>, mut orders: mpsc::Receiver<Order>) {
    let worker = Worker::new(shared);
    let mut accepting: HashMap<ListenerName, JoinHandle<()>> = HashMap::new();
    let mut sweeps = tokio::time::interval(SWEEP);
    sweeps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut tick = 0_u32;
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Apply { snapshot, sockets, datagrams, done }) => {
                    worker.apply(snapshot);
                    update_sockets(&worker, &mut accepting, sockets);
                    receive(&worker, &mut accepting, datagrams);
                    // The engine may have stopped waiting: that is its right.
                    let _ = done.send(());
                }
                Some(Order::Drain) => {
                    worker.draining.set(true);
                    stop_accepting(&mut accepting);
                    worker.tell_all(Command::Drain);
                }
                Some(Order::Stop) | None => {
                    stop_accepting(&mut accepting);
                    worker.tell_all(Command::Abort);
                    return;
                }
            },
            _ = sweeps.tick() => {
                tick = tick.wrapping_add(1);
                worker.sweep(tick.max(1));
            }
        }
    }
}

fn stop_accepting(accepting: &mut HashMap<ListenerName, JoinHandle<()>>) {
    for (_, task) in accepting.drain() {
        task.abort();
    }
}

/// Begins to accept on new sockets, and stops where the listener is gone.
fn update_sockets(
    worker: &Rc<Worker>,
    accepting: &mut HashMap<ListenerName, JoinHandle<()>>,
    sockets: Vec<(ListenerName, std::net::TcpListener)>,
) {
    let view = worker.view();
    accepting.retain(|name, task| {
        let snapshot = &view.snapshot;
        let stays = snapshot.listeners.contains_key(name) || snapshot.datagram_listeners.contains_key(name);
        if !stays {
            task.abort();
        }
        stays
    });
    for (name, socket) in sockets {
        let listener = match TcpListener::from_std(socket) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, listener = %name, "cannot accept on this worker");
                continue;
            }
        };
        let task = tokio::task::spawn_local(accept_on(worker.clone(), name.clone(), listener));
        if let Some(before) = accepting.insert(name, task) {
            before.abort();
        }
    }
}

/// Begins to receive on new sockets for datagrams.
fn receive(
    worker: &Rc<Worker>,
    receiving: &mut HashMap<ListenerName, JoinHandle<()>>,
    sockets: Vec<(ListenerName, std::net::UdpSocket)>,
) {
    for (name, socket) in sockets {
        let socket = match UdpSocket::from_std(socket) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::error!(%error, listener = %name, "cannot receive datagrams on this worker");
                continue;
            }
        };
        let task = tokio::task::spawn_local(datagram::serve(worker.clone(), name.clone(), socket));
        if let Some(before) = receiving.insert(name, task) {
            before.abort();
        }
    }
}

async fn accept_on(worker: Rc<Worker>, name: ListenerName, socket: TcpListener) {
    loop {
        let (stream, peer) = accept(&socket).await;
        let view = worker.view();
        if let Some(listener) = view.snapshot.listeners.get(&name) {
            tokio::task::spawn_local(connection::serve(worker.clone(), view.clone(), listener.clone(), stream, peer));
        }
    }
}
