//! Two proxies of a mesh: mutual TLS, metadata exchange, both reporters' labels, traces, permissive and strict.

use std::net::SocketAddr;
use std::sync::Arc;

use orrery_core::cluster::{SanMatch, Transport, TransportMatch, UpstreamTls};
use orrery_core::listener::{
    ClientCertificate, ClientTrust, Direction, DownstreamTls, FilterChain, FilterChainMatch, NetworkFilter,
    TlsVersions, Tracing, TransportProtocol,
};
use orrery_core::secret::{PrivateKeyPem, Secret, SecretContent};
use orrery_core::snapshot::Snapshot;
use orrery_emit::registry::{Registry, Resource};
use orrery_engine::EngineConfig;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::*;
use crate::tunnels::{greeter, tcp_to};

const CLIENT: &str = "spiffe://cluster.local/ns/default/sa/client";
const SERVER: &str = "spiffe://cluster.local/ns/default/sa/server";

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Gives a proxy its certificate and the roots.
    fn equip(&self, snapshot: &mut Snapshot, name: &str) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(name.try_into().unwrap())];
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let content = SecretContent::Certificate {
            chain: certificate.pem().into(),
            key: PrivateKeyPem::new(key.serialize_pem()),
        };
        for (name, content) in
            [("default", content), ("ROOTCA", SecretContent::Roots { bundle: self.0.pem().into(), revoked: None })]
        {
            snapshot.secrets.insert(name.into(), Arc::new(Secret { name: name.into(), content }));
        }
    }
}

/// The mutual TLS chain of an inbound listener.
fn mutual(filter: NetworkFilter) -> FilterChain {
    FilterChain {
        matches: FilterChainMatch {
            transport: Some(TransportProtocol::Tls),
            application_protocols: ["istio", "istio-peer-exchange", "istio-http/1.1", "istio-h2"]
                .map(Into::into)
                .into(),
            ..FilterChainMatch::default()
        },
        tls: Some(DownstreamTls {
            certificates: vec!["default".into()],
            client: ClientCertificate::Required(ClientTrust { roots: "ROOTCA".into(), names: Vec::new() }),
            alpn: ["istio-peer-exchange", "h2", "http/1.1"].map(Into::into).into(),
            versions: TlsVersions::Both,
            cipher_suites: Vec::new(),
        }),
        ..chain(filter)
    }
}

fn plain(filter: NetworkFilter) -> FilterChain {
    let matches = FilterChainMatch { transport: Some(TransportProtocol::RawBuffer), ..FilterChainMatch::default() };
    FilterChain { matches, ..chain(filter) }
}

async fn server_proxy(authority: &Authority, chains: Vec<FilterChain>, app: SocketAddr) -> Proxy {
    let mut inbound = snapshot(listener(Direction::Inbound, chains), vec![cluster("inbound|9080||", &[app])]);
    authority.equip(&mut inbound, SERVER);
    Proxy::with_node(inbound, node("server-v1", "v1")).await
}

fn client_snapshot(authority: &Authority, filter: NetworkFilter, server: SocketAddr, expected: &str) -> Snapshot {
    let mut up = cluster("up", &[server]);
    up.transports = vec![TransportMatch {
        name: "tlsMode-istio".into(),
        labels: Vec::new(),
        transport: Transport::Tls(Arc::new(UpstreamTls {
            certificate: Some("default".into()),
            roots: Some("ROOTCA".into()),
            subject_alt_names: vec![SanMatch::Uri(expected.into())],
            sni: Some("outbound_.9080_._.server.default.svc.cluster.local".into()),
            alpn: Vec::new(),
            mesh: true,
        })),
    }];
    let mut outbound = snapshot(listener(Direction::Outbound, vec![chain(filter)]), vec![up]);
    authority.equip(&mut outbound, CLIENT);
    outbound
}

