//! A whole control plane on free ports: configuration in over HTTP and files, resources out over ADS.

use std::path::Path;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};
use envoy_types::pb::google::rpc::Status;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use orrery_serve::ResourceType;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::*;
use crate::config::Addresses;

mod poison;

const TOKEN: &str = "an-administrators-token";

const SERVICES: &str = "
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec:
  selector: {app: reviews}
  ports: [{name: http, port: 9080}]
---
apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: default}
spec:
  selector: {app: ratings}
  ports: [{name: http, port: 9080}]
";

const ROUTE: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - route: [{destination: {host: reviews}}]
    timeout: 3s
";

struct Mesh {
    directory: tempfile::TempDir,
    addresses: Vec<(&'static str, SocketAddr)>,
    shutdown: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

async fn start() -> Mesh {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("config")).unwrap();
    std::fs::write(directory.path().join("config/services.yaml"), SERVICES).unwrap();
    start_in(directory).await
}

async fn start_in(directory: tempfile::TempDir) -> Mesh {
    let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let config = Config {
        config_dir: directory.path().join("config"),
        state_dir: directory.path().join("state"),
        addresses: Addresses { xds: free, xds_plaintext: Some(free), debug: free },
        admin_token: Some(TOKEN.to_owned()),
        ..Config::default()
    };
    let bound = build(config).await.unwrap();
    let addresses = bound.addresses();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(bound.serve(shutdown.clone()));
    Mesh { directory, addresses, shutdown, running }
}

impl Mesh {
    fn address(&self, name: &str) -> SocketAddr {
        self.addresses.iter().find(|(found, _)| *found == name).unwrap().1
    }

    async fn stop(self) -> tempfile::TempDir {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
        self.directory
    }

    async fn send(&self, request: http::Request<Full<Bytes>>) -> (u16, String) {
        let stream = TcpStream::connect(self.address("debug")).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let response = sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn call(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("authorization", format!("Bearer {TOKEN}"))
            .body(Full::from(body.to_owned()));
        self.send(request.unwrap()).await
    }

    fn applied(&self) -> Vec<String> {
        let directory = self.directory.path().join("config/applied");
        let files = std::fs::read_dir(directory).into_iter().flatten();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }

    async fn subscribe(&self, kind: ResourceType) -> Proxy {
        let uri = format!("http://{}", self.address("xds-plaintext"));
        let mut client = AggregatedDiscoveryServiceClient::connect(uri).await.unwrap();
        let (requests, receiver) = mpsc::channel(8);
        requests.send(first_request(kind)).await.unwrap();
        let responses = client.delta_aggregated_resources(ReceiverStream::new(receiver)).await.unwrap().into_inner();
        Proxy { requests, responses }
    }
}

struct Proxy {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: Streaming<DeltaDiscoveryResponse>,
}

impl Proxy {
    /// The next push, acknowledged.
    async fn next(&mut self) -> DeltaDiscoveryResponse {
        let push = self.message().await;
        self.answer(&push, None).await;
        push
    }

    /// The next push.
    async fn message(&mut self) -> DeltaDiscoveryResponse {
        timeout(Duration::from_secs(20), self.responses.message()).await.unwrap().unwrap().unwrap()
    }

