//! Certificates and discovery over real TLS: a token buys the first certificate, that one all else.

use std::net::SocketAddr;
use std::time::SystemTime;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};
use orrery_ca::{Claims, Limits, Root};
use orrery_serve::{Event, ResourceType};
use rcgen::{CertificateParams, KeyPair};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tonic::Code;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic_prost::ProstCodec;

use super::*;
use crate::certificate::{Names, Rotating};
use crate::certificate_service::{CertificateRequest, CertificateResponse};
use crate::listen::{Security, incoming};

struct Setup {
    address: SocketAddr,
    authority: Arc<Authority>,
    tokens: Arc<TokenKey>,
    metrics: Metrics,
    events: mpsc::Receiver<Event>,
    _stop: tokio_util::sync::DropGuard,
}

async fn start() -> Setup {
    let now = SystemTime::now();
    let key = Root::generate_key().unwrap();
    let root = Root::from_pem(&Root::self_sign(&key, "cluster.local", now).unwrap(), &key, now).unwrap();
    let authority = Arc::new(Authority::new(root, "cluster.local", Limits::default()));
    let names = Names { dns: vec!["localhost".to_owned()], addresses: vec![[127, 0, 0, 1].into()] };
    let certificate = Arc::new(Rotating::new(Arc::clone(&authority), names, now).unwrap());
    let stop = CancellationToken::new();
    let (hub, events) = Hub::new(orrery_serve::Limits::default(), stop.clone());
    let tokens = Arc::new(TokenKey::from_bytes(&[7; 32]).unwrap());
    let metrics = Metrics::default();
    let grpc = Grpc { hub, authority: Arc::clone(&authority), tokens: Arc::clone(&tokens), metrics: metrics.clone() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(certificate.server_config().unwrap()));
    let security = Security::Tls { acceptor, trust_domain: "cluster.local".into() };
    tokio::spawn(grpc.serve(incoming(listener, security, 100, stop.clone()), stop.clone()));
    Setup { address, authority, tokens, metrics, events, _stop: stop.drop_guard() }
}

impl Setup {
    async fn channel(&self, identity: Option<Identity>) -> Result<Channel, tonic::transport::Error> {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.authority.root().pem()))
            .domain_name("localhost");
        let tls = match identity {
            Some(identity) => tls.identity(identity),
            None => tls,
        };
        let uri = format!("https://{}", self.address);
        Endpoint::from_shared(uri).unwrap().tls_config(tls).unwrap().connect().await
    }

    fn token(&self, account: &str, life: i64) -> String {
        let now = SystemTime::now();
        let seconds = Duration::from_secs(life.unsigned_abs());
        let expires = if life < 0 { now - seconds } else { now + seconds };
        let claims = Claims { namespace: "default".to_owned(), service_account: account.to_owned(), expires };
        self.tokens.issue(&claims, now)
    }
}

async fn create(channel: Channel, csr: String, authorization: Option<String>) -> Result<CertificateResponse, Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let mut request = Request::new(CertificateRequest { csr, validity_duration: 3600 });
    if let Some(value) = authorization {
        request.metadata_mut().insert("authorization", value.parse().unwrap());
    }
    let codec: ProstCodec<CertificateRequest, CertificateResponse> = ProstCodec::default();
    let path = PathAndQuery::from_static("/istio.v1.auth.IstioCertificateService/CreateCertificate");
    Ok(client.unary(request, path, codec).await?.into_inner())
}

fn signing_request() -> (KeyPair, String) {
    let key = KeyPair::generate().unwrap();
    let csr = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    (key, csr)
}

fn identity(key: &KeyPair, response: &CertificateResponse) -> Identity {
    Identity::from_pem(&response.cert_chain[0], key.serialize_pem())
}

fn account(response: &CertificateResponse) -> String {
    use rustls_pki_types::pem::PemObject;
    let der = rustls_pki_types::CertificateDer::from_pem_slice(response.cert_chain[0].as_bytes()).unwrap();
    orrery_ca::Identity::from_certificate(&der).unwrap().to_string()
}

