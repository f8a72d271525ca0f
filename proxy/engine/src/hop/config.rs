//! The snapshot of a hop: what a control plane would send for it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use orrery_core::cluster::{
    Balancing, CircuitBreakers, Cluster, Discovery, Endpoint, Endpoints, Health, Locality, SanMatch, ServiceIdentity,
    Transport, TransportMatch, UpstreamProtocol, UpstreamTls,
};
use orrery_core::listener::{
    Binding, ClientCertificate, ClientTrust, Codec, Direction, DownstreamTls, FilterChain, FilterChainMatch,
    ForwardedFor, HttpConnectionManager, Inspection, Listener, NetworkFilter, OriginalDst, RouteSource, TcpProxy,
    TlsVersions, Tracing, Upgrades,
};
use orrery_core::names::ClusterName;
use orrery_core::retry::{RetryOn, RetryPolicy};
use orrery_core::route::{
    DomainIndex, Forward, HeaderOps, PathMatch, Route, RouteAction, RouteMatch, RouteTable, VirtualHost,
    WeightedCluster,
};
use orrery_core::secret::{PrivateKeyPem, Secret, SecretContent};
use orrery_core::snapshot::Snapshot;

use super::{HopConfig, HopError, HopMode, HopProtocol, HopTlsIn, HopTlsOut};

/// Virtual hosts in mesh mode.
const MESH_SERVICES: usize = 100;

/// Everything that the settings ask for.
pub(super) fn snapshot(config: &HopConfig) -> Result<Snapshot, HopError> {
    let mut snapshot = Snapshot { generation: 1, ..Snapshot::default() };
    if config.tls_in != HopTlsIn::None || config.tls_out != HopTlsOut::None {
        add_secrets(&mut snapshot, &config.certs)?;
    }
    let upstream = cluster(config, "up", vec![config.upstream], None);
    let mut hosts = Vec::new();
    for number in 0..if config.mode == HopMode::Mesh { MESH_SERVICES } else { 0 } {
        hosts.push(add_service(
            &mut snapshot,
            config,
            &format!("svc-{number}.ns.svc.cluster.local"),
            vec![config.upstream],
        ));
    }
    let each = config.endpoints.checked_div(config.services).unwrap_or(0).max(1);
    for number in 0..config.services {
        let endpoints = (number * each..(number + 1) * each).map(unused_address).collect();
        hosts.push(add_service(&mut snapshot, config, &format!("s{number}.ns.svc.cluster.local"), endpoints));
    }
    hosts.push(virtual_host("default", vec!["*".into()], route(config, "up")));
    snapshot.clusters.insert("up".into(), Arc::new(upstream));
    let listener = listener(config, hosts);
    snapshot.listeners.insert(listener.name.clone(), Arc::new(listener));
    Ok(snapshot)
}

fn unused_address(number: usize) -> SocketAddr {
    let [.., a, b, c] = (number as u32).to_be_bytes();
    SocketAddr::from(([127, a + 1, b, c], 8080))
}

fn add_secrets(snapshot: &mut Snapshot, folder: &Path) -> Result<(), HopError> {
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).map_err(|source| HopError::Certificate { path, source })
    };
    let mut add = |name: &str, content| {
        snapshot.secrets.insert(name.into(), Arc::new(Secret { name: name.into(), content }));
    };
    for side in ["server", "client"] {
        let (chain, key) = (read(&format!("{side}.pem"))?.into(), PrivateKeyPem::new(read(&format!("{side}.key"))?));
        add(side, SecretContent::Certificate { chain, key });
    }
    add("ROOTCA", SecretContent::Roots { bundle: read("ca.pem")?.into(), revoked: None });
    Ok(())
}

