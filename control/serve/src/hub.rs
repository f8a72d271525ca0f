//! Where streams and the owner of the configuration meet: publishing in one direction, events in the other.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Node;
use orrery_resource::{Difference, ResourceSet, ResourceType};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::node::{NodeIdentity, Peer};
use crate::session::Variant;

/// What one server carries at most.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Streams at the same time; further ones are refused with `RESOURCE_EXHAUSTED`.
    pub streams: usize,
    /// Events that wait for the owner of the configuration; then streams wait too.
    pub events: usize,
    /// How long a new stream may take to name its node.
    pub first_request: Duration,
    /// How long a client may leave a push unanswered, or its receive window closed, before its stream is closed.
    pub answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { streams: 20_000, events: 4096, first_request: Duration::from_secs(10), answer: Duration::from_secs(60) }
    }
}

/// One stream of one client; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What happened on a stream.
#[derive(Debug, Clone)]
pub enum Event {
    /// A client said who it is and was accepted. It waits for its first [`Hub::publish`].
    Connected {
        /// The new stream.
        connection: ConnectionId,
        /// The client's node as it was sent.
        node: Box<Node>,
        /// The checked part of the node.
        identity: NodeIdentity,
        /// What the connection proved.
        peer: Peer,
        /// The protocol.
        variant: Variant,
    },
    /// A response was handed to the connection.
    Sent {
        /// On this stream.
        connection: ConnectionId,
        /// Of this type.
        kind: ResourceType,
        /// Its nonce.
        nonce: String,
        /// From the set of this revision.
        revision: u64,
        /// Number of resources in it.
        resources: usize,
        /// Size of the resources in bytes.
        bytes: usize,
    },
    /// The client runs what was sent.
    Acked {
        /// On this stream.
        connection: ConnectionId,
        /// Of this type.
        kind: ResourceType,
        /// The response's nonce.
        nonce: String,
        /// From the set of this revision.
        revision: u64,
        /// Time since it was sent.
        took: Duration,
    },
    /// The client refused what was sent and keeps its last good configuration.
    Nacked {
        /// On this stream.
        connection: ConnectionId,
        /// Of this type.
        kind: ResourceType,
        /// The response's nonce.
        nonce: String,
        /// From the set of this revision.
        revision: u64,
        /// Resources of the refused response.
        names: Vec<String>,
        /// The client's reason.
        message: String,
    },
    /// A request named a nonce that is not the outstanding one.
    Stale {
        /// On this stream.
        connection: ConnectionId,
        /// Of this type.
        kind: ResourceType,
    },
    /// The client has answered everything of a revision.
    Synced {
        /// On this stream.
        connection: ConnectionId,
        /// The revision.
        revision: u64,
    },
    /// The stream is gone.
    Disconnected {
        /// This stream.
        connection: ConnectionId,
        /// Why, for people.
        reason: String,
    },
}

struct Line {
    mailbox: Arc<Mailbox>,
    closed: CancellationToken,
    refusal: Arc<OnceLock<String>>,
}

/// What was published to a stream and not looked at yet: the newest set, and all that changed since the last look. It
/// cannot hold more than the names of a set.
#[derive(Default)]
pub(crate) struct Mailbox {
    waiting: Mutex<Option<(ResourceSet, Difference)>>,
    bell: Notify,
}

/// The handle of whoever owns the configuration. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    lines: Mutex<HashMap<ConnectionId, Line>>,
    last_connection: AtomicU64,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) limits: Limits,
    pub(crate) shutdown: CancellationToken,
}

/// A stream's end of its line. Dropping it takes the stream off the hub.
pub(crate) struct Registration {
    pub(crate) connection: ConnectionId,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) closed: CancellationToken,
    /// Why the stream was closed, if it was not the end of the server.
    pub(crate) refusal: Arc<OnceLock<String>>,
    shared: Arc<Shared>,
}

impl Hub {
    /// A hub, and the events of its streams. All streams end when `shutdown` is cancelled.
    pub fn new(limits: Limits, shutdown: CancellationToken) -> (Self, mpsc::Receiver<Event>) {
        let (events, receiver) = mpsc::channel(limits.events.max(1));
        let slots = Arc::new(Semaphore::new(limits.streams.min(Semaphore::MAX_PERMITS)));
        let lines = Mutex::new(HashMap::new());
        let shared = Shared { lines, last_connection: AtomicU64::new(0), events, slots, limits, shutdown };
        (Self { shared: Arc::new(shared) }, receiver)
    }

    /// Gives a stream its new set, which differs from the one published before under the names in `changed`; a set that
    /// was not looked at yet is replaced. `false` when the stream is gone.
    pub fn publish(&self, connection: ConnectionId, set: ResourceSet, changed: &Difference) -> bool {
        let Some(mailbox) = self.shared.lines().get(&connection).map(|line| Arc::clone(&line.mailbox)) else {
            return false;
        };
        mailbox.put(set, changed);
        true
    }

    /// Ends a stream whose node cannot be served; the client is told why, with `INVALID_ARGUMENT`.
    pub fn refuse(&self, connection: ConnectionId, reason: &str) {
        if let Some(line) = self.shared.lines().get(&connection) {
            // A second reason does not replace the first.
            let _ = line.refusal.set(reason.to_owned());
            line.closed.cancel();
        }
    }

    /// Number of streams that are open.
    pub fn connected(&self) -> usize {
        self.shared.lines().len()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Mailbox {
    fn put(&self, set: ResourceSet, changed: &Difference) {
        let mut waiting = self.waiting();
        match waiting.as_mut() {
            Some((last, so_far)) => {
                *last = set;
                so_far.extend(changed);
            }
            None => *waiting = Some((set, changed.clone())),
        }
        drop(waiting);
        self.bell.notify_one();
    }

    /// Takes out what was published.
    pub(crate) fn take(&self) -> Option<(ResourceSet, Difference)> {
        self.waiting().take()
    }

    /// Waits until something is published; what was since the last wait counts.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }

    fn waiting(&self) -> MutexGuard<'_, Option<(ResourceSet, Difference)>> {
        // It is whole after each operation, so a panic elsewhere cannot have broken it.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    pub(crate) fn register(self: &Arc<Self>) -> Registration {
        let connection = ConnectionId(self.last_connection.fetch_add(1, Ordering::Relaxed) + 1);
        let mailbox = Arc::<Mailbox>::default();
        let closed = self.shutdown.child_token();
        let refusal = Arc::new(OnceLock::new());
        let line = Line { mailbox: Arc::clone(&mailbox), closed: closed.clone(), refusal: Arc::clone(&refusal) };
        self.lines().insert(connection, line);
        Registration { connection, mailbox, closed, refusal, shared: Arc::clone(self) }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<ConnectionId, Line>> {
        // The map is whole after each single operation, so a panic elsewhere cannot have broken it.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.shared.lines().remove(&self.connection);
    }
}
