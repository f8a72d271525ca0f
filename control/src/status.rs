//! What every connected proxy was sent, runs and refused, and how long changes take to arrive.
//!
//! Fed by the server's events and by the reconcile loop; read by the debug API. It decides nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::SystemTime;

use orrery_serve::{ConnectionId, Event, NodeIdentity, Peer, ResourceType, Variant};
use serde::Serialize;
use tokio::time::Instant;

use crate::metrics::{Family, Metrics};

/// Pushes that are remembered.
const REMEMBERED: usize = 200;

/// State of one proxy's stream.
#[derive(Debug, Clone)]
pub(crate) struct ProxyStatus {
    pub(crate) identity: NodeIdentity,
    pub(crate) peer: Peer,
    pub(crate) variant: Variant,
    pub(crate) connected: SystemTime,
    pub(crate) types: BTreeMap<ResourceType, TypeStatus>,
    pub(crate) published: u64,
    pub(crate) synced: u64,
    waits_since: Option<Instant>,
}

/// State of one type on one proxy.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct TypeStatus {
    pub(crate) sent: String,
    pub(crate) acked: String,
    pub(crate) sent_revision: u64,
    pub(crate) acked_revision: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<Refusal>,
}

/// Why a proxy keeps what it had.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Refusal {
    pub(crate) nonce: String,
    pub(crate) revision: u64,
    pub(crate) resources: Vec<String>,
    pub(crate) message: String,
}

/// One change of the configuration, from its cause to the last proxy's answer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PushRecord {
    pub(crate) revision: u64,
    /// Seconds since 1970.
    pub(crate) at: f64,
    /// What changed, as `kind/namespace/name`.
    pub(crate) causes: Vec<String>,
    /// Proxies whose configuration changed.
    pub(crate) proxies: usize,
    /// Milliseconds until the last of them answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) converged_ms: Option<f64>,
    #[serde(skip)]
    waiting: BTreeSet<ConnectionId>,
    #[serde(skip)]
    since: Instant,
}

/// The table of all proxies; cheap to clone.
#[derive(Clone)]
pub(crate) struct Board {
    tables: Arc<RwLock<Tables>>,
    metrics: Metrics,
}

#[derive(Default)]
pub(crate) struct Tables {
    pub(crate) proxies: BTreeMap<ConnectionId, ProxyStatus>,
    pub(crate) pushes: VecDeque<PushRecord>,
}

