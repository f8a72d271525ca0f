//! What a worker knows of clusters beside their configuration: endpoints with requests in flight, connection pools,
//! ejections. It outlives snapshots: an endpoint keeps its state while its address and transport stay the same.
//!
//! It does not decide which endpoint is chosen (`orrery_core::balance`), and sends nothing.

mod gauges;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use orrery_core::balance::{Eligible, Fitness, Rotation};
use orrery_core::cluster::{Cluster, Endpoint, Health, Locality, ProxyProtocol, Transport, UpstreamTls};
use orrery_core::outlier::{Ejected, EndpointResult, OutlierState};
use orrery_net::pool::{Pool, PoolLimits};
use tokio::time::Instant;

pub(crate) use gauges::{GaugeBook, Gauges, Slot};

use crate::body::UpBody;
use crate::peer::Peer;
use crate::series::SeriesCache;
use orrery_emit::series::{HttpSeries, MessageSeries};

/// Idle HTTP/1 connections kept per endpoint and worker.
const MAX_IDLE: usize = 1024;
/// Idle connections are closed after this if the cluster does not say (as Envoy).
const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);
/// Requests at the same time on one HTTP/2 connection, if the cluster does not say.
const STREAMS: u32 = 100;
/// A little more than the pause between two sweeps.
const SWEEP_MARGIN: Duration = Duration::from_secs(2);
/// Original destinations remembered per cluster and worker.
const MAX_ORIGINALS: usize = 1024;

/// A cluster as one worker uses it.
#[derive(Debug)]
pub(crate) struct LiveCluster {
    pub(crate) config: Arc<Cluster>,
    /// In the order of the configuration.
    endpoints: Vec<Rc<LiveEndpoint>>,
    eligible: RefCell<Eligible>,
    rotation: RefCell<Rotation>,
    /// Endpoints of an original-destination cluster, by address.
    originals: RefCell<HashMap<SocketAddr, Rc<LiveEndpoint>>>,
    /// When ejected endpoints were looked at last.
    looked: Cell<Duration>,
    pub(crate) gauges: Arc<Gauges>,
}

/// An endpoint as one worker uses it.
#[derive(Debug)]
pub(crate) struct LiveEndpoint {
    pub(crate) config: Arc<Endpoint>,
    /// How it is reached.
    pub(crate) tls: Option<Arc<UpstreamTls>>,
    /// What connections begin with. They are not shared then: each tells of one client.
    pub(crate) proxy_protocol: Option<ProxyProtocol>,
    state: Rc<EndpointState>,
}

/// The part of an endpoint that survives configuration.
#[derive(Debug)]
pub(crate) struct EndpointState {
    in_flight: Cell<u32>,
    /// When it was seen first.
    since: Instant,
    pub(crate) pool: Pool<UpBody, Slot>,
    outlier: Cell<OutlierState>,
    /// Who answers there: what the peer said last, else what the control plane says.
    peer: RefCell<Rc<Peer>>,
    pub(crate) series: SeriesCache<HttpSeries>,
    /// Of gRPC messages.
    pub(crate) messages: SeriesCache<MessageSeries>,
}

/// A request in flight to an endpoint.
#[derive(Debug)]
pub(crate) struct InFlight(Rc<LiveEndpoint>);

impl EndpointState {
    /// Lets go of metric handles, so that unused series can expire.
    fn forget_series(&self) {
        self.series.clear();
        self.messages.clear();
    }
}

impl LiveCluster {
    /// Resolves a configuration; endpoints of `before` that did not change keep their state.
    pub(crate) fn new(config: Arc<Cluster>, before: Option<&Self>, gauges: Arc<Gauges>) -> Self {
        let known: HashMap<SocketAddr, Vec<&Rc<LiveEndpoint>>> = before.map_or_else(HashMap::new, |before| {
            before.endpoints.iter().fold(HashMap::new(), |mut known, endpoint| {
                known.entry(endpoint.config.address).or_insert_with(Vec::new).push(endpoint);
                known
            })
        });
        let same_service = before.is_some_and(|before| before.config.service == config.service);
        let endpoints = config
            .endpoints
            .all
            .iter()
            .map(|endpoint| {
                let old = known
                    .get(&endpoint.address)
                    .and_then(|all| all.iter().find(|old| old.config.host == endpoint.host));
                Rc::new(LiveEndpoint::new(&config, endpoint.clone(), old.map(|old| &***old), same_service))
            })
            .collect();
        let cluster = Self {
            config,
            endpoints,
            eligible: RefCell::default(),
            rotation: RefCell::default(),
            originals: RefCell::default(),
            looked: Cell::new(before.map_or(Duration::ZERO, |before| before.looked.get())),
            gauges,
        };
        cluster.refresh_eligible();
        cluster
    }