#[tokio::test]
async fn both_proxies_report_the_same_call() {
    let authority = Authority::new();
    let app = Upstream::start(|_, _| {
        Answer::Bytes("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-envoy-peer-metadata: fake\r\n\r\nok".into())
    })
    .await;
    let server = server_proxy(&authority, vec![mutual(http(all_to("inbound|9080||")))], app.address).await;
    let client = Proxy::start(client_snapshot(&authority, http(all_to("up")), server.address, SERVER)).await;
    for _ in 0..5 {
        let answer = get(client.address, "server:9080", "/").await;
        assert_eq!(status(&answer), 200, "{answer}");
        assert!(!answer.contains("x-envoy-peer-metadata"), "{answer}");
    }
    client.expect(&[("200 -", 5)]).await;
    server.expect(&[("200 -", 5)]).await;
    assert!(app.seen().iter().all(|request| !request.contains("x-envoy-peer-metadata")), "{:?}", app.seen()[0]);
    let (mut theirs, ours) = (server.series("istio_requests_total"), client.series("istio_requests_total"));
    assert_eq!((theirs.len(), ours.len()), (1, 1), "{ours:?}");
    let (ours, theirs) = (&ours[0].0, &mut theirs[0].0);
    assert_eq!((ours["reporter"].as_str(), theirs["reporter"].as_str()), ("source", "destination"));
    assert_eq!(theirs["connection_security_policy"], "mutual_tls");
    assert_eq!(ours["connection_security_policy"], "unknown");
    for name in ["reporter", "connection_security_policy"] {
        theirs.insert(name.into(), ours[name].clone());
    }
    assert_eq!(ours, theirs);
    let expected = [
        ("source_workload", "client-v1"),
        ("source_principal", CLIENT),
        ("source_version", "v1"),
        ("destination_workload", "server-v1"),
        ("destination_principal", SERVER),
        ("destination_app", "server"),
        ("destination_service", "server.default.svc.cluster.local"),
        ("destination_service_name", "server"),
        ("destination_service_namespace", "default"),
        ("request_protocol", "http"),
    ];
    for (name, value) in expected {
        assert_eq!(ours[name], value, "{name}");
    }
}

#[tokio::test]
async fn strict_refuses_plain_text_and_permissive_takes_both() {
    let authority = Authority::new();
    let app = Upstream::echoing().await;
    let filter = || http(all_to("inbound|9080||"));
    let strict = server_proxy(&authority, vec![mutual(filter())], app.address).await;
    let permissive = server_proxy(&authority, vec![mutual(filter()), plain(filter())], app.address).await;
    assert_eq!(get(strict.address, "server", "/").await, "");
    assert!(app.seen().is_empty());
    assert_eq!(status(&get(permissive.address, "server", "/").await), 200);
    for server in [&strict, &permissive] {
        let client = Proxy::start(client_snapshot(&authority, http(all_to("up")), server.address, SERVER)).await;
        assert_eq!(status(&get(client.address, "server", "/").await), 200);
    }
    let policies: Vec<String> = permissive
        .series("istio_requests_total")
        .into_iter()
        .map(|(labels, _)| format!("{} {}", labels["connection_security_policy"], labels["source_workload"]))
        .collect();
    assert!(
        policies.contains(&"none unknown".into()) && policies.contains(&"mutual_tls client-v1".into()),
        "{policies:?}"
    );
}

#[tokio::test]
async fn a_server_with_another_identity_or_root_is_not_trusted() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let app = Upstream::echoing().await;
    let server = server_proxy(&authority, vec![mutual(http(all_to("inbound|9080||")))], app.address).await;
    let other = "spiffe://cluster.local/ns/default/sa/other";
    for (authority, expected) in [(&authority, other), (&stranger, SERVER)] {
        let client = Proxy::start(client_snapshot(authority, http(all_to("up")), server.address, expected)).await;
        assert_eq!(status(&get(client.address, "server", "/").await), 503);
        client.expect(&[("503 UF", 1)]).await;
    }
    assert!(app.seen().is_empty());
}

#[tokio::test]
async fn a_rotated_root_takes_effect_on_new_connections() {
    let (old, new) = (Authority::new(), Authority::new());
    let app = Upstream::echoing().await;
    let server = server_proxy(&new, vec![mutual(http(all_to("inbound|9080||")))], app.address).await;
    let mut snapshot = client_snapshot(&old, http(all_to("up")), server.address, SERVER);
    let client = Proxy::start(snapshot.clone()).await;
    assert_eq!(status(&get(client.address, "server", "/").await), 503);
    new.equip(&mut snapshot, CLIENT);
    snapshot.generation = 2;
    client.engine.apply(Arc::new(snapshot)).await.unwrap();
    assert_eq!(status(&get(client.address, "server", "/").await), 200);
}

