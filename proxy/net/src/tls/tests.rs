//! Handshakes between our own two sides, over real sockets.

use std::net::SocketAddr;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::stream::Replay;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn roots(&self) -> Roots {
        Roots::from_pem(&self.0.pem()).unwrap()
    }

    fn issue(&self, names: &[&str]) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.iter().map(|name| SanType::URI((*name).try_into().unwrap())).collect();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity::from_pem(&certificate.pem(), &key.serialize_pem()).unwrap()
    }
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
    let required = || ClientAuth::Required(mesh.roots());
    let optional = || ClientAuth::Optional(mesh.roots());
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
        let server = ServerSettings { identity: &server, client: auth, alpn: &[] };
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
        let server = ServerSettings { identity: &server, client: ClientAuth::None, alpn: &ours };
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