fn add_service(
    snapshot: &mut Snapshot,
    config: &HopConfig,
    host: &str,
    endpoints: Vec<SocketAddr>,
) -> Arc<VirtualHost> {
    let name = format!("outbound|8080||{host}");
    let (short, namespace) = (host.split('.').next().unwrap_or(host), "ns");
    let service = ServiceIdentity { host: host.into(), name: short.into(), namespace: namespace.into() };
    let cluster = cluster(config, &name, endpoints, Some(service));
    snapshot.clusters.insert(name.as_str().into(), Arc::new(cluster));
    let short_forms = [host.to_owned(), format!("{short}.{namespace}"), short.to_owned()];
    let domains = short_forms.into_iter().flat_map(|form| [format!("{form}:8080").into(), form.into()]).collect();
    virtual_host(&format!("{host}:8080"), domains, route(config, &name))
}

fn virtual_host(name: &str, domains: Vec<Box<str>>, route: Route) -> Arc<VirtualHost> {
    Arc::new(VirtualHost {
        name: name.into(),
        domains,
        routes: vec![Arc::new(route)],
        include_attempt_count: name != "default",
        header_ops: HeaderOps::default(),
    })
}

fn route(config: &HopConfig, cluster: &str) -> Route {
    let mesh = config.mode == HopMode::Mesh;
    let on = RetryOn {
        connect_failure: true,
        refused_stream: true,
        grpc_unavailable: true,
        grpc_cancelled: true,
        ..RetryOn::default()
    };
    let retry = RetryPolicy {
        on,
        status_codes: Vec::new(),
        num_retries: 2,
        per_try_timeout: None,
        base_backoff: Duration::from_millis(25),
        max_backoff: Duration::from_millis(250),
        avoid_previous_hosts: true,
    };
    let forward = Forward {
        clusters: vec![WeightedCluster { name: cluster.into(), weight: 1, header_ops: HeaderOps::default() }],
        timeout: mesh.then_some(Duration::from_secs(15)),
        idle_timeout: None,
        retry: mesh.then_some(retry),
        path_rewrite: None,
        host_rewrite: None,
        mirrors: Vec::new(),
        hash: Vec::new(),
        cluster_not_found: StatusCode::SERVICE_UNAVAILABLE,
    };
    Route {
        name: "default".into(),
        matches: RouteMatch {
            path: PathMatch::Prefix { value: "/".into(), case_sensitive: true },
            headers: Vec::new(),
            query: Vec::new(),
            share: None,
            grpc_only: false,
        },
        action: RouteAction::Forward(Box::new(forward)),
        header_ops: HeaderOps::default(),
        fault: None,
        cors: None,
        origin: None,
        operation: mesh.then(|| format!("{cluster}:8080/*").into()),
    }
}

fn cluster(config: &HopConfig, name: &str, endpoints: Vec<SocketAddr>, service: Option<ServiceIdentity>) -> Cluster {
    let h2 = config.mode == HopMode::H2 || config.proto_out == HopProtocol::H2;
    let tls = UpstreamTls {
        certificate: Some("client".into()),
        roots: Some("ROOTCA".into()),
        subject_alt_names: vec![SanMatch::Uri("spiffe://bench.test/ns/default/sa/server".into())],
        sni: Some("server.bench.test".into()),
        alpn: match config.mode {
            HopMode::Tcp => Vec::new(),
            HopMode::Http | HopMode::H2 | HopMode::Mesh => vec![if h2 { "h2".into() } else { "http/1.1".into() }],
        },
        mesh: false,
    };
    let transports = match config.tls_out {
        HopTlsOut::None => Vec::new(),
        HopTlsOut::Mutual => {
            vec![TransportMatch { name: "tls".into(), labels: Vec::new(), transport: Transport::Tls(Arc::new(tls)) }]
        }
    };
    Cluster {
        name: ClusterName::from(name),
        discovery: Discovery::Static,
        balancing: Balancing::LeastRequest { choices: 2 },
        connect_timeout: Duration::from_secs(5),
        limits: CircuitBreakers {
            max_connections: 100_000,
            max_pending_requests: 1_000_000,
            max_requests: 1_000_000,
            max_retries: 1000,
        },
        outlier: None,
        protocol: if h2 { UpstreamProtocol::Http2 } else { UpstreamProtocol::Http1 },
        transports,
        service,
        origin: None,
        endpoints: Arc::new(Endpoints {
            all: endpoints.into_iter().map(|address| Arc::new(endpoint(address))).collect(),
        }),
        idle_timeout: None,
        max_requests_per_connection: None,
        tcp_keepalive: None,
        source: None,
    }
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint {
        address,
        host: None,
        health: Health::Healthy,
        weight: 1,
        priority: 0,
        locality: Locality::default(),
        transport_labels: Vec::new(),
        workload: None,
    }
}

