//! The service over real connections: subscribe, change, acknowledge, refuse, come back.

use std::net::SocketAddr;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Any, Struct, Value};
use envoy_types::pb::google::rpc::Status as RpcStatus;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::transport::Server;

use super::*;
use crate::hub::{ConnectionId, Event, Limits};
use orrery_resource::{Difference, Resource, ResourceSet, ResourceType};

struct Setup {
    address: SocketAddr,
    hub: Hub,
    events: mpsc::Receiver<Event>,
    shutdown: CancellationToken,
}

async fn start(peer: Peer, limits: Limits) -> Setup {
    let shutdown = CancellationToken::new();
    let (hub, events) = Hub::new(limits, shutdown.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = tonic::service::interceptor::InterceptedService::new(
        AdsServer::new(&hub).into_service(),
        move |mut request: Request<()>| {
            request.extensions_mut().insert(peer.clone());
            Ok(request)
        },
    );
    let stop = shutdown.clone().cancelled_owned();
    tokio::spawn(
        Server::builder().add_service(service).serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop),
    );
    Setup { address, hub, events, shutdown }
}

impl Setup {
    async fn event(&mut self) -> Event {
        self.events.recv().await.unwrap()
    }

    async fn connected(&mut self) -> ConnectionId {
        match self.event().await {
            Event::Connected { connection, .. } => connection,
            other => panic!("{other:?}"),
        }
    }
}

type Requests = mpsc::Sender<pb::DeltaDiscoveryRequest>;

