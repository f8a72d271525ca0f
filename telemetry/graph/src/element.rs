//! Nodes and edges: what they are called and what they did. How they come about is `build`'s business.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::durations::Durations;
use crate::flow::Flow;
use crate::health::Health;
use crate::identity::UNKNOWN;
use crate::node::{End, GraphType, NodeType, stable_id};
use crate::rates::{Protocol, Rates};
use crate::security::SecuredShare;

/// What happens right now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Live {
    /// Requests per second.
    pub requests: f64,
    /// Failed requests per second: 5xx, gRPC errors, no response.
    pub failures: f64,
    /// Bytes per second of opaque TCP, from client to server.
    pub bytes: f64,
}

/// A node. Names that it does not have are empty.
#[derive(Clone, Debug)]
pub struct Node {
    /// Stable and opaque.
    pub id: String,
    /// What it stands for.
    pub kind: NodeType,
    /// Cluster id.
    pub cluster: Arc<str>,
    /// Namespace.
    pub namespace: Arc<str>,
    /// Workload name.
    pub workload: Arc<str>,
    /// App (canonical service).
    pub app: Arc<str>,
    /// Version (canonical revision).
    pub version: Arc<str>,
    /// Service name.
    pub service: Arc<str>,
    /// Services by which it was called: cluster, namespace, name.
    pub called_as: BTreeSet<(Arc<str>, Arc<str>, Arc<str>)>,
    /// What came in over the window.
    pub inbound: BTreeMap<Protocol, Rates>,
    /// What went out over the window.
    pub outbound: BTreeMap<Protocol, Rates>,
    /// What comes in right now.
    pub live_in: Live,
    /// What goes out right now.
    pub live_out: Live,
    /// How long callers waited, milliseconds.
    pub latency: Durations,
    /// When it last had traffic, Unix milliseconds.
    pub last_seen: i64,
    /// Whether traffic only starts here.
    pub is_root: bool,
    /// Whether it had no traffic in the window.
    pub is_idle: bool,
    /// Whether it is in none of the namespaces asked for.
    pub is_outside: bool,
    /// Whether there is nothing more to see about it.
    pub is_inaccessible: bool,
    /// Whether it is a gateway.
    pub is_gateway: bool,
    /// How well it does.
    pub health: Health,
}

/// Traffic of one protocol between two nodes.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Stable and opaque.
    pub id: String,
    /// Protocol.
    pub protocol: Protocol,
    /// Over the window.
    pub rates: Rates,
    /// Right now.
    pub live: Live,
    /// How it was secured, as the callee's proxy saw it.
    pub secured: SecuredShare,
    /// The caller's SPIFFE id.
    pub source_principal: Option<Arc<str>>,
    /// The callee's SPIFFE id.
    pub destination_principal: Option<Arc<str>>,
    /// Durations that the caller's proxy saw, milliseconds.
    pub at_caller: Durations,
    /// Durations that the callee's proxy (or a waypoint) saw, milliseconds.
    pub at_callee: Durations,
    /// When it last had traffic, Unix milliseconds.
    pub last_seen: i64,
    /// How well it does.
    pub health: Health,
}

impl Node {
    pub(crate) fn new(name: &str, kind: NodeType, end: &End, graph: GraphType) -> Self {
        let none: Arc<str> = Arc::from("");
        let if_known = |value: &Arc<str>| if &**value == UNKNOWN { none.clone() } else { value.clone() };
        let (workload, app, version, service) = match kind {
            NodeType::App if graph == GraphType::VersionedApp => {
                (end.workload.clone(), end.app.clone(), end.version.clone(), none)
            }
            NodeType::App => (none.clone(), end.app.clone(), none.clone(), none),
            NodeType::Service => (none.clone(), none.clone(), none, end.service.clone()),
            NodeType::Workload => (end.workload.clone(), if_known(&end.app), if_known(&end.version), none),
            NodeType::Unknown | NodeType::Box => {
                (end.workload.clone(), end.app.clone(), end.version.clone(), end.service.clone())
            }
        };
        Self {
            id: stable_id(name),
            kind,
            cluster: end.cluster.clone(),
            namespace: end.best_namespace().clone(),
            workload,
            app,
            version,
            service,
            called_as: BTreeSet::new(),
            inbound: BTreeMap::new(),
            outbound: BTreeMap::new(),
            live_in: Live::default(),
            live_out: Live::default(),
            latency: Durations::default(),
            last_seen: 0,
            is_root: false,
            is_idle: false,
            is_outside: false,
            is_inaccessible: false,
            is_gateway: false,
            health: Health::NotAvailable,
        }
    }
}

impl Edge {
    pub(crate) fn new(from: &str, to: &str, protocol: Protocol) -> Self {
        Self {
            id: stable_id(&format!("{from}.{to}.{}", protocol.name())),
            protocol,
            rates: Rates::default(),
            live: Live::default(),
            secured: SecuredShare::default(),
            source_principal: None,
            destination_principal: None,
            at_caller: Durations::default(),
            at_callee: Durations::default(),
            last_seen: 0,
            health: Health::NotAvailable,
        }
    }

    /// Durations as Kiali reports them: the callee's view, or the caller's where that is all there is.
    pub fn reported_latency(&self) -> &Durations {
        if self.at_callee.count() > 0.0 { &self.at_callee } else { &self.at_caller }
    }

    /// Durations as the caller felt them, with injected delays, retries and the network; the callee's view where the
    /// caller has no proxy.
    pub fn felt_latency(&self) -> &Durations {
        if self.at_caller.count() > 0.0 { &self.at_caller } else { &self.at_callee }
    }
}

impl Live {
    pub(crate) fn of(flow: &Flow) -> Self {
        match flow.protocol {
            Protocol::Tcp => Self { bytes: flow.live, ..Self::default() },
            Protocol::Http | Protocol::Grpc => {
                let failed = flow.protocol.outcome(&flow.code).is_failure();
                Self { requests: flow.live, failures: if failed { flow.live } else { 0.0 }, bytes: 0.0 }
            }
        }
    }

    /// Adds another's traffic.
    pub fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.failures += other.failures;
        self.bytes += other.bytes;
    }
}