fn listener(config: &HopConfig, hosts: Vec<Arc<VirtualHost>>) -> Listener {
    let tls = match config.tls_in {
        HopTlsIn::None => None,
        HopTlsIn::Server => Some(ClientCertificate::NotAsked),
        HopTlsIn::Mutual => {
            Some(ClientCertificate::Required(ClientTrust { roots: "ROOTCA".into(), names: Vec::new() }))
        }
    };
    let h2 = config.mode == HopMode::H2 || config.proto_in == HopProtocol::H2;
    let alpn: Vec<Box<str>> = match config.mode {
        HopMode::Tcp => Vec::new(),
        HopMode::Http | HopMode::H2 | HopMode::Mesh => vec![if h2 { "h2".into() } else { "http/1.1".into() }],
    };
    let chain = FilterChain {
        name: "hop".into(),
        matches: FilterChainMatch::default(),
        tls: tls.map(|client| DownstreamTls {
            certificates: vec!["server".into()],
            client,
            alpn,
            versions: TlsVersions::Both,
            cipher_suites: Vec::new(),
        }),
        filter: match config.mode {
            HopMode::Tcp => NetworkFilter::Tcp(Arc::new(TcpProxy {
                stat_prefix: "hop".into(),
                clusters: vec![WeightedCluster { name: "up".into(), weight: 1, header_ops: HeaderOps::default() }],
                idle_timeout: None,
                access_log: None,
            })),
            HopMode::Http | HopMode::H2 | HopMode::Mesh => NetworkFilter::Http(Arc::new(manager(config, h2, hosts))),
        },
    };
    Listener {
        name: "hop".into(),
        address: config.listen,
        direction: if config.tls_in == HopTlsIn::Mutual { Direction::Inbound } else { Direction::Outbound },
        binding: Binding::Socket,
        original_dst: OriginalDst::Ignored,
        inspection: Inspection { tls: false, http: false, timeout: Duration::from_secs(1) },
        filter_chains: vec![Arc::new(chain)],
        default_filter_chain: None,
    }
}

fn manager(config: &HopConfig, h2: bool, hosts: Vec<Arc<VirtualHost>>) -> HttpConnectionManager {
    let mesh = config.mode == HopMode::Mesh;
    // The hosts are made above, each domain once.
    let domains: DomainIndex = DomainIndex::build(&hosts).unwrap_or_default();
    let table = RouteTable {
        name: "hop".into(),
        virtual_hosts: hosts,
        domains,
        ignore_port: false,
        header_ops: HeaderOps::default(),
    };
    HttpConnectionManager {
        stat_prefix: "hop".into(),
        routes: RouteSource::Inline(Arc::new(table)),
        codec: match (h2, mesh) {
            (true, _) => Codec::Http2,
            (false, true) => Codec::Auto,
            (false, false) => Codec::Http1,
        },
        forwarded_for: ForwardedFor::Trust,
        generate_request_id: mesh,
        normalize_path: true,
        merge_slashes: false,
        server_name: mesh.then(|| "orrery".into()),
        tracing: mesh.then_some(Tracing { random_sampling: 1.0, client_sampling: 100.0 }),
        access_log: None,
        upgrades: Upgrades { websocket: true, connect: false },
        stream_idle_timeout: Some(Duration::from_secs(300)),
        idle_timeout: Some(Duration::from_secs(3600)),
        request_headers_timeout: Some(Duration::from_secs(10)),
        max_request_headers_kb: 60,
        max_concurrent_streams: 1024,
        accept_http_10: false,
        fault_filter: mesh,
        cors_filter: mesh,
    }
}
