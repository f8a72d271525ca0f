//! Clients of a control plane: streams that take part in delta ADS as a proxy does, and tell what they were sent.
//!
//! They keep names only, so that many fit into one process. They know the protocol, and nothing of who serves it.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};
use prost::Message;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;

const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
const ENDPOINT: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
const ROUTE: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";

/// Requests of a stream that wait to be sent.
const REQUESTS: usize = 64;
/// Names of one response that are told; of more only the number is.
const MOST_NAMES: usize = 16;

/// Who connects.
#[derive(Clone, Debug)]
pub struct Identity {
    pub address: String,
    pub name: String,
    pub namespace: String,
    pub labels: Vec<(String, String)>,
}

/// One response.
#[derive(Clone, Debug)]
pub struct Received {
    /// Which client got it, by its place in the fleet.
    pub client: usize,
    pub at: Instant,
    /// `cds`, `eds`, `lds` or `rds`.
    pub kind: &'static str,
    /// How many resources came and went, and the first of their names.
    pub count: usize,
    pub names: Vec<String>,
    pub bytes: usize,
    /// The client has as many clusters as it was told to wait for, their endpoints, and all routes of its listeners.
    pub complete: bool,
}

/// Clients that run until they are dropped.
pub struct Fleet {
    tasks: Vec<JoinHandle<()>>,
    pub received: mpsc::Receiver<Received>,
}

impl Fleet {
    /// Connects all; each is complete with this many clusters that have endpoints of their own.
    pub fn connect(address: SocketAddr, identities: Vec<Identity>, clusters: usize) -> Self {
        // Room for every response of one round; then clients wait for whoever counts.
        let (sender, received) = mpsc::channel(identities.len().max(1) * 64);
        let run = |(client, identity): (usize, Identity)| {
            let mut stream = Stream::new(client, clusters, sender.clone());
            tokio::spawn(async move {
                if let Err(error) = stream.run(address, &identity).await {
                    eprintln!("client {client}: {error:#}");
                }
            })
        };
        let tasks = identities.into_iter().enumerate().map(run).collect();
        Self { tasks, received }
    }

