//! Traces in memory: bounded by number and bytes, with errors and slow traces kept longest.
//!
//! Knows spans as any tracing system has them, not the wire formats they came in.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

mod search;
#[cfg(test)]
mod tests;

pub use search::TraceQuery;

/// Identifies a trace.
pub type TraceId = [u8; 16];
/// Identifies a span within its trace.
pub type SpanId = [u8; 8];

/// Share of the budget that interesting traces may fill before they push out each other: the rest shows the ordinary.
const KEPT_SHARE: usize = 2;
/// A trace is slow when it takes this many times as long as its kind usually does.
const SLOW_FACTOR: f64 = 3.0;
/// Most distinct root operations whose usual duration is learnt.
const MOST_USUAL: usize = 4096;

/// What the store may hold.
#[derive(Clone, Copy, Debug)]
pub struct TraceLimits {
    /// Traces.
    pub traces: usize,
    /// Estimated bytes of all traces.
    pub bytes: usize,
    /// Spans of one trace; more are dropped.
    pub spans: usize,
    /// No trace shorter than this is called slow, microseconds.
    pub slow_floor: u64,
}

/// Which end of a call a span describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Not said.
    Unspecified,
    /// Inside a process.
    Internal,
    /// The callee's.
    Server,
    /// The caller's.
    Client,
    /// The sender's of a message.
    Producer,
    /// The receiver's of a message.
    Consumer,
}

/// Value of a tag.
#[derive(Clone, Debug, PartialEq)]
pub enum TagValue {
    /// Text.
    Text(Arc<str>),
    /// Yes or no.
    Flag(bool),
    /// Whole number.
    Integer(i64),
    /// Number.
    Number(f64),
}

/// One operation of one service.
#[derive(Clone, Debug)]
pub struct Span {
    /// Trace that it belongs to.
    pub trace: TraceId,
    /// Its own id.
    pub id: SpanId,
    /// Span that caused it.
    pub parent: Option<SpanId>,
    /// Service that did it.
    pub service: Arc<str>,
    /// What it did.
    pub name: Arc<str>,
    /// Which end of a call.
    pub kind: SpanKind,
    /// Begin, Unix microseconds.
    pub start: u64,
    /// Microseconds.
    pub duration: u64,
    /// Whether it failed.
    pub error: bool,
    /// What is known about it.
    pub tags: Vec<(Arc<str>, TagValue)>,
    /// What is known about the process that did it.
    pub process: Arc<[(Arc<str>, TagValue)]>,
}

/// All spans of one trace.
#[derive(Debug)]
pub struct Trace {
    /// Spans in the order in which they came.
    pub spans: Vec<Span>,
    start: u64,
    bytes: usize,
    kept: bool,
    sequence: u64,
}

/// Counts since the store was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceCounts {
    /// Spans taken.
    pub spans: u64,
    /// Spans dropped because their trace had too many.
    pub dropped: u64,
    /// Traces forgotten to make room.
    pub evicted: u64,
}

/// All traces.
#[derive(Debug)]
pub struct TraceStore {
    limits: TraceLimits,
    traces: HashMap<TraceId, Trace, RandomState>,
    services: HashMap<Arc<str>, BTreeSet<(u64, TraceId)>, RandomState>,
    ordinary: VecDeque<(TraceId, u64)>,
    kept: VecDeque<(TraceId, u64)>,
    kept_bytes: usize,
    kept_count: usize,
    usual: HashMap<(Arc<str>, Arc<str>), f64, RandomState>,
    strings: HashSet<Arc<str>, RandomState>,
    bytes: usize,
    sequence: u64,
    counts: TraceCounts,
}

impl Default for TraceLimits {
    /// 20,000 traces, 64 MiB, 1,000 spans each, slow from 100 ms.
    fn default() -> Self {
        Self { traces: 20_000, bytes: 64 << 20, spans: 1_000, slow_floor: 100_000 }
    }
}

impl TraceStore {
    /// An empty store.
    pub fn new(limits: TraceLimits) -> Self {
        Self {
            limits,
            traces: HashMap::default(),
            services: HashMap::default(),
            ordinary: VecDeque::new(),
            kept: VecDeque::new(),
            kept_bytes: 0,
            kept_count: 0,
            usual: HashMap::default(),
            strings: HashSet::default(),
            bytes: 0,
            sequence: 0,
            counts: TraceCounts::default(),
        }
    }

    /// Takes a span; a span that its trace already has is ignored.
    pub fn add(&mut self, span: Span) {
        let interesting = span.error || self.is_slow(&span);
        let bytes = estimate(&span);
        let (id, start, service) = (span.trace, span.start, span.service.clone());
        if !self.traces.contains_key(&id) {
            self.sequence += 1;
            let trace = Trace { spans: Vec::new(), start, bytes: 0, kept: false, sequence: self.sequence };
            self.traces.insert(id, trace);
            self.ordinary.push_back((id, self.sequence));
        }
        let Some(trace) = self.traces.get_mut(&id) else { return };
        if trace.spans.len() >= self.limits.spans {
            self.counts.dropped += 1;
            return;
        }
        if trace.spans.iter().any(|known| known.id == span.id && known.service == span.service) {
            return;
        }
        self.counts.spans += 1;
        trace.spans.push(span);
        trace.bytes += bytes;
        self.bytes += bytes;
        if trace.kept {
            self.kept_bytes += bytes;
        } else if interesting {
            trace.kept = true;
            self.kept_count += 1;
            self.kept_bytes += trace.bytes;
            self.kept.push_back((id, trace.sequence));
        }
        self.services.entry(service).or_default().insert((trace.start, id));
        self.make_room();
    }

