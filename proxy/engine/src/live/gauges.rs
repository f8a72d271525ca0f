//! What is under way to each cluster, over all workers: circuit breakers look at it.
//!
//! Counts only; what happens at a limit is decided where the request is sent.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;
use orrery_core::cluster::CircuitBreakers;
use orrery_core::names::ClusterName;

/// Counts of one cluster.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    requests: AtomicU32,
    retries: AtomicU32,
    connections: AtomicU32,
    pending: AtomicU32,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Retry,
    Connection,
    /// A request that waits for a connection.
    Pending,
}

/// One counted thing; dropping it ends the count.
#[derive(Debug)]
pub(crate) struct Slot {
    gauges: Arc<Gauges>,
    kind: Kind,
}

/// The gauges of all clusters, shared by the workers; looked at only when a worker resolves a cluster.
#[derive(Debug, Default)]
pub(crate) struct GaugeBook(Mutex<HashMap<ClusterName, Arc<Gauges>>>);

impl Gauges {
    pub(crate) fn request(self: &Arc<Self>, limit: u32) -> Option<Slot> {
        self.take(Kind::Request, limit)
    }

    pub(crate) fn retry(self: &Arc<Self>, limits: &CircuitBreakers) -> Option<Slot> {
        let requests = self.requests.load(Ordering::Relaxed).saturating_add(self.pending.load(Ordering::Relaxed));
        self.take(Kind::Retry, limits.retries(requests))
    }

    pub(crate) fn pending(self: &Arc<Self>, limit: u32) -> Option<Slot> {
        self.take(Kind::Pending, limit)
    }

    pub(crate) fn connection(self: &Arc<Self>, limit: u32) -> Option<Slot> {
        self.take(Kind::Connection, limit)
    }

    fn take(self: &Arc<Self>, kind: Kind, limit: u32) -> Option<Slot> {
        let slot = Slot { gauges: self.clone(), kind };
        let before = slot.counter().fetch_add(1, Ordering::Relaxed);
        (before < limit).then_some(slot)
    }
}

impl Slot {
    fn counter(&self) -> &AtomicU32 {
        match self.kind {
            Kind::Request => &self.gauges.requests,
            Kind::Retry => &self.gauges.retries,
            Kind::Connection => &self.gauges.connections,
            Kind::Pending => &self.gauges.pending,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.counter().fetch_sub(1, Ordering::Relaxed);
    }
}

impl GaugeBook {
    pub(crate) fn of(&self, cluster: &ClusterName) -> Arc<Gauges> {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        book.entry(cluster.clone()).or_default().clone()
    }

    /// Forgets clusters that nobody uses any more.
    pub(crate) fn forget_unused(&self) {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        book.retain(|_, gauges| Arc::strong_count(gauges) > 1);
    }
}
