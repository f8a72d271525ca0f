//! Handshakes between our own two sides, over real sockets.

use std::net::SocketAddr;

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::stream::Replay;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn roots(&self) -> Roots {
        Roots::from_pem(&self.0.pem()).unwrap()
    }

    fn clients(&self, names: &[SubjectName]) -> Clients {
        Clients { roots: self.roots(), names: names.to_vec() }
    }

    fn issue_dns(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity::from_pem(&certificate.pem(), &key.serialize_pem()).unwrap()
    }

    fn revoke(&self, serial: u64) -> String {
        let revoked = rcgen::RevokedCertParams {
            serial_number: serial.into(),
            revocation_time: rcgen::date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2024, 1, 1),
            next_update: rcgen::date_time_ymd(4000, 1, 1),
            crl_number: 1_u64.into(),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).unwrap().pem().unwrap()
    }

    fn issue_numbered(&self, serial: u64) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.serial_number = Some(serial.into());
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity::from_pem(&certificate.pem(), &key.serialize_pem()).unwrap()
    }

    fn issue(&self, names: &[&str]) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.iter().map(|name| SanType::URI((*name).try_into().unwrap())).collect();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity::from_pem(&certificate.pem(), &key.serialize_pem()).unwrap()
    }
}

fn settings(identities: &[Identity]) -> ServerSettings<'_> {
    ServerSettings { identities, client: ClientAuth::None, alpn: &[], versions: Versions::Both, cipher_suites: &[] }
}

const SERVER: &str = "spiffe://cluster.local/ns/default/sa/server";
const CLIENT: &str = "spiffe://cluster.local/ns/default/sa/client";

/// What both sides make of a handshake: the identity that the server saw and the protocol, or `None`.
async fn handshake(
    server: &ServerSettings<'_>,
    client: &ClientSettings<'_>,
) -> Option<(Option<PeerIdentity>, Option<Vec<u8>>)> {
    let acceptor = Acceptor::new(server).unwrap();
    let connector = Connector::new(client).unwrap();
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = async {
        let (tcp, _) = listener.accept().await.unwrap();
        acceptor.accept(Replay::new(bytes::Bytes::new(), tcp)).await
    };
    let connecting = async { connector.connect(TcpStream::connect(address).await.unwrap(), address.ip()).await };
    let (accepted, connected) = tokio::join!(accepting, connecting);
    let (accepted, _connected) = (accepted.ok()?, connected.ok()?);
    let session = accepted.get_ref().1;
    Some((peer_identity(session.peer_certificates()), session.alpn_protocol().map(<[u8]>::to_vec)))
}

#[tokio::test]
async fn mutual_tls_tells_the_peer_and_checks_it() {
    let (mesh, other) = (Authority::new(), Authority::new());
    let (server, client) = (mesh.issue(&[SERVER]), mesh.issue(&[CLIENT]));
    let (stranger, two_names) = (other.issue(&[CLIENT]), mesh.issue(&[CLIENT, SERVER]));
    let roots = mesh.roots();
    let seen = |name: &str| Some(Some(PeerIdentity::Spiffe(name.into())));
    let uri = |name: &str| vec![SubjectName::Uri(name.into())];
    let required = || ClientAuth::Required(mesh.clients(&[]));
    let optional = || ClientAuth::Optional(mesh.clients(&[]));
    let cases = [
        ("both known", required(), Some(&client), uri(SERVER), seen(CLIENT)),
        ("no client certificate", required(), None, uri(SERVER), None),
        ("no client certificate, optional", optional(), None, uri(SERVER), Some(None)),
        ("stranger, optional", optional(), Some(&stranger), uri(SERVER), None),
        ("stranger", required(), Some(&stranger), uri(SERVER), None),
        ("two names", required(), Some(&two_names), uri(SERVER), None),
        ("server has another name", required(), Some(&client), uri(CLIENT), None),
        (
            "any name of the prefix",
            required(),
            Some(&client),
            vec![SubjectName::UriPrefix("spiffe://cluster.local/".into())],
            seen(CLIENT),
        ),
        ("any name of the mesh", required(), Some(&client), vec![], seen(CLIENT)),
    ];
    for (what, auth, identity, names, expected) in cases {
        let server = ServerSettings { client: auth, ..settings(std::slice::from_ref(&server)) };
        let client = ClientSettings {
            identity,
            roots: Some(&roots),
            names: &names,
            sni: Some("outbound_.80_._.a.b"),
            alpn: &[],
        };
        let got = handshake(&server, &client).await.map(|(who, _)| who);
        // TLS 1.3 lets the client finish before the server has refused it: only the server's word counts.
        assert_eq!(got, expected, "{what}");
    }
}