impl Board {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self { tables: Arc::default(), metrics }
    }

    /// The tables as they are now; do not hold across an await.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a revision was published to some proxies, caused by a change at `since`.
    pub(crate) fn published(&self, revision: u64, since: Instant, causes: Vec<String>, to: &[ConnectionId]) {
        self.write(|tables| {
            for connection in to {
                if let Some(proxy) = tables.proxies.get_mut(connection) {
                    proxy.published = revision;
                    proxy.waits_since.get_or_insert(since);
                }
            }
            if causes.is_empty() {
                return;
            }
            if tables.pushes.len() == REMEMBERED {
                tables.pushes.pop_front();
            }
            let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
            let converged_ms = to.is_empty().then_some(0.0);
            let (proxies, waiting) = (to.len(), to.iter().copied().collect());
            tables.pushes.push_back(PushRecord { revision, at, causes, proxies, converged_ms, waiting, since });
        });
    }

    /// Takes an event of the server.
    pub(crate) fn event(&self, event: Event) {
        match event {
            Event::Connected { connection, node: _, identity, peer, variant } => {
                tracing::info!(node = identity.id, connection = connection.0, ?variant, "proxy connected");
                self.write(|tables| {
                    tables.proxies.insert(connection, ProxyStatus::new(identity, peer, variant));
                });
                self.count_proxies();
            }
            Event::Sent { connection, kind, nonce, revision, resources: _, bytes } => {
                self.metrics.add(Family::Pushes, &[("type", kind.short_name())]);
                self.metrics.observe(Family::ConfigSize, &[("type", kind.type_url())], bytes as f64);
                self.of(connection, kind, |status| {
                    status.sent = nonce;
                    status.sent_revision = revision;
                });
            }
            Event::Acked { connection, kind, nonce, revision, took } => {
                self.metrics.observe(Family::SendTime, &[], took.as_secs_f64());
                self.of(connection, kind, |status| {
                    status.acked = nonce;
                    status.acked_revision = revision;
                    status.refused = None;
                });
            }
            Event::Nacked { connection, kind, nonce, revision, names, message } => {
                self.refused(connection, kind, Refusal { nonce, revision, resources: names, message });
            }
            Event::Stale { connection: _, kind } => {
                self.metrics.add(Family::ExpiredNonces, &[("type", kind.short_name())]);
            }
            Event::Synced { connection, revision } => self.synced(connection, revision),
            Event::Disconnected { connection, reason } => self.disconnected(connection, &reason),
        }
    }

    fn refused(&self, connection: ConnectionId, kind: ResourceType, refusal: Refusal) {
        self.metrics.add(Family::Rejects, &[("type", kind.short_name())]);
        let node = self.read().proxies.get(&connection).map(|proxy| proxy.identity.id.clone()).unwrap_or_default();
        tracing::warn!(node, kind = %kind, resources = ?refusal.resources, message = refusal.message, "proxy refused a push");
        self.of(connection, kind, |status| status.refused = Some(refusal));
    }

    fn synced(&self, connection: ConnectionId, revision: u64) {
        let took = self.write(|tables| {
            let proxy = tables.proxies.get_mut(&connection)?;
            proxy.synced = revision;
            let complete = revision >= proxy.published;
            let since = if complete { proxy.waits_since.take() } else { None };
            tables.arrived(connection, revision);
            since.map(|since| since.elapsed())
        });
        if let Some(took) = took {
            self.metrics.observe(Family::Convergence, &[], took.as_secs_f64());
        }
    }

    fn disconnected(&self, connection: ConnectionId, reason: &str) {
        let gone = self.write(|tables| {
            let proxy = tables.proxies.remove(&connection)?;
            tables.arrived(connection, u64::MAX);
            Some(proxy)
        });
        if let Some(proxy) = gone {
            tracing::info!(node = proxy.identity.id, connection = connection.0, reason, "proxy disconnected");
        }
        self.count_proxies();
    }

    fn count_proxies(&self) {
        let connected = self.read().proxies.len() as f64;
        self.metrics.set(Family::Connected, &[("version", env!("CARGO_PKG_VERSION"))], connected);
    }

    fn of(&self, connection: ConnectionId, kind: ResourceType, change: impl FnOnce(&mut TypeStatus)) {
        self.write(|tables| {
            if let Some(proxy) = tables.proxies.get_mut(&connection) {
                change(proxy.types.entry(kind).or_default());
            }
        });
    }

    fn write<T>(&self, change: impl FnOnce(&mut Tables) -> T) -> T {
        change(&mut self.tables.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Tables {
    /// One proxy has answered everything up to a revision.
    fn arrived(&mut self, connection: ConnectionId, revision: u64) {
        for push in self.pushes.iter_mut().filter(|push| push.revision <= revision) {
            if push.waiting.remove(&connection) && push.waiting.is_empty() {
                push.converged_ms = Some(push.since.elapsed().as_secs_f64() * 1000.0);
            }
        }
    }
}

impl ProxyStatus {
    fn new(identity: NodeIdentity, peer: Peer, variant: Variant) -> Self {
        Self {
            identity,
            peer,
            variant,
            connected: SystemTime::now(),
            types: BTreeMap::new(),
            published: 0,
            synced: 0,
            waits_since: None,
        }
    }

    /// `<name>.<namespace>`, as Istio calls a proxy.
    pub(crate) fn name(&self) -> &str {
        self.identity.id.split('~').nth(2).unwrap_or(&self.identity.id)
    }

    /// `sidecar` or `router`.
    pub(crate) fn kind(&self) -> &str {
        self.identity.id.split('~').next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