    fn refresh_eligible(&self) {
        let now = Instant::now();
        let slow_start = self.config.slow_start;
        let fitness = |at: usize| {
            let Some(endpoint) = self.endpoints.get(at) else { return Fitness::default() };
            let age = now.duration_since(endpoint.state.since);
            Fitness {
                ejected: endpoint.state.outlier.get().is_ejected(),
                warmth: slow_start.map_or(1000, |slow| slow.warmth(age)),
            }
        };
        *self.eligible.borrow_mut() = Eligible::of_cluster(&self.config, fitness);
    }

    /// Whether an endpoint is still warming up.
    fn is_warming(&self, now: Instant) -> bool {
        let Some(slow) = self.config.slow_start else { return false };
        // One look after its end, so that the last step is taken too.
        let until = slow.window + SWEEP_MARGIN;
        self.endpoints.iter().any(|endpoint| now.duration_since(endpoint.state.since) < until)
    }

    /// Chooses an endpoint; those in `avoid` are taken only if nothing else is drawn in a few tries.
    pub(crate) fn pick(
        &self,
        mut random: impl FnMut() -> u64,
        hash: Option<u64>,
        avoid: &[SocketAddr],
    ) -> Option<Rc<LiveEndpoint>> {
        let eligible = self.eligible.borrow();
        let mut rotation = self.rotation.borrow_mut();
        let load = |at: usize| self.endpoints.get(at).map_or(0, |endpoint| endpoint.state.in_flight.get());
        let mut picked = None;
        for _ in 0..=avoid.len().min(3) * 3 {
            let at = eligible.pick(self.config.balancing, &mut rotation, load, &mut random, hash)?;
            picked = self.endpoints.get(at);
            if picked.is_some_and(|endpoint| !avoid.contains(&endpoint.config.address)) {
                break;
            }
        }
        picked.cloned()
    }

    /// The endpoint at a connection's original destination.
    pub(crate) fn original(&self, address: SocketAddr) -> Rc<LiveEndpoint> {
        let mut originals = self.originals.borrow_mut();
        if originals.len() >= MAX_ORIGINALS {
            originals.retain(|_, endpoint| endpoint.state.in_flight.get() > 0);
        }
        let make = || {
            let endpoint = Endpoint {
                address,
                host: None,
                health: Health::Healthy,
                weight: 1,
                priority: 0,
                locality: Locality::default(),
                locality_weight: 1,
                transport_labels: Vec::new(),
                workload: None,
            };
            Rc::new(LiveEndpoint::new(&self.config, Arc::new(endpoint), None, false))
        };
        originals.entry(address).or_insert_with(make).clone()
    }

    /// Counts how a request to an endpoint ended; it may be set aside for its errors.
    pub(crate) fn observe(&self, endpoint: &LiveEndpoint, result: EndpointResult, now: Duration) {
        let Some(outlier) = &self.config.outlier else { return };
        let ejected = self.endpoints.iter().filter(|endpoint| endpoint.state.outlier.get().is_ejected()).count();
        let mut state = endpoint.state.outlier.get();
        let out = state.observe(outlier, result, Ejected { count: ejected, of: self.endpoints.len() }, now);
        endpoint.state.outlier.set(state);
        if out {
            tracing::info!(cluster = %self.config.name, endpoint = %endpoint.config.address, "endpoint set aside for its errors");
            self.refresh_eligible();
        }
    }