#[tokio::test]
async fn proxies_meet_on_opaque_tcp_too() {
    let authority = Authority::new();
    let app = greeter().await;
    let server = server_proxy(&authority, vec![mutual(tcp_to("inbound|9080||"))], app).await;
    let client = Proxy::start(client_snapshot(&authority, tcp_to("up"), server.address, SERVER)).await;
    let mut stream = TcpStream::connect(client.address).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    let mut got = [0; 7];
    stream.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"hi ping");
    drop(stream);
    for (proxy, reporter) in [(&client, "source"), (&server, "destination")] {
        let closed =
            || proxy.series("istio_tcp_connections_closed_total").first().is_some_and(|(_, value)| *value == 1);
        eventually(closed, || proxy.registry.encode()).await;
        let (labels, bytes) = proxy.series("istio_tcp_received_bytes_total").remove(0);
        let got = ["reporter", "source_workload", "destination_workload", "source_principal", "destination_principal"];
        let got = got.map(|name| labels[name].as_str());
        assert_eq!((got, bytes), ([reporter, "client-v1", "server-v1", CLIENT, SERVER], 4));
    }
}

#[tokio::test]
async fn spans_of_a_call_form_one_trace() {
    let app = Upstream::echoing().await;
    let (spans, _queue) = orrery_emit::spans::queue(10);
    let mut traced = all_to("up");
    traced.tracing = Some(Tracing { random_sampling: 100.0, client_sampling: 100.0 });
    let snapshot = outbound(traced, vec![cluster("up", &[app.address])]);
    let config = EngineConfig {
        workers: 1,
        node: node("client-v1", "v1"),
        registry: Registry::new(Resource::default()),
        spans: Some(spans.clone()),
        access_log: None,
    };
    let proxy = Proxy::with_config(snapshot, config).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    raw(
        proxy.address,
        &format!(
            "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntraceparent: 00-{trace}-00f067aa0ba902b7-01\r\n\r\n"
        ),
    )
    .await;
    get(proxy.address, "x", "/").await;
    let seen = app.seen();
    let parent = |request: &str| request.split("traceparent: ").nth(1).unwrap()[..55].to_owned();
    assert!(parent(&seen[0]).starts_with(&format!("00-{trace}-")) && !parent(&seen[0]).contains("00f067aa0ba902b7"));
    assert!(parent(&seen[1]).ends_with("-01") && !parent(&seen[1]).contains(trace));
    assert_eq!(spans.dropped(), 0);
}

#[tokio::test]
async fn the_access_log_tells_of_each_request() {
    use std::sync::Mutex;
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let app = Upstream::echoing().await;
    let mut logged = all_to("up");
    logged.access_log = Some(orrery_core::listener::AccessLog::Text);
    let lines = Lines::default();
    let config = EngineConfig {
        workers: 1,
        node: node("client-v1", "v1"),
        registry: Registry::new(Resource::default()),
        spans: None,
        access_log: Some(orrery_emit::access_log::AccessLog::start(Box::new(lines.clone()), 100).unwrap()),
    };
    let proxy = Proxy::with_config(outbound(logged, vec![cluster("up", &[app.address])]), config).await;
    get(proxy.address, "x.test", "/a?b=1").await;
    raw(proxy.address, "GET / HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n").await;
    let text = || String::from_utf8_lossy(&lines.0.lock().unwrap()).into_owned();
    eventually(|| text().lines().count() == 2, text).await;
    let text = text();
    assert!(text.contains("\"GET /a?b=1 HTTP/1.1\" 200 - via_upstream"), "{text}");
    assert!(text.contains(" 400 DPE missing_host_header"), "{text}");
    assert!(text.contains(&format!("\"x.test\" \"{}\" up ", app.address)), "{text}");
}