    /// Acknowledges a push, or refuses it with a reason.
    async fn answer(&mut self, push: &DeltaDiscoveryResponse, refused: Option<&str>) {
        let error = |why: &str| Status { code: 13, message: why.to_owned(), ..Status::default() };
        let answer = DeltaDiscoveryRequest {
            type_url: push.type_url.clone(),
            response_nonce: push.nonce.clone(),
            error_detail: refused.map(error),
            ..DeltaDiscoveryRequest::default()
        };
        self.requests.send(answer).await.unwrap();
    }
}

fn first_request(kind: ResourceType) -> DeltaDiscoveryRequest {
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let fields = [
        ("NAMESPACE", "default"),
        ("SERVICE_ACCOUNT", "productpage"),
        ("WORKLOAD_NAME", "productpage-v1"),
        ("INTERCEPTION_MODE", "NONE"),
        ("APP_ADDRESS", "127.2.0.11"),
    ];
    let fields = fields.map(|(key, value)| (key.to_owned(), text(value))).into();
    let subscribe = if kind == ResourceType::Route { vec!["http_proxy".to_owned()] } else { Vec::new() };
    DeltaDiscoveryRequest {
        node: Some(Node {
            id: "sidecar~127.1.0.11~productpage-v1.default~default.svc.cluster.local".to_owned(),
            metadata: Some(Struct { fields }),
            ..Node::default()
        }),
        type_url: kind.type_url().to_owned(),
        resource_names_subscribe: subscribe,
        ..DeltaDiscoveryRequest::default()
    }
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn applying_reaches_the_proxies_and_the_directory() {
    let mesh = start().await;
    let mut routes = mesh.subscribe(ResourceType::Route).await;
    let before = routes.next().await;
    let (status, body) = mesh.call("POST", "/api/v1/apply?namespace=default", ROUTE).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(json(&body)["results"][0]["result"], "created");
    let after = routes.next().await;
    assert_ne!(before.resources[0].version, after.resources[0].version);
    assert_eq!(mesh.applied(), ["default_VirtualService_reviews.yaml"]);

    let (_, body) = mesh.call("POST", "/api/v1/apply", ROUTE).await;
    assert_eq!(json(&body)["results"][0]["result"], "unchanged");
    let (_, body) = mesh.call("GET", "/api/v1/resources?kind=virtualservice", "").await;
    assert_eq!(json(&body)[0]["metadata"]["name"], "reviews");
    let (status, body) = mesh.call("DELETE", "/api/v1/resources/VirtualService/default/reviews", "").await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(routes.next().await.resources[0].version, before.resources[0].version);
    assert!(mesh.applied().is_empty());
    let (status, _) = mesh.call("DELETE", "/api/v1/resources/VirtualService/default/reviews", "").await;
    assert_eq!(status, 404);
    mesh.stop().await;
}

#[tokio::test]
async fn files_reach_the_proxies_too_and_applied_objects_come_first() {
    let mesh = start().await;
    let mut routes = mesh.subscribe(ResourceType::Route).await;
    let none = routes.next().await.resources[0].version.clone();
    let file = mesh.directory.path().join("config/routes.yaml");
    std::fs::write(&file, ROUTE).unwrap();
    let by_file = routes.next().await.resources[0].version.clone();
    assert_ne!(by_file, none);
    let (_, body) = mesh.call("POST", "/api/v1/apply", &ROUTE.replace("3s", "5s")).await;
    assert_eq!(json(&body)["results"][0]["result"], "configured", "{body}");
    let applied = routes.next().await.resources[0].version.clone();
    assert!(applied != by_file && applied != none);
    mesh.call("DELETE", "/api/v1/resources/virtualservice/default/reviews", "").await;
    assert_eq!(routes.next().await.resources[0].version, by_file, "what the file says holds again");
    let (status, body) = mesh.call("DELETE", "/api/v1/resources/virtualservice/default/reviews", "").await;
    assert_eq!(status, 409, "{body}");
    std::fs::write(&file, ROUTE.replace("3s", "soon")).unwrap();
    std::fs::write(
        mesh.directory.path().join("config/more.yaml"),
        ROUTE.replace("name: reviews", "name: ratings").replace("[reviews]", "[ratings]"),
    )
    .unwrap();
    let with_both = routes.next().await.resources[0].version.clone();
    assert!(with_both != by_file && with_both != none);
    let (_, body) = mesh.call("GET", "/debug/problems", "").await;
    assert!(json(&body)["routes.yaml"][0]["field"].as_str().unwrap().contains("timeout"), "{body}");
    let (_, body) = mesh.call("GET", "/api/v1/resources?name=reviews&kind=VirtualService", "").await;
    assert_eq!(json(&body)[0]["spec"]["http"][0]["timeout"], "3s", "the last good one stays");
    mesh.stop().await;
}

#[tokio::test]
async fn one_mistake_and_nothing_changes() {
    let mesh = start().await;
    let mut clusters = mesh.subscribe(ResourceType::Cluster).await;
    clusters.next().await;
    for (wrong, field) in [
        (ROUTE.replace("timeout: 3s", "timeout: soon"), "timeout"),
        (ROUTE.replace("timeout: 3s", "timeuot: 3s"), "timeuot"),
        (ROUTE.replace("VirtualService", "VirtualServce"), "kind"),
        (": :\n  - [".to_owned(), ""),
    ] {
        let documents = format!("{SERVICES}\n---\n{}\n---\n{wrong}", ROUTE.replace("name: reviews", "name: good"));
        let (status, body) = mesh.call("POST", "/api/v1/apply", &documents).await;
        assert_eq!(status, 422, "{body}");
        assert!(json(&body)["errors"][0]["field"].as_str().unwrap().contains(field), "{body}");
        assert!(json(&body)["errors"][0]["line"].as_u64().unwrap() > 0, "{body}");
    }
    let (_, body) = mesh.call("GET", "/api/v1/resources?kind=VirtualService", "").await;
    assert_eq!(body, "[]");
    let (status, body) = mesh.call("POST", "/api/v1/apply?dryRun=true", ROUTE).await;
    assert_eq!(status, 200, "{body}");
    let (_, body) = mesh.call("GET", "/api/v1/resources?kind=VirtualService", "").await;
    assert_eq!(body, "[]");
    assert!(mesh.applied().is_empty());
    mesh.stop().await;
}

#[tokio::test]
async fn only_the_administrator_configures() {
    let mesh = start().await;
    let request = |headers: &[(&str, &str)]| {
        let request = http::Request::builder().method("POST").uri("/api/v1/apply").header("host", "localhost");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(Full::from(ROUTE)).unwrap()
    };
    let good = format!("Bearer {TOKEN}");
    for (headers, expect) in [
        (vec![], 401),
        (vec![("authorization", "Bearer wrong")], 401),
        (vec![("authorization", good.as_str()), ("origin", "http://evil.example")], 403),
        (vec![("authorization", good.as_str())], 200),
    ] {
        let (status, body) = mesh.send(request(&headers)).await;
        assert_eq!(status, expect, "{headers:?}: {body}");
    }
    let (status, _) = mesh.call("POST", "/api/v1/apply", &"#".repeat(9 << 20)).await;
    assert_eq!(status, 413);
    mesh.stop().await;
}

#[tokio::test]
async fn what_it_tells_about_itself() {
    let mesh = start().await;
    let mut clusters = mesh.subscribe(ResourceType::Cluster).await;
    clusters.next().await;
    assert_eq!(mesh.call("GET", "/ready", "").await.0, 200);
    let (_, body) = mesh.call("GET", "/debug/syncz", "").await;
    assert_eq!(json(&body)[0]["proxy"], "productpage-v1.default");
    assert_eq!(json(&body)[0]["cluster_id"], "Kubernetes");
    for (path, expect) in [
        ("/debug/configz", "\"reviews\""),
        ("/debug/registryz", "reviews.default.svc.cluster.local"),
        ("/debug/endpointz", "reviews.default.svc.cluster.local"),
        ("/debug/config_dump?proxyID=productpage-v1.default", "outbound|9080||reviews.default.svc.cluster.local"),
        ("/metrics", "pilot_xds{version=\"0.1.0\"} 1"),
        ("/metrics", "pilot_services 2"),
        ("/metrics", "citadel_server_csr_count 0"),
    ] {
        let (status, body) = mesh.call("GET", path, "").await;
        assert_eq!(status, 200, "{path}");
        assert!(body.contains(expect), "{path}: {body}");
    }
    assert_eq!(mesh.call("GET", "/debug/config_dump?proxyID=nobody.default", "").await.0, 404);
    mesh.stop().await;
}

#[tokio::test]
async fn nothing_is_lost_or_sent_again_over_a_restart() {
    let mesh = start().await;
    mesh.call("POST", "/api/v1/apply", ROUTE).await;
    let mut routes = mesh.subscribe(ResourceType::Route).await;
    let push = routes.next().await;
    let root = |directory: &Path| std::fs::read_to_string(directory.join("state/ca-root.pem")).unwrap();
    let before = root(mesh.directory.path());
    let directory = mesh.stop().await;

    let mesh = start_in(directory).await;
    assert_eq!(root(mesh.directory.path()), before);
    let uri = format!("http://{}", mesh.address("xds-plaintext"));
    let mut client = AggregatedDiscoveryServiceClient::connect(uri).await.unwrap();
    let (requests, receiver) = mpsc::channel(8);
    let mut first = first_request(ResourceType::Route);
    let versions = push.resources.iter().map(|resource| (resource.name.clone(), resource.version.clone()));
    first.initial_resource_versions = versions.collect();
    requests.send(first).await.unwrap();
    // The cluster subscription comes after; so its answer shows that none came before for the routes.
    requests.send(DeltaDiscoveryRequest { node: None, ..first_request(ResourceType::Cluster) }).await.unwrap();
    let mut responses = client.delta_aggregated_resources(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    let answer = responses.message().await.unwrap().unwrap();
    assert_eq!(answer.type_url, ResourceType::Cluster.type_url());
    mesh.stop().await;
}