    /// Called about once a second: closes connections idle for too long and takes ejected endpoints back.
    pub(crate) fn sweep(&self, now: Instant, moment: Duration) {
        let mut back = false;
        let looks = self.config.outlier.is_some_and(|outlier| {
            let over = moment.saturating_sub(self.looked.get()) >= outlier.interval;
            if over {
                self.looked.set(moment);
            }
            over
        });
        for endpoint in &self.endpoints {
            endpoint.state.pool.expire(now);
            if looks {
                let mut outlier = endpoint.state.outlier.get();
                back |= outlier.tick(moment);
                endpoint.state.outlier.set(outlier);
            }
        }
        for endpoint in self.originals.borrow().values() {
            endpoint.state.pool.expire(now);
        }
        if back || self.is_warming(now) {
            self.refresh_eligible();
        }
    }

    /// Lets go of metric handles, so that unused series can expire.
    pub(crate) fn forget_series(&self) {
        for endpoint in &self.endpoints {
            endpoint.state.forget_series();
        }
        for endpoint in self.originals.borrow().values() {
            endpoint.state.forget_series();
        }
    }
}

impl LiveEndpoint {
    fn new(cluster: &Cluster, config: Arc<Endpoint>, old: Option<&Self>, same_service: bool) -> Self {
        let tls = match cluster.transport(&config) {
            Transport::Plain => None,
            Transport::Tls(tls) => Some(tls.clone()),
        };
        let proxy_protocol = cluster.proxy_protocol(&config);
        let kept = old.filter(|old| {
            old.proxy_protocol == proxy_protocol
                && same_limits(old, cluster)
                && same_service
                && old.config.workload == config.workload
                && same_tls(old.tls.as_ref(), tls.as_ref())
        });
        if let Some(kept) = kept {
            return Self { config, tls, proxy_protocol, state: kept.state.clone() };
        }
        let state = EndpointState {
            in_flight: Cell::new(0),
            since: Instant::now(),
            pool: Pool::new(limits_of(cluster)),
            outlier: Cell::default(),
            peer: RefCell::new(Rc::new(Peer::of_endpoint(config.workload.as_ref()))),
            series: SeriesCache::default(),
            messages: SeriesCache::default(),
        };
        Self { config, tls, proxy_protocol, state: Rc::new(state) }
    }

    /// Counts a request; the count ends when the guard is dropped.
    pub(crate) fn begin(self: &Rc<Self>) -> InFlight {
        self.state.in_flight.set(self.state.in_flight.get() + 1);
        InFlight(self.clone())
    }

    pub(crate) fn state(&self) -> &EndpointState {
        &self.state
    }

    /// Whether a connection may serve several clients.
    pub(crate) fn shares_connections(&self) -> bool {
        self.proxy_protocol.is_none()
    }

    /// Whether another proxy of the mesh answers there: only those get to know who calls.
    pub(crate) fn is_mesh_peer(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.mesh)
            || self.config.transport_labels.iter().any(|(name, value)| &**name == "tlsMode" && &**value == "istio")
    }
}

impl EndpointState {
    pub(crate) fn peer(&self) -> Rc<Peer> {
        self.peer.borrow().clone()
    }

    pub(crate) fn learn_peer(&self, peer: Rc<Peer>) {
        *self.peer.borrow_mut() = peer;
    }
}

impl InFlight {
    pub(crate) fn endpoint(&self) -> &Rc<LiveEndpoint> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let state = &self.0.state;
        state.in_flight.set(state.in_flight.get().saturating_sub(1));
    }
}

/// Whether connections that stand are as the configuration wants them.
fn same_limits(old: &LiveEndpoint, cluster: &Cluster) -> bool {
    old.state.pool.limits() == limits_of(cluster)
}

fn limits_of(cluster: &Cluster) -> PoolLimits {
    PoolLimits {
        max_idle: MAX_IDLE,
        idle_timeout: Some(cluster.idle_timeout.unwrap_or(IDLE_TIMEOUT)),
        max_requests_per_connection: cluster.max_requests_per_connection,
        max_age: cluster.max_connection_duration,
        streams_per_connection: cluster.max_concurrent_streams.unwrap_or(STREAMS).max(1),
    }
}

fn same_tls(one: Option<&Arc<UpstreamTls>>, other: Option<&Arc<UpstreamTls>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            Arc::ptr_eq(one, other)
                || (one.certificate == other.certificate
                    && one.roots == other.roots
                    && one.subject_alt_names == other.subject_alt_names
                    && one.sni == other.sni
                    && one.alpn == other.alpn
                    && one.mesh == other.mesh)
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}
