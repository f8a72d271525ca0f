//! All series of a process: found by labels once, kept while used, and read by exposition and push.
//!
//! Lookups take a lock and hash labels; callers keep the handles. What is added through a handle takes no lock.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

use crate::exposition;
use crate::labels::{HttpLabels, MessageLabels, TcpLabels};
use crate::series::{Counter, DatagramSeries, HttpSeries, MessageSeries, TcpSeries};

/// Who the series belong to: OTLP resource attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// `<app>.<namespace>`.
    pub service_name: String,
    /// The node id.
    pub instance_id: String,
    pub pod: String,
    pub namespace: String,
    pub app: String,
    pub version: String,
    /// Where `/stats/prometheus` is served, `<ip>:15020`; empty when nowhere.
    pub scrape_address: String,
    /// `component` of `istio_build`.
    pub component: &'static str,
    /// `tag` of `istio_build`.
    pub tag: &'static str,
}

/// Limits of a registry.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Label sets of each kind; more are counted in `orrery_refused_series_total` and not kept.
    pub label_sets: usize,
    /// A label set that nobody holds and that did not change for so long is dropped.
    pub idle: Duration,
}

/// A process's series. Clones share them.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    resource: Resource,
    limits: Limits,
    http: Mutex<Table<HttpLabels, HttpSeries>>,
    tcp: Mutex<Table<TcpLabels, TcpSeries>>,
    messages: Mutex<Table<MessageLabels, MessageSeries>>,
    datagrams: Arc<DatagramSeries>,
    refused: Counter,
}

type Table<L, S> = HashMap<L, Entry<S>, foldhash::fast::RandomState>;

#[derive(Debug)]
struct Entry<S> {
    series: Arc<S>,
    created: SystemTime,
    last_total: u64,
    last_change: SystemTime,
}

/// One label set with its series, as a reader sees it.
#[derive(Clone, Debug)]
pub(crate) struct Reading<L, S> {
    pub(crate) labels: L,
    pub(crate) series: Arc<S>,
    pub(crate) created: SystemTime,
}

/// How far a series has come: a number that grows with everything that is added.
pub(crate) trait Total {
    fn total(&self) -> u64;
}

impl Total for HttpSeries {
    fn total(&self) -> u64 {
        self.requests.value()
    }
}

impl Total for TcpSeries {
    fn total(&self) -> u64 {
        let counters = [&self.opened, &self.closed, &self.sent, &self.received];
        counters.iter().fold(0, |sum: u64, counter| sum.wrapping_add(counter.value()))
    }
}

impl Total for MessageSeries {
    fn total(&self) -> u64 {
        self.request.value().wrapping_add(self.response.value())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { label_sets: 20_000, idle: Duration::from_secs(600) }
    }
}

impl Registry {
    pub fn new(resource: Resource) -> Self {
        Self::with_limits(resource, Limits::default())
    }

    pub fn with_limits(resource: Resource, limits: Limits) -> Self {
        Self(Arc::new(Inner {
            resource,
            limits,
            http: Mutex::default(),
            tcp: Mutex::default(),
            messages: Mutex::default(),
            datagrams: Arc::default(),
            refused: Counter::default(),
        }))
    }

    pub fn resource(&self) -> &Resource {
        &self.0.resource
    }

    /// The series of these labels; keep the handle.
    pub fn http(&self, labels: &HttpLabels) -> Arc<HttpSeries> {
        self.find(&self.0.http, labels)
    }

    /// The series of these labels; keep the handle.
    pub fn tcp(&self, labels: &TcpLabels) -> Arc<TcpSeries> {
        self.find(&self.0.tcp, labels)
    }

    /// The series of these labels; keep the handle.
    pub fn messages(&self, labels: &MessageLabels) -> Arc<MessageSeries> {
        self.find(&self.0.messages, labels)
    }

    fn find<L: Clone + Eq + Hash, S: Default>(&self, table: &Mutex<Table<L, S>>, labels: &L) -> Arc<S> {
        let mut table = table.lock();
        if let Some(entry) = table.get(labels) {
            return entry.series.clone();
        }
        let series = Arc::new(S::default());
        if table.len() >= self.0.limits.label_sets {
            // The caller may add to it, but nobody will read it.
            self.0.refused.add(1);
            return series;
        }
        let now = SystemTime::now();
        let entry = Entry { series: series.clone(), created: now, last_total: 0, last_change: now };
        table.insert(labels.clone(), entry);
        series
    }

    /// What is counted of UDP.
    pub fn datagrams(&self) -> &Arc<DatagramSeries> {
        &self.0.datagrams
    }

    pub(crate) fn refused(&self) -> u64 {
        self.0.refused.value()
    }

    pub(crate) fn read_http(&self) -> Vec<Reading<HttpLabels, HttpSeries>> {
        read(&self.0.http)
    }

    pub(crate) fn read_tcp(&self) -> Vec<Reading<TcpLabels, TcpSeries>> {
        read(&self.0.tcp)
    }

    pub(crate) fn read_messages(&self) -> Vec<Reading<MessageLabels, MessageSeries>> {
        read(&self.0.messages)
    }

    /// Drops label sets that nobody holds and that have been still for the idle time.
    pub fn expire(&self, now: SystemTime) {
        let idle = self.0.limits.idle;
        expire(&self.0.http, now, idle);
        expire(&self.0.tcp, now, idle);
        expire(&self.0.messages, now, idle);
    }

    /// Everything in Prometheus' text format 0.0.4.
    pub fn encode(&self) -> String {
        exposition::encode(self)
    }
}

fn read<L: Clone, S>(table: &Mutex<Table<L, S>>) -> Vec<Reading<L, S>> {
    let table = table.lock();
    let reading = |(labels, entry): (&L, &Entry<S>)| Reading {
        labels: labels.clone(),
        series: entry.series.clone(),
        created: entry.created,
    };
    table.iter().map(reading).collect()
}

fn expire<L: Eq + Hash, S: Total>(table: &Mutex<Table<L, S>>, now: SystemTime, idle: Duration) {
    table.lock().retain(|_, entry| {
        let total = entry.series.total();
        if total != entry.last_total {
            entry.last_total = total;
            entry.last_change = now;
        }
        let still = now.duration_since(entry.last_change).unwrap_or_default();
        Arc::strong_count(&entry.series) > 1 || still < idle
    });
}

#[cfg(test)]
mod tests;