#[tokio::test]
async fn protocols_are_agreed_on_or_left_out() {
    let mesh = Authority::new();
    let (server, roots) = (mesh.issue(&[SERVER]), mesh.roots());
    let ours: Vec<Box<str>> = vec!["h2".into(), "http/1.1".into()];
    let cases: [(&[&str], Option<&str>); 4] = [
        (&["istio-http/1.1", "istio", "http/1.1"], Some("http/1.1")),
        (&["istio-h2", "istio", "h2"], Some("h2")),
        (&["unknown"], None),
        (&[], None),
    ];
    for (offered, agreed) in cases {
        let server = ServerSettings { alpn: &ours, ..settings(std::slice::from_ref(&server)) };
        let client = ClientSettings { identity: None, roots: Some(&roots), names: &[], sni: None, alpn: offered };
        let (_, got) = handshake(&server, &client).await.unwrap();
        assert_eq!(got.as_deref(), agreed.map(str::as_bytes), "{offered:?}");
    }
}

#[test]
fn bad_pem_is_named() {
    assert!(matches!(Identity::from_pem("", "x"), Err(TlsError::Chain(_))));
    assert!(matches!(Roots::from_pem("nothing"), Err(TlsError::Roots(_))));
    let identity = Authority::new().issue(&[SERVER]);
    assert_eq!(identity.spiffe().map(|name| &**name), Some(SERVER));
}

#[tokio::test]
async fn clients_are_known_by_the_names_that_are_asked_for() {
    let (mesh, other) = (Authority::new(), Authority::new());
    let (server, client, stranger) = (mesh.issue(&[SERVER]), mesh.issue(&[CLIENT]), other.issue(&[CLIENT]));
    let roots = mesh.roots();
    let named = |name: &str| mesh.clients(&[SubjectName::Uri(name.into()), SubjectName::Dns("a.example".into())]);
    for (what, auth, identity, accepted) in [
        ("the name", ClientAuth::Required(named(CLIENT)), Some(&client), true),
        ("another name", ClientAuth::Required(named(SERVER)), Some(&client), false),
        ("another name, optional", ClientAuth::Optional(named(SERVER)), Some(&client), false),
        ("nobody, optional", ClientAuth::Optional(named(SERVER)), None, true),
        ("a stranger where all are taken", ClientAuth::Untrusted, Some(&stranger), true),
        ("nobody where all are taken", ClientAuth::Untrusted, None, true),
    ] {
        let server = ServerSettings { client: auth, ..settings(std::slice::from_ref(&server)) };
        let client = ClientSettings { identity, roots: Some(&roots), names: &[], sni: None, alpn: &[] };
        assert_eq!(handshake(&server, &client).await.is_some(), accepted, "{what}");
    }
}

#[tokio::test]
async fn revoked_clients_are_refused() {
    let mesh = Authority::new();
    let server = mesh.issue(&[SERVER]);
    let list = mesh.revoke(7);
    let roots = mesh.roots();
    for (identity, accepted) in [(&mesh.issue_numbered(7), false), (&mesh.issue_numbered(8), true)] {
        let clients = Clients { roots: mesh.roots().without(Some(&list)).unwrap(), names: Vec::new() };
        let server =
            ServerSettings { client: ClientAuth::Required(clients), ..settings(std::slice::from_ref(&server)) };
        let client = ClientSettings { identity: Some(identity), roots: Some(&roots), names: &[], sni: None, alpn: &[] };
        assert_eq!(handshake(&server, &client).await.is_some(), accepted);
    }
    assert!(matches!(mesh.roots().without(Some("x")), Err(TlsError::Revoked(_))));
}