    /// The next response that any client gets.
    pub async fn next(&mut self, limit: Duration) -> Result<Received> {
        let next = tokio::time::timeout(limit, self.received.recv());
        next.await.with_context(|| format!("nobody was sent anything for {limit:?}"))?.context("all clients ended")
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// One client's names, as hashes.
struct Stream {
    client: usize,
    expected: usize,
    hasher: RandomState,
    clusters: HashSet<u64>,
    endpoints: HashSet<u64>,
    routes_wanted: HashSet<String>,
    routes: HashSet<u64>,
    listening: bool,
    told: mpsc::Sender<Received>,
}

impl Stream {
    fn new(client: usize, expected: usize, told: mpsc::Sender<Received>) -> Self {
        Self {
            client,
            expected,
            hasher: RandomState::new(),
            clusters: HashSet::new(),
            endpoints: HashSet::new(),
            routes_wanted: HashSet::new(),
            routes: HashSet::new(),
            listening: false,
            told,
        }
    }

    async fn run(&mut self, address: SocketAddr, identity: &Identity) -> Result<()> {
        let channel = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true).connect().await?;
        let mut client = AggregatedDiscoveryServiceClient::new(channel).max_decoding_message_size(usize::MAX);
        let (requests, receiver) = mpsc::channel(REQUESTS);
        let first = DeltaDiscoveryRequest { node: Some(node(identity)), ..ask(CLUSTER) };
        requests.send(first).await?;
        requests.send(ask(LISTENER)).await?;
        let mut responses = client.delta_aggregated_resources(ReceiverStream::new(receiver)).await?.into_inner();
        while let Some(response) = responses.message().await? {
            let at = Instant::now();
            for request in self.answers(&response)? {
                requests.send(request).await?;
            }
            self.told.send(self.received(&response, at)).await?;
        }
        Ok(())
    }

    /// The acknowledgement, and what the client asks for next.
    fn answers(&mut self, response: &DeltaDiscoveryResponse) -> Result<Vec<DeltaDiscoveryRequest>> {
        let ack = DeltaDiscoveryRequest { response_nonce: response.nonce.clone(), ..ask(&response.type_url) };
        let mut answers = vec![ack];
        let names = response.resources.iter().map(|resource| resource.name.as_str());
        match response.type_url.as_str() {
            CLUSTER => {
                let hasher = &self.hasher;
                let new = names.filter(|name| name.starts_with("outbound|"));
                let new = new.filter(|name| self.clusters.insert(hasher.hash_one(name)));
                let subscribe: Vec<String> = new.map(ToOwned::to_owned).collect();
                for name in &response.removed_resources {
                    self.clusters.remove(&self.hasher.hash_one(name.as_str()));
                }
                if !subscribe.is_empty() {
                    answers.push(DeltaDiscoveryRequest { resource_names_subscribe: subscribe, ..ask(ENDPOINT) });
                }
            }
            ENDPOINT => self.endpoints.extend(names.map(|name| self.hasher.hash_one(name))),
            LISTENER => {
                self.listening = true;
                let mut subscribe = Vec::new();
                for resource in &response.resources {
                    let body = resource.resource.as_ref().context("a listener without a body")?;
                    for route in routes(&body.value)? {
                        if self.routes_wanted.insert(route.clone()) {
                            subscribe.push(route);
                        }
                    }
                }
                if !subscribe.is_empty() {
                    answers.push(DeltaDiscoveryRequest { resource_names_subscribe: subscribe, ..ask(ROUTE) });
                }
            }
            ROUTE => self.routes.extend(names.map(|name| self.hasher.hash_one(name))),
            other => anyhow::bail!("a response of the type {other}"),
        }
        Ok(answers)
    }

    fn received(&self, response: &DeltaDiscoveryResponse, at: Instant) -> Received {
        let names = response.resources.iter().map(|resource| &resource.name).chain(&response.removed_resources);
        let bodies = response.resources.iter().filter_map(|resource| resource.resource.as_ref());
        Received {
            client: self.client,
            at,
            kind: match response.type_url.as_str() {
                CLUSTER => "cds",
                ENDPOINT => "eds",
                LISTENER => "lds",
                _ => "rds",
            },
            count: response.resources.len() + response.removed_resources.len(),
            names: names.take(MOST_NAMES).cloned().collect(),
            bytes: bodies.map(|body| body.value.len()).sum(),
            complete: self.clusters.len() >= self.expected
                && self.endpoints.len() >= self.clusters.len()
                && self.listening
                && self.routes.len() >= self.routes_wanted.len(),
        }
    }
}

/// Names of the route tables that a listener asks for.
fn routes(listener: &[u8]) -> Result<Vec<String>> {
    let listener = Listener::decode(listener)?;
    let chains = listener.filter_chains.iter().chain(&listener.default_filter_chain);
    let mut names = Vec::new();
    for filter in chains.flat_map(|chain| &chain.filters) {
        let Some(ConfigType::TypedConfig(config)) = &filter.config_type else { continue };
        if !config.type_url.ends_with("HttpConnectionManager") {
            continue;
        }
        if let Some(RouteSpecifier::Rds(rds)) = HttpConnectionManager::decode(config.value.as_slice())?.route_specifier
        {
            names.push(rds.route_config_name);
        }
    }
    Ok(names)
}

fn ask(type_url: &str) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest { type_url: type_url.to_owned(), ..Default::default() }
}

fn node(identity: &Identity) -> Node {
    let Identity { address, name, namespace, labels } = identity;
    let text = |value: &str| Value { kind: Some(Kind::StringValue(value.to_owned())) };
    let labels = Struct { fields: labels.iter().map(|(key, value)| (key.clone(), text(value))).collect() };
    let fields = [
        ("NAMESPACE", text(namespace)),
        ("SERVICE_ACCOUNT", text("default")),
        ("INTERCEPTION_MODE", text("REDIRECT")),
        ("LABELS", Value { kind: Some(Kind::StructValue(labels)) }),
    ];
    Node {
        id: format!("sidecar~{address}~{name}.{namespace}~{namespace}.svc.cluster.local"),
        metadata: Some(Struct { fields: fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect() }),
        ..Default::default()
    }
}
