//! Spans on their way out: offered without waiting, dropped and counted when the queue is full.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::SystemTime;

use tokio::sync::mpsc;

/// One finished span.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanRecord {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub parent: Option<[u8; 8]>,
    pub name: String,
    pub kind: SpanKind,
    pub start: SystemTime,
    pub end: SystemTime,
    pub attributes: Vec<(&'static str, Value)>,
    /// Status ERROR.
    pub error: bool,
}

/// Which side of a call the span tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    Client,
    Server,
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Shared(Arc<str>),
    Number(i64),
}

/// Where spans are offered. Clones share the queue.
#[derive(Clone, Debug)]
pub struct SpanSink {
    queue: mpsc::Sender<SpanRecord>,
    dropped: Arc<AtomicU64>,
}

/// The reading end, for [`crate::push`].
#[derive(Debug)]
pub struct SpanQueue {
    pub(crate) spans: mpsc::Receiver<SpanRecord>,
    dropped: Arc<AtomicU64>,
}

/// A queue for so many spans.
pub fn queue(capacity: usize) -> (SpanSink, SpanQueue) {
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    let dropped: Arc<AtomicU64> = Arc::default();
    (SpanSink { queue: sender, dropped: dropped.clone() }, SpanQueue { spans: receiver, dropped })
}

impl SpanSink {
    /// Never waits: a span that finds no room is dropped and counted.
    pub fn offer(&self, span: SpanRecord) {
        if self.queue.try_send(span).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Spans dropped so far, for want of room or because the aggregator did not take them.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

impl SpanQueue {
    /// Counts spans that left the queue and arrived nowhere.
    pub(crate) fn lost(&self, spans: usize) {
        self.dropped.fetch_add(spans as u64, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (sink, _queue) = queue(2);
        let span = SpanRecord {
            trace_id: [1; 16],
            span_id: [2; 8],
            parent: None,
            name: "reviews:9080/*".into(),
            kind: SpanKind::Client,
            start: SystemTime::UNIX_EPOCH,
            end: SystemTime::UNIX_EPOCH,
            attributes: Vec::new(),
            error: false,
        };
        for _ in 0..5 {
            sink.offer(span.clone());
        }
        assert_eq!(sink.dropped(), 3);
    }
}