/// What a client of plain rustls is shown: the certificate, version and suite.
async fn shown(server: &ServerSettings<'_>, client: rustls::ClientConfig, name: &str) -> Option<Shown> {
    let acceptor = Acceptor::new(server).unwrap();
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = async {
        let (tcp, _) = listener.accept().await.unwrap();
        acceptor.accept(Replay::new(bytes::Bytes::new(), tcp)).await
    };
    let name = rustls_pki_types::ServerName::try_from(name.to_owned()).unwrap();
    let connecting = async {
        let tcp = TcpStream::connect(address).await.unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(client)).connect(name, tcp).await
    };
    let (accepted, connected) = tokio::join!(accepting, connecting);
    let (_accepted, connected) = (accepted.ok()?, connected.ok()?);
    let session = connected.get_ref().1;
    Some(Shown {
        leaf: session.peer_certificates()?.first()?.to_vec(),
        version: session.protocol_version()?,
        suite: session.negotiated_cipher_suite()?.suite(),
    })
}

#[derive(Debug)]
struct Shown {
    leaf: Vec<u8>,
    version: rustls::ProtocolVersion,
    suite: CipherSuite,
}

fn browser(mesh: &Authority, versions: &[&'static rustls::SupportedProtocolVersion]) -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(mesh.roots().store)
        .with_no_client_auth()
}

#[tokio::test]
async fn the_certificate_with_the_name_is_shown() {
    let mesh = Authority::new();
    let identities = [mesh.issue_dns("a.example"), mesh.issue_dns("*.b.example")];
    for (name, expected) in [("a.example", Some(0)), ("x.b.example", Some(1)), ("c.example", None)] {
        let found = shown(&settings(&identities), browser(&mesh, rustls::ALL_VERSIONS), name).await;
        let found = found.map(|shown| identities.iter().position(|one| *one.key.cert[0] == *shown.leaf).unwrap());
        // The first is shown where none has the name; the client refuses it.
        assert_eq!(found, expected, "{name}");
    }
}

#[tokio::test]
async fn versions_and_suites_are_those_asked_for() {
    let mesh = Authority::new();
    let identities = [mesh.issue_dns("a.example")];
    let old: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
    let new: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];
    let suite = CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256;
    for (versions, client, expected) in [
        (Versions::Both, old, Some(rustls::ProtocolVersion::TLSv1_2)),
        (Versions::Both, new, Some(rustls::ProtocolVersion::TLSv1_3)),
        (Versions::Only13, old, None),
        (Versions::Only12, new, None),
    ] {
        let server = ServerSettings { versions, cipher_suites: &[suite], ..settings(&identities) };
        let found = shown(&server, browser(&mesh, client), "a.example").await;
        assert_eq!(found.as_ref().map(|shown| shown.version), expected);
        if let Some(shown) = found.filter(|shown| shown.version == rustls::ProtocolVersion::TLSv1_2) {
            assert_eq!(shown.suite, suite);
        }
    }
}

#[tokio::test]
async fn sessions_are_resumed_where_no_client_certificate_is_asked_for() {
    let mesh = Authority::new();
    let identities = [mesh.issue_dns("a.example")];
    for (auth, resumed) in
        [(ClientAuth::None, true), (ClientAuth::Optional(mesh.clients(&[])), false), (ClientAuth::Untrusted, false)]
    {
        // A client that keeps its TLS 1.2 sessions over two connections.
        let client = Arc::new(browser(&mesh, &[&rustls::version::TLS12]));
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let acceptor = Acceptor::new(&ServerSettings { client: auth.clone(), ..settings(&identities) }).unwrap();
            let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
            let address = listener.local_addr().unwrap();
            let accepting = async {
                let (tcp, _) = listener.accept().await.unwrap();
                acceptor.accept(Replay::new(bytes::Bytes::new(), tcp)).await
            };
            let connecting = async {
                let tcp = TcpStream::connect(address).await.unwrap();
                let name = rustls_pki_types::ServerName::try_from("a.example").unwrap();
                tokio_rustls::TlsConnector::from(client.clone()).connect(name, tcp).await
            };
            let (accepted, connected) = tokio::join!(accepting, connecting);
            kinds.push(accepted.unwrap().get_ref().1.handshake_kind());
            drop(connected);
        }
        assert_eq!(kinds[1] == Some(rustls::HandshakeKind::Resumed), resumed, "{auth:?}: {kinds:?}");
    }
}
