//! Services, workloads and namespaces in numbers, each call counted once. The API modules write them down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use orrery_graph::security::SecuredShare;
use orrery_graph::{Durations, Flow, Health, Observations, Protocol, Rates, Reporter, Workload, is_known};
use serde::Serialize;

/// Numbers of a part of the traffic.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    pub(crate) rates: BTreeMap<Protocol, Rates>,
    at_callee: Durations,
    at_caller: Durations,
    secured: SecuredShare,
    pub(crate) last_seen: i64,
}

/// The numbers as the API writes them.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Numbers {
    /// Requests per second.
    pub(crate) rps: f64,
    /// Share of requests that failed (5xx, gRPC errors, no response), 0 to 1.
    pub(crate) error_rate: f64,
    /// Durations, milliseconds.
    pub(crate) p50: Option<f64>,
    pub(crate) p95: Option<f64>,
    pub(crate) p99: Option<f64>,
    /// Bytes per second of opaque TCP, client to server.
    pub(crate) bps: f64,
    pub(crate) health: &'static str,
    /// Per cent of traffic over mutual TLS.
    pub(crate) mtls: Option<f64>,
    /// Unix milliseconds.
    pub(crate) last_seen: i64,
}

/// A service and who takes part in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceSummary {
    pub(crate) host: Arc<str>,
    pub(crate) signals: Signals,
    pub(crate) callers: BTreeMap<Workload, Signals>,
    pub(crate) workloads: BTreeMap<Workload, Signals>,
}

/// Namespace and name.
pub(crate) type ServiceName = (Arc<str>, Arc<str>);

/// All services by namespace and name, and what they call.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) services: BTreeMap<ServiceName, ServiceSummary>,
    /// Calls of each workload to each service.
    pub(crate) calls: BTreeMap<(Workload, ServiceName), Signals>,
    pub(crate) total: Signals,
    pub(crate) workloads: BTreeSet<Workload>,
}

impl Signals {
    fn add_flow(&mut self, flow: &Flow) {
        let rates = self.rates.entry(flow.protocol).or_default();
        if flow.rate > 0.0 {
            rates.add(flow.protocol, flow.rate, &flow.code, &flow.flags, &flow.identity.service.host);
        }
        self.last_seen = self.last_seen.max(flow.last_seen);
    }

    fn add_latency(&mut self, reporter: Reporter, delta: &Durations) {
        match reporter {
            Reporter::Source => self.at_caller.add(delta),
            Reporter::Destination | Reporter::Waypoint => self.at_callee.add(delta),
        };
    }

    /// Requests per second, TCP left out.
    pub(crate) fn rps(&self) -> f64 {
        self.requests(|rates| rates.total)
    }

    /// Share of requests that failed.
    pub(crate) fn error_rate(&self) -> f64 {
        let rps = self.rps();
        if rps > 0.0 { self.requests(Rates::failures) / rps } else { 0.0 }
    }

    /// The callee's own view of durations, the caller's where that is all there is.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        let seen = if self.at_callee.count() > 0.0 { &self.at_callee } else { &self.at_caller };
        seen.quantile(q).map(|value| round(value, 100.0))
    }

    /// By the caller, who waited.
    pub(crate) fn felt(&self, q: f64) -> Option<f64> {
        let seen = if self.at_caller.count() > 0.0 { &self.at_caller } else { &self.at_callee };
        seen.quantile(q).map(|value| round(value, 100.0))
    }

    pub(crate) fn health(&self) -> Health {
        Health::of(&self.rates)
    }

    pub(crate) fn mtls(&self) -> Option<f64> {
        self.secured.percent().map(f64::round)
    }

    pub(crate) fn secured(&self) -> &SecuredShare {
        &self.secured
    }

    pub(crate) fn numbers(&self) -> Numbers {
        Numbers {
            rps: round(self.rps(), 1000.0),
            error_rate: round(self.error_rate(), 100_000.0),
            p50: self.quantile(0.5),
            p95: self.quantile(0.95),
            p99: self.quantile(0.99),
            bps: round(self.rates.get(&Protocol::Tcp).map_or(0.0, |rates| rates.total), 1000.0),
            health: self.health().name(),
            mtls: self.mtls(),
            last_seen: self.last_seen,
        }
    }

    fn requests(&self, of: impl Fn(&Rates) -> f64) -> f64 {
        self.rates.iter().filter(|(protocol, _)| **protocol != Protocol::Tcp).map(|(_, rates)| of(rates)).sum()
    }
}

impl Summary {
    pub(crate) fn of(seen: &Observations) -> Self {
        let mut summary = Self::default();
        for flow in Flow::join(&seen.traffic) {
            summary.each(&flow.identity, |signals| signals.add_flow(&flow));
        }
        for observation in seen.traffic.iter().filter(|seen| seen.reporter != Reporter::Source) {
            summary.each(&observation.identity, |signals| signals.secured.add(observation.rate, &observation.security));
        }
        for latency in &seen.latency {
            summary.each(&latency.identity, |signals| signals.add_latency(latency.reporter, &latency.durations));
        }
        summary
    }

    /// Visits everything that a call is part of.
    fn each(&mut self, identity: &orrery_graph::Identity, mut visit: impl FnMut(&mut Signals)) {
        let (source, destination) = (&identity.source, &identity.destination);
        let name = (identity.service.namespace.clone(), identity.service.name.clone());
        let service = self.services.entry(name.clone()).or_default();
        service.host = identity.service.host.clone();
        visit(&mut self.total);
        visit(&mut service.signals);
        visit(service.callers.entry(source.clone()).or_default());
        if is_known(&destination.name) {
            visit(service.workloads.entry(destination.clone()).or_default());
            self.workloads.insert(destination.clone());
        }
        if is_known(&source.name) {
            self.workloads.insert(source.clone());
        }
        visit(self.calls.entry((source.clone(), name)).or_default());
    }
}

pub(crate) fn round(value: f64, to: f64) -> f64 {
    (value * to).round() / to
}
