//! Handles to series: looked up once, then only added to.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::histogram::Histogram;

/// A monotonic count.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// All series of one set of HTTP labels.
#[derive(Debug, Default)]
pub struct HttpSeries {
    pub(crate) requests: Counter,
    pub(crate) duration: Histogram,
    pub(crate) request_bytes: Histogram,
    pub(crate) response_bytes: Histogram,
}

/// All series of one set of TCP labels.
#[derive(Debug, Default)]
pub struct TcpSeries {
    /// Connections opened.
    pub opened: Counter,
    /// Connections closed.
    pub closed: Counter,
    /// Bytes from server to client.
    pub sent: Counter,
    /// Bytes from client to server.
    pub received: Counter,
}

/// gRPC messages between one pair of ends.
#[derive(Debug, Default)]
pub struct MessageSeries {
    /// From client to server.
    pub request: Counter,
    /// From server to client.
    pub response: Counter,
}

/// UDP of a whole process: sessions are one per client address.
#[derive(Debug, Default)]
pub struct DatagramSeries {
    /// Sessions begun.
    pub opened: Counter,
    /// Sessions over.
    pub closed: Counter,
    /// Bytes from server to client.
    pub sent: Counter,
    /// Bytes from client to server.
    pub received: Counter,
    /// Datagrams that were not passed on.
    pub dropped: Counter,
}

impl Counter {
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }

    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl HttpSeries {
    /// Counts one request that has ended.
    pub fn record(&self, duration_us: u64, request_bytes: u64, response_bytes: u64) {
        self.duration.observe_thousandths(duration_us);
        self.request_bytes.observe(request_bytes);
        self.response_bytes.observe(response_bytes);
        self.requests.add(1);
    }
}
