//! What the tests share: a scripted upstream, a proxy with a hand-made snapshot, a raw client, a reader of metrics.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use orrery_core::cluster::{
    Balancing, CircuitBreakers, Cluster, Discovery, Endpoint, Endpoints, Health, Locality, ServiceIdentity,
    TransportMatch, UpstreamProtocol, WorkloadIdentity,
};
use orrery_core::listener::{
    Binding, Codec, Direction, FilterChain, FilterChainMatch, ForwardedFor, HttpConnectionManager, Inspection,
    Listener, NetworkFilter, OriginalDst, RouteSource, Upgrades,
};
use orrery_core::route::{
    DomainIndex, Forward, HeaderOps, PathMatch, Route, RouteAction, RouteMatch, RouteTable, VirtualHost,
    WeightedCluster,
};
use orrery_core::snapshot::Snapshot;
use orrery_emit::registry::{Registry, Resource};
use orrery_engine::node::Node;
use orrery_engine::{Engine, EngineConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Longer than anything in these tests takes, shorter than a person's patience.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What an upstream does with a request.
pub(crate) enum Answer {
    Bytes(String),
    /// These bytes, then the connection ends.
    Last(String),
    /// Never an answer.
    Silence,
    /// The connection ends without one.
    Close,
}

/// An upstream that answers by script.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

/// An answer with this status and body.
pub(crate) fn reply(status: u16, body: &str) -> Answer {
    Answer::Bytes(format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

impl Upstream {
    /// `script` gets each request as it arrived, and how many came before it.
    pub(crate) async fn start(script: impl Fn(&str, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream =
            Self { address: listener.local_addr().unwrap(), seen: Arc::default(), connections: Arc::default() };
        let (seen, connections, script) = (upstream.seen.clone(), upstream.connections.clone(), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, seen.clone(), script.clone()));
            }
        });
        upstream
    }

    pub(crate) async fn echoing() -> Self {
        Self::start(|_, _| reply(200, "hello")).await
    }

    /// Requests so far, as they arrived.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve<F>(mut stream: TcpStream, seen: Arc<Mutex<Vec<String>>>, script: Arc<F>)
where
    F: Fn(&str, usize) -> Answer,
{
    while let Some(request) = read_message(&mut stream).await {
        let before = {
            let mut seen = seen.lock().unwrap();
            seen.push(request.clone());
            seen.len() - 1
        };
        match script(&request, before) {
            Answer::Bytes(bytes) => stream.write_all(bytes.as_bytes()).await.unwrap(),
            Answer::Last(bytes) => return stream.write_all(bytes.as_bytes()).await.unwrap(),
            Answer::Silence => std::future::pending().await,
            Answer::Close => return,
        }
    }
}

/// A head and the body that its content-length or chunks announce; `None` when the connection ends first.
pub(crate) async fn read_message(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
            let whole = match length {
                Some(length) => body.len() >= length,
                None if head.contains("transfer-encoding: chunked") => body.ends_with("0\r\n\r\n"),
                None => true,
            };
            if whole {
                return Some(text);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// Sends bytes on a connection of their own and reads all that comes back until the proxy closes it.
pub(crate) async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // A reset after a refusal is as good as an end.
    let _ = reading.expect("the proxy must close the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

/// A GET for this host and path on a connection of its own.
pub(crate) async fn get(address: SocketAddr, host: &str, path: &str) -> String {
    raw(address, &format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")).await
}

/// The status of an answer.
pub(crate) fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

pub(crate) fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint {
        address,
        host: None,
        health: Health::Healthy,
        weight: 1,
        priority: 0,
        locality: Locality::default(),
        locality_weight: 1,
        transport_labels: Vec::new(),
        workload: Some(WorkloadIdentity {
            workload: "server-v1".into(),
            namespace: "default".into(),
            canonical_name: "server".into(),
            canonical_revision: "v1".into(),
            cluster: "Kubernetes".into(),
        }),
    }
}

pub(crate) fn cluster(name: &str, addresses: &[SocketAddr]) -> Cluster {
    Cluster {
        name: name.into(),
        discovery: Discovery::Static,
        balancing: Balancing::RoundRobin,
        connect_timeout: Duration::from_secs(2),
        limits: CircuitBreakers {
            max_connections: 1024,
            max_pending_requests: 1024,
            max_requests: 1024,
            max_retries: 3,
            retry_budget: None,
        },
        outlier: None,
        protocol: UpstreamProtocol::Http1,
        transports: Vec::<TransportMatch>::new(),
        service: Some(ServiceIdentity {
            host: "server.default.svc.cluster.local".into(),
            name: "server".into(),
            namespace: "default".into(),
        }),
        origin: None,
        endpoints: Arc::new(Endpoints { all: addresses.iter().map(|address| Arc::new(endpoint(*address))).collect() }),
        idle_timeout: None,
        max_requests_per_connection: None,
        max_connection_duration: None,
        max_concurrent_streams: None,
        tcp_keepalive: None,
        locality_weighted: false,
        slow_start: None,
        source: None,
    }
}

pub(crate) fn forward(cluster: &str) -> Forward {
    Forward {
        clusters: vec![WeightedCluster { name: cluster.into(), weight: 1, header_ops: HeaderOps::default() }],
        timeout: None,
        idle_timeout: None,
        retry: None,
        path_rewrite: None,
        host_rewrite: None,
        mirrors: Vec::new(),
        hash: Vec::new(),
        cluster_not_found: StatusCode::SERVICE_UNAVAILABLE,
    }
}

pub(crate) fn route(prefix: &str, action: RouteAction) -> Route {
    Route {
        name: "default".into(),
        matches: RouteMatch {
            path: PathMatch::Prefix { value: prefix.into(), case_sensitive: true },
            headers: Vec::new(),
            query: Vec::new(),
            share: None,
            grpc_only: false,
        },
        action,
        header_ops: HeaderOps::default(),
        fault: None,
        cors: None,
        origin: None,
        operation: None,
    }
}

pub(crate) fn virtual_host(domains: &[&str], routes: Vec<Route>) -> VirtualHost {
    VirtualHost {
        name: domains.first().copied().unwrap_or("none").into(),
        domains: domains.iter().map(|domain| (*domain).into()).collect(),
        routes: routes.into_iter().map(Arc::new).collect(),
        include_attempt_count: true,
        header_ops: HeaderOps::default(),
    }
}

pub(crate) fn manager(hosts: Vec<VirtualHost>) -> HttpConnectionManager {
    let virtual_hosts: Vec<Arc<VirtualHost>> = hosts.into_iter().map(Arc::new).collect();
    let table = RouteTable {
        name: "routes".into(),
        domains: DomainIndex::build(&virtual_hosts).unwrap(),
        virtual_hosts,
        ignore_port: false,
        header_ops: HeaderOps::default(),
    };
    HttpConnectionManager {
        stat_prefix: "test".into(),
        routes: RouteSource::Inline(Arc::new(table)),
        codec: Codec::Auto,
        forwarded_for: ForwardedFor::Trust,
        generate_request_id: true,
        normalize_path: true,
        merge_slashes: false,
        server_name: Some("orrery".into()),
        tracing: None,
        access_log: None,
        upgrades: Upgrades::default(),
        stream_idle_timeout: None,
        idle_timeout: None,
        request_headers_timeout: None,
        max_request_headers_kb: 60,
        max_concurrent_streams: 100,
        accept_http_10: false,
        fault_filter: true,
        cors_filter: true,
    }
}

/// One route for everything.
pub(crate) fn all_to(cluster: &str) -> HttpConnectionManager {
    manager(vec![virtual_host(&["*"], vec![route("/", RouteAction::Forward(Box::new(forward(cluster))))])])
}

pub(crate) fn chain(filter: NetworkFilter) -> FilterChain {
    FilterChain { name: "chain".into(), matches: FilterChainMatch::default(), tls: None, filter }
}

pub(crate) fn listener(direction: Direction, chains: Vec<FilterChain>) -> Listener {
    Listener {
        name: "listener".into(),
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        direction,
        binding: Binding::Socket,
        original_dst: OriginalDst::Ignored,
        inspection: Inspection { tls: true, http: true, timeout: Duration::from_millis(200) },
        filter_chains: chains.into_iter().map(Arc::new).collect(),
        default_filter_chain: None,
    }
}

pub(crate) fn http(manager: HttpConnectionManager) -> NetworkFilter {
    NetworkFilter::Http(Arc::new(manager))
}

/// A snapshot of one listener and these clusters.
pub(crate) fn snapshot(listener: Listener, clusters: Vec<Cluster>) -> Snapshot {
    let mut snapshot = Snapshot { generation: 1, ..Snapshot::default() };
    snapshot.listeners.insert(listener.name.clone(), Arc::new(listener));
    snapshot.clusters.extend(clusters.into_iter().map(|cluster| (cluster.name.clone(), Arc::new(cluster))));
    snapshot
}

/// An outbound HTTP snapshot.
pub(crate) fn outbound(manager: HttpConnectionManager, clusters: Vec<Cluster>) -> Snapshot {
    snapshot(listener(Direction::Outbound, vec![chain(http(manager))]), clusters)
}

/// An engine with one listener.
pub(crate) struct Proxy {
    pub(crate) engine: Engine,
    pub(crate) registry: Registry,
    pub(crate) address: SocketAddr,
}

pub(crate) fn node(workload: &str, version: &str) -> Node {
    let app = workload.trim_end_matches("-v1").to_owned();
    Node {
        id: format!("sidecar~127.0.0.1~{workload}.default~default.svc.cluster.local"),
        name: workload.into(),
        namespace: "default".into(),
        workload: workload.into(),
        cluster_id: "Kubernetes".into(),
        labels: BTreeMap::from([("app".into(), app), ("version".into(), version.into())]),
        ..Node::default()
    }
}

impl Proxy {
    pub(crate) async fn start(snapshot: Snapshot) -> Self {
        Self::with_node(snapshot, node("client-v1", "v1")).await
    }

    pub(crate) async fn with_node(snapshot: Snapshot, node: Node) -> Self {
        let registry = Registry::new(Resource::default());
        let config = EngineConfig { workers: 1, node, registry: registry.clone(), spans: None, access_log: None };
        Self::with_config(snapshot, config).await
    }

    pub(crate) async fn with_config(snapshot: Snapshot, config: EngineConfig) -> Self {
        let registry = config.registry.clone();
        let engine = Engine::start(config).unwrap();
        let applied = engine.apply(Arc::new(snapshot)).await.unwrap();
        assert!(applied.failed.is_empty(), "{:?}", applied.failed);
        Self { engine, registry, address: applied.listening[0].1 }
    }

    /// Series of a family: their labels and values.
    pub(crate) fn series(&self, family: &str) -> Vec<(BTreeMap<String, String>, u64)> {
        let text = self.registry.encode();
        let lines = text.lines().filter_map(|line| line.strip_prefix(family)?.strip_prefix('{')?.split_once("} "));
        lines.map(|(labels, value)| (parse_labels(labels), value.parse::<f64>().unwrap() as u64)).collect()
    }

    /// `code flags` of every reported request, sorted, with counts.
    pub(crate) fn outcomes(&self) -> BTreeMap<String, u64> {
        let mut outcomes = BTreeMap::new();
        for (labels, count) in self.series("istio_requests_total") {
            *outcomes.entry(format!("{} {}", labels["response_code"], labels["response_flags"])).or_default() += count;
        }
        outcomes
    }

    /// Waits until requests are reported as expected: a record is written when its answer has left, which can be
    /// a moment after the client has read it.
    pub(crate) async fn expect(&self, expected: &[(&str, u64)]) {
        let expected: BTreeMap<String, u64> = expected.iter().map(|(key, count)| ((*key).into(), *count)).collect();
        eventually(|| self.outcomes() == expected, || format!("{:?} != {expected:?}", self.outcomes())).await;
    }
}

fn parse_labels(labels: &str) -> BTreeMap<String, String> {
    labels
        .split("\",")
        .filter_map(|pair| pair.split_once("=\""))
        .map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned()))
        .collect()
}

/// Looks until a condition holds.
pub(crate) async fn eventually(condition: impl Fn() -> bool, explain: impl Fn() -> String) {
    let looking = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, looking).await.is_ok(), "{}", explain());
}