async fn open(
    address: SocketAddr,
    first: pb::DeltaDiscoveryRequest,
) -> (Requests, Streaming<pb::DeltaDiscoveryResponse>) {
    let mut client = AggregatedDiscoveryServiceClient::connect(format!("http://{address}")).await.unwrap();
    let (requests, receiver) = mpsc::channel(8);
    requests.send(first).await.unwrap();
    let responses = client.delta_aggregated_resources(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    (requests, responses)
}

fn node() -> Node {
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let fields = [("NAMESPACE", "default"), ("SERVICE_ACCOUNT", "reviews")];
    let fields = fields.map(|(key, value)| (key.to_owned(), text(value))).into();
    Node {
        id: "sidecar~127.1.0.13~reviews-v1.default~default.svc.cluster.local".to_owned(),
        metadata: Some(Struct { fields }),
        ..Node::default()
    }
}

fn listeners() -> pb::DeltaDiscoveryRequest {
    pb::DeltaDiscoveryRequest {
        node: Some(node()),
        type_url: ResourceType::Listener.type_url().to_owned(),
        ..pb::DeltaDiscoveryRequest::default()
    }
}

fn answer(response: &pb::DeltaDiscoveryResponse, error: Option<&str>) -> pb::DeltaDiscoveryRequest {
    pb::DeltaDiscoveryRequest {
        type_url: response.type_url.clone(),
        response_nonce: response.nonce.clone(),
        error_detail: error.map(|message| RpcStatus { message: message.to_owned(), ..RpcStatus::default() }),
        ..pb::DeltaDiscoveryRequest::default()
    }
}

fn set(revision: u64, version: &str) -> ResourceSet {
    let body = Any { type_url: ResourceType::Listener.type_url().to_owned(), value: version.as_bytes().to_vec() };
    let resource = Arc::new(Resource { version: version.into(), body });
    ResourceSet::new(revision).with(ResourceType::Listener, "l", resource)
}

fn publish(setup: &Setup, connection: ConnectionId, set: ResourceSet) -> bool {
    let changed = Difference::all(&set);
    setup.hub.publish(connection, set, &changed)
}

#[tokio::test]
async fn a_delta_stream_from_subscription_to_reconnection() {
    let mut setup = start(Peer::Plaintext, Limits::default()).await;
    let (requests, mut responses) = open(setup.address, listeners()).await;
    let connection = setup.connected().await;
    assert!(publish(&setup, connection, set(1, "one")));
    let first = responses.message().await.unwrap().unwrap();
    assert_eq!((first.resources[0].name.as_str(), first.resources[0].version.as_str()), ("l", "one"));
    assert!(matches!(setup.event().await, Event::Sent { resources: 1, bytes: 3, revision: 1, .. }));
    requests.send(answer(&first, None)).await.unwrap();
    assert!(matches!(setup.event().await, Event::Acked { revision: 1, .. }));
    assert!(matches!(setup.event().await, Event::Synced { revision: 1, .. }));

    publish(&setup, connection, set(2, "two"));
    let second = responses.message().await.unwrap().unwrap();
    assert!(matches!(setup.event().await, Event::Sent { revision: 2, .. }));
    requests.send(answer(&second, Some("bad regex"))).await.unwrap();
    match setup.event().await {
        Event::Nacked { names, message, .. } => {
            assert_eq!((names, message.as_str()), (vec!["l".to_owned()], "bad regex"));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(setup.event().await, Event::Synced { revision: 2, .. }));
    drop((requests, responses));
    assert!(matches!(setup.event().await, Event::Disconnected { .. }));
    assert!(!publish(&setup, connection, set(3, "three")));

    let mut again = listeners();
    again.initial_resource_versions = [("l".to_owned(), "two".to_owned())].into();
    let (_requests, mut responses) = open(setup.address, again).await;
    let connection = setup.connected().await;
    publish(&setup, connection, set(3, "two"));
    assert!(matches!(setup.event().await, Event::Synced { revision: 3, .. }), "nothing is sent again");
    publish(&setup, connection, set(4, "four"));
    assert_eq!(responses.message().await.unwrap().unwrap().resources[0].version, "four");
    assert!(matches!(setup.event().await, Event::Sent { .. }));
    setup.shutdown.cancel();
    assert_eq!(responses.message().await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn state_of_the_world() {
    let mut setup = start(Peer::Plaintext, Limits::default()).await;
    let mut client = AggregatedDiscoveryServiceClient::connect(format!("http://{}", setup.address)).await.unwrap();
    let (requests, receiver) = mpsc::channel(8);
    let type_url = ResourceType::Listener.type_url().to_owned();
    let first = pb::DiscoveryRequest { node: Some(node()), type_url, ..pb::DiscoveryRequest::default() };
    requests.send(first.clone()).await.unwrap();
    let mut responses = client.stream_aggregated_resources(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    let connection = setup.connected().await;
    publish(&setup, connection, set(7, "one"));
    let response = responses.message().await.unwrap().unwrap();
    assert_eq!((response.version_info.as_str(), response.resources.len()), ("7", 1));
    assert!(matches!(setup.event().await, Event::Sent { .. }));
    let ack =
        pb::DiscoveryRequest { version_info: "7".to_owned(), response_nonce: response.nonce, node: None, ..first };
    requests.send(ack).await.unwrap();
    assert!(matches!(setup.event().await, Event::Acked { revision: 7, .. }));
}

#[tokio::test]
async fn who_is_refused() {
    let workload =
        |account: &str| Peer::Workload { namespace: "default".to_owned(), service_account: account.to_owned() };
    let no_node = pb::DeltaDiscoveryRequest { node: None, ..listeners() };
    let bad_node = pb::DeltaDiscoveryRequest { node: Some(Node::default()), ..listeners() };
    for (peer, first, expect, text) in [
        (workload("ratings"), listeners(), Code::PermissionDenied, "default/ratings"),
        (Peer::Anonymous, listeners(), Code::Unauthenticated, "client certificate"),
        (Peer::Plaintext, no_node, Code::InvalidArgument, "must have a node"),
        (Peer::Plaintext, bad_node, Code::InvalidArgument, "id has 0 bytes"),
    ] {
        let setup = start(peer, Limits::default()).await;
        let (_requests, mut responses) = open(setup.address, first).await;
        let status = responses.message().await.unwrap_err();
        assert_eq!(status.code(), expect);
        assert!(status.message().contains(text), "{}", status.message());
        setup.shutdown.cancel();
    }
    let mut setup = start(workload("reviews"), Limits::default()).await;
    let _stream = open(setup.address, listeners()).await;
    setup.connected().await;
}

#[tokio::test]
async fn a_node_that_cannot_be_served_is_told_why() {
    let mut setup = start(Peer::Plaintext, Limits::default()).await;
    let (_requests, mut responses) = open(setup.address, listeners()).await;
    let connection = setup.connected().await;
    setup.hub.refuse(connection, "INTERCEPTION_MODE is odd");
    let status = responses.message().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "INTERCEPTION_MODE is odd"));
}

#[tokio::test]
async fn no_more_streams_than_allowed() {
    let mut setup = start(Peer::Plaintext, Limits { streams: 1, ..Limits::default() }).await;
    let _first = open(setup.address, listeners()).await;
    setup.connected().await;
    let mut client = AggregatedDiscoveryServiceClient::connect(format!("http://{}", setup.address)).await.unwrap();
    let status = client.delta_aggregated_resources(tokio_stream::once(listeners())).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
}
