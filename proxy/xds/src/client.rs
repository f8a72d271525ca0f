//! The ADS client: keeps one delta stream open, and publishes a snapshot when what was received is complete.
//!
//! A new snapshot waits until everything that it refers to is there, or for a limited time; until then the old one
//! stays in force. While the control plane is away nothing changes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Node as NodeMessage;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use envoy_types::pb::google::protobuf::value::Kind as ValueKind;
use envoy_types::pb::google::protobuf::{ListValue, Struct, Value};
use orrery_core::secret::Secret;
use orrery_core::snapshot::Snapshot;
use rand::Rng;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::session::Session;
use crate::status::AdsStatus;
use crate::store::Store;

/// Requests that may wait to be sent. The server reads as it writes, so more never wait.
const OUTGOING: usize = 256;
/// Largest message in bytes.
const LARGEST: usize = 64 << 20;
/// A push comes as several messages; so long a silence ends it.
const QUIET: Duration = Duration::from_millis(5);
/// An incomplete snapshot is published after this.
const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How to subscribe.
pub struct AdsConfig {
    pub node: Node,
    /// Makes the connection for the next stream, with the newest certificate; the error says what is missing.
    pub channel: Box<dyn Fn() -> Result<Channel, String> + Send + Sync>,
}

/// Who subscribes (xDS `Node`).
#[derive(Clone, Debug)]
pub struct Node {
    pub id: String,
    pub cluster: String,
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// Subscribes until `shutdown`. `secrets` are the proxy's own, which are never fetched.
pub async fn run(
    config: AdsConfig,
    secrets: watch::Receiver<Vec<Secret>>,
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    status: AdsStatus,
    shutdown: CancellationToken,
) {
    let mut subscription = Subscription {
        store: Store::default(),
        session: Session::default(),
        secrets,
        snapshots,
        status: status.clone(),
        due: None,
    };
    let mut failures = 0u32;
    loop {
        let ended = tokio::select! {
            ended = subscription.stream(&config) => ended,
            () = shutdown.cancelled() => return,
        };
        // A stream that worked for a while is no failure in a row.
        failures = if ended.worked { 1 } else { failures.saturating_add(1) };
        let pause = pause(failures, rand::rng().random_range(0.5..1.0));
        tracing::warn!(reason = ended.reason, again_in = ?pause, "no stream to the control plane; the last configuration stays in force");
        status.disconnected(ended.reason);
        tokio::select! {
            () = sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

fn pause(failures: u32, jitter: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(LONGEST_PAUSE).mul_f64(jitter)
}

/// How a stream ended.
struct Ended {
    reason: String,
    worked: bool,
}

/// What outlives streams.
struct Subscription {
    store: Store,
    session: Session,
    secrets: watch::Receiver<Vec<Secret>>,
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    status: AdsStatus,
    due: Option<Due>,
}

/// A snapshot that waits to be published.
#[derive(Clone, Copy)]
struct Due {
    quiet: Instant,
    latest: Instant,
}

impl Subscription {
    async fn stream(&mut self, config: &AdsConfig) -> Ended {
        let mut worked = false;
        let reason = match self.converse(config, &mut worked).await {
            Ok(()) => "the control plane ended the stream".to_owned(),
            Err(reason) => reason,
        };
        Ended { reason, worked }
    }

    async fn converse(&mut self, config: &AdsConfig, worked: &mut bool) -> Result<(), String> {
        let mut client = AggregatedDiscoveryServiceClient::new((config.channel)()?).max_decoding_message_size(LARGEST);
        let (outgoing, requests) = mpsc::channel(OUTGOING);
        let mut first = self.session.open(&self.store, &self.local());
        if let Some(request) = first.first_mut() {
            request.node = Some(node(&config.node));
        }
        send(&outgoing, first)?;
        let response = client
            .delta_aggregated_resources(ReceiverStream::new(requests))
            .await
            .map_err(|status| describe(&status))?;
        self.status.connected();
        tracing::info!("subscribed to the control plane");
        let mut incoming = response.into_inner();
        loop {
            let due = self.due_at();
            tokio::select! {
                message = next(&mut incoming) => match message? {
                    Some(response) => {
                        *worked = true;
                        let local = self.local();
                        let answers = self.session.respond(response, &mut self.store, &local, &self.status);
                        send(&outgoing, answers)?;
                        self.touch();
                    }
                    None => return Ok(()),
                },
                changed = self.secrets.changed() => {
                    changed.map_err(|_| "the agent has ended".to_owned())?;
                    let local = self.local();
                    send(&outgoing, self.session.resubscribe(&mut self.store, &local))?;
                    self.touch();
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.publish(),
            }
        }
    }

    fn local(&self) -> BTreeSet<String> {
        self.secrets.borrow().iter().map(|secret| secret.name.to_string()).collect()
    }

    /// Something changed: a snapshot is due after the push has gone quiet.
    fn touch(&mut self) {
        let now = Instant::now();
        let latest = self.due.map_or(now + PATIENCE, |due| due.latest);
        self.due = Some(Due { quiet: now + QUIET, latest });
    }

    fn due_at(&self) -> Option<Instant> {
        let due = self.due?;
        Some(if self.session.is_complete() { due.quiet } else { due.latest })
    }

    fn publish(&mut self) {
        self.due = None;
        if !self.session.has_begun() {
            // Not even the clusters and listeners are known: nothing that could be served.
            self.touch();
            return;
        }
        if !self.session.is_complete() {
            tracing::warn!("some resources that others refer to have not come; serving what is there");
        }
        let snapshot = self.store.snapshot(&self.secrets.borrow());
        self.snapshots.send_replace(Some(Arc::new(snapshot)));
        self.status.published();
    }
}

async fn next(incoming: &mut Streaming<DeltaDiscoveryResponse>) -> Result<Option<DeltaDiscoveryResponse>, String> {
    incoming.message().await.map_err(|status| describe(&status))
}

fn send(outgoing: &mpsc::Sender<DeltaDiscoveryRequest>, requests: Vec<DeltaDiscoveryRequest>) -> Result<(), String> {
    for request in requests {
        outgoing.try_send(request).map_err(|_| "the control plane does not read what it is sent".to_owned())?;
    }
    Ok(())
}

/// tonic says "transport error" and hides why.
fn describe(status: &Status) -> String {
    let mut text = format!("{:?}: {}", status.code(), status.message());
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn node(node: &Node) -> NodeMessage {
    NodeMessage {
        id: node.id.clone(),
        cluster: node.cluster.clone(),
        metadata: Some(Struct {
            fields: node.metadata.iter().map(|(key, value)| (key.clone(), message(value))).collect(),
        }),
        user_agent_name: "orrery".to_owned(),
        ..Default::default()
    }
}

fn message(value: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    let kind = match value {
        Json::Null => ValueKind::NullValue(0),
        Json::Bool(flag) => ValueKind::BoolValue(*flag),
        Json::Number(number) => ValueKind::NumberValue(number.as_f64().unwrap_or_default()),
        Json::String(text) => ValueKind::StringValue(text.clone()),
        Json::Array(all) => ValueKind::ListValue(ListValue { values: all.iter().map(message).collect() }),
        Json::Object(fields) => ValueKind::StructValue(Struct {
            fields: fields.iter().map(|(key, value)| (key.clone(), message(value))).collect(),
        }),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_are_spread() {
        let pauses: Vec<u64> = [1, 2, 3, 20].map(|n| u64::try_from(pause(n, 1.0).as_millis()).unwrap()).to_vec();
        assert_eq!(pauses, [100, 200, 400, 10_000]);
        assert!(pause(20, 0.5) < pause(20, 1.0));
    }
}