#[tokio::test]
async fn a_token_buys_a_certificate_and_a_certificate_renews_itself() {
    let setup = start().await;
    let (key, csr) = signing_request();
    let token = format!("Bearer {}", setup.token("reviews", 60));
    let first = create(setup.channel(None).await.unwrap(), csr.clone(), Some(token)).await.unwrap();
    assert_eq!(account(&first), "spiffe://cluster.local/ns/default/sa/reviews");
    assert_eq!(first.cert_chain[1], setup.authority.root().pem());
    let channel = setup.channel(Some(identity(&key, &first))).await.unwrap();
    let second = create(channel, csr, None).await.unwrap();
    assert_eq!(account(&second), account(&first));
    assert!(setup.metrics.encode().contains("citadel_server_success_cert_issuance_count 2"));
}

#[tokio::test]
async fn who_gets_no_certificate() {
    let setup = start().await;
    let (_, csr) = signing_request();
    let stranger = TokenKey::from_bytes(&[8; 32]).unwrap();
    let claims = Claims {
        namespace: "default".to_owned(),
        service_account: "reviews".to_owned(),
        expires: SystemTime::now() + Duration::from_secs(60),
    };
    let foreign = stranger.issue(&claims, SystemTime::now());
    let good = format!("Bearer {}", setup.token("reviews", 60));
    for (authorization, csr, code, text) in [
        (None, csr.as_str(), Code::Unauthenticated, "bearer token"),
        (Some("Basic eDp5".to_owned()), &csr, Code::Unauthenticated, "Bearer <token>"),
        (Some(format!("Bearer {foreign}")), &csr, Code::Unauthenticated, "signature is wrong"),
        (Some(format!("Bearer {}", setup.token("reviews", -120))), &csr, Code::Unauthenticated, "expired"),
        (Some(good.clone()), "junk", Code::InvalidArgument, "cannot be parsed"),
        (Some(good), &"x".repeat(20_000), Code::InvalidArgument, "20000 bytes"),
    ] {
        let channel = setup.channel(None).await.unwrap();
        let status = create(channel, csr.to_owned(), authorization).await.unwrap_err();
        assert_eq!(status.code(), code, "{}", status.message());
        assert!(status.message().contains(text), "{}", status.message());
    }
}

#[tokio::test]
async fn a_certificate_of_another_root_is_refused() {
    let (setup, other) = (start().await, start().await);
    let (key, csr) = signing_request();
    let token = format!("Bearer {}", other.token("reviews", 60));
    let foreign = create(other.channel(None).await.unwrap(), csr.clone(), Some(token)).await.unwrap();
    // With TLS 1.3 the client learns of the refusal with its first call.
    let refused = match setup.channel(Some(identity(&key, &foreign))).await {
        Err(_) => true,
        Ok(channel) => create(channel, csr, None).await.is_err(),
    };
    assert!(refused);
}

fn first_request(account: &str) -> DeltaDiscoveryRequest {
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let fields = [("NAMESPACE", "default"), ("SERVICE_ACCOUNT", account)];
    let fields = fields.map(|(key, value)| (key.to_owned(), text(value))).into();
    DeltaDiscoveryRequest {
        node: Some(Node {
            id: "sidecar~127.1.0.13~reviews-v1.default~default.svc.cluster.local".to_owned(),
            metadata: Some(Struct { fields }),
            ..Node::default()
        }),
        type_url: ResourceType::Cluster.type_url().to_owned(),
        ..DeltaDiscoveryRequest::default()
    }
}

#[tokio::test]
async fn discovery_is_for_the_certificates_own_account() {
    let mut setup = start().await;
    let (key, csr) = signing_request();
    let token = format!("Bearer {}", setup.token("reviews", 60));
    let issued = create(setup.channel(None).await.unwrap(), csr, Some(token)).await.unwrap();
    for (claimed, with_certificate, expect) in
        [("ratings", true, Code::PermissionDenied), ("reviews", false, Code::Unauthenticated)]
    {
        let own = with_certificate.then(|| identity(&key, &issued));
        let mut client = AggregatedDiscoveryServiceClient::new(setup.channel(own).await.unwrap());
        let requests = tokio_stream::once(first_request(claimed));
        let mut responses = client.delta_aggregated_resources(requests).await.unwrap().into_inner();
        assert_eq!(responses.message().await.unwrap_err().code(), expect);
    }
    let mut client = AggregatedDiscoveryServiceClient::new(setup.channel(Some(identity(&key, &issued))).await.unwrap());
    let _responses = client.delta_aggregated_resources(tokio_stream::once(first_request("reviews"))).await.unwrap();
    match setup.events.recv().await.unwrap() {
        Event::Connected { identity, .. } => assert_eq!(identity.service_account, "reviews"),
        other => panic!("{other:?}"),
    }
}