    /// The trace with this id.
    pub fn trace(&self, id: &TraceId) -> Option<&Trace> {
        self.traces.get(id)
    }

    /// Names of all services that have spans, sorted.
    pub fn services(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self.services.keys().cloned().collect();
        names.sort();
        names
    }

    /// One shared copy of a string, for tags whose names and values repeat.
    pub fn intern(&mut self, text: &str) -> Arc<str> {
        if self.strings.len() > MOST_USUAL * 4 {
            self.strings.retain(|text| Arc::strong_count(text) > 1);
        }
        self.strings.get_or_insert_with(text, |text| Arc::from(text)).clone()
    }

    /// Forgets traces that began before `horizon`, Unix microseconds.
    pub fn expire(&mut self, horizon: u64) {
        let old: Vec<TraceId> =
            self.traces.iter().filter(|(_, trace)| trace.start < horizon).map(|(id, _)| *id).collect();
        for id in old {
            self.forget(&id);
        }
        let traces = &self.traces;
        let alive = |(id, sequence): &(TraceId, u64)| traces.get(id).is_some_and(|trace| trace.sequence == *sequence);
        self.ordinary.retain(alive);
        self.kept.retain(alive);
    }

    /// Number of traces held.
    pub fn len(&self) -> usize {
        self.traces.len()
    }

    /// Whether no trace is held.
    pub fn is_empty(&self) -> bool {
        self.traces.is_empty()
    }

    /// Estimated bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What happened since the store was made.
    pub fn counts(&self) -> TraceCounts {
        self.counts
    }

    /// Compares a root span with what its operation usually takes, and learns from it.
    fn is_slow(&mut self, span: &Span) -> bool {
        if span.parent.is_some() {
            return false;
        }
        let key = (span.service.clone(), span.name.clone());
        let duration = span.duration as f64;
        let Some(usual) = self.usual.get_mut(&key) else {
            if self.usual.len() < MOST_USUAL {
                self.usual.insert(key, duration);
            }
            return false;
        };
        let slow = span.duration >= self.limits.slow_floor && duration > *usual * SLOW_FACTOR;
        *usual += (duration - *usual) / 64.0;
        slow
    }

    fn make_room(&mut self) {
        while self.traces.len() > self.limits.traces || self.bytes > self.limits.bytes {
            let too_many_kept =
                self.kept_count > self.limits.traces / KEPT_SHARE || self.kept_bytes > self.limits.bytes / KEPT_SHARE;
            let victim =
                if too_many_kept { self.oldest(true) } else { self.oldest(false).or_else(|| self.oldest(true)) };
            let Some(victim) = victim.or_else(|| self.oldest(false)) else { return };
            self.forget(&victim);
            self.counts.evicted += 1;
        }
    }

    /// Takes the oldest interesting or ordinary trace from its queue, passing over entries that are out of date.
    fn oldest(&mut self, kept: bool) -> Option<TraceId> {
        let queue = if kept { &mut self.kept } else { &mut self.ordinary };
        while let Some((id, sequence)) = queue.pop_front() {
            if self.traces.get(&id).is_some_and(|trace| trace.sequence == sequence && trace.kept == kept) {
                return Some(id);
            }
        }
        None
    }

    fn forget(&mut self, id: &TraceId) {
        let Some(trace) = self.traces.remove(id) else { return };
        self.bytes -= trace.bytes;
        if trace.kept {
            self.kept_bytes -= trace.bytes;
            self.kept_count -= 1;
        }
        for span in &trace.spans {
            if let Some(index) = self.services.get_mut(&span.service) {
                index.remove(&(trace.start, *id));
                if index.is_empty() {
                    self.services.remove(&span.service);
                }
            }
        }
    }
}

impl Trace {
    /// Begin of its first span, Unix microseconds.
    pub fn start(&self) -> u64 {
        self.spans.iter().map(|span| span.start).min().unwrap_or(self.start)
    }

    /// From its first begin to its last end, microseconds.
    pub fn duration(&self) -> u64 {
        let end = self.spans.iter().map(|span| span.start.saturating_add(span.duration)).max().unwrap_or(0);
        end.saturating_sub(self.start())
    }

    /// Whether it is kept longer than others, because something failed or was slow.
    pub fn is_kept(&self) -> bool {
        self.kept
    }
}

fn estimate(span: &Span) -> usize {
    let tag = |(_, value): &(Arc<str>, TagValue)| match value {
        TagValue::Text(text) => text.len() + 56,
        TagValue::Flag(_) | TagValue::Integer(_) | TagValue::Number(_) => 40,
    };
    size_of::<Span>() + span.name.len() + span.tags.iter().map(tag).sum::<usize>()
}
