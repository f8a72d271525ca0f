//! The gRPC service: checks that there is room and a peer, then leaves each stream to its own task.

use std::sync::Arc;

use envoy_types::pb::envoy::service::discovery::v3 as pb;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::hub::{Hub, Shared};
use crate::node::Peer;
use crate::session::Variant;
use crate::stream;
use crate::wire;

/// Largest request in bytes.
const LARGEST_REQUEST: usize = 4 * 1024 * 1024;

/// What a stream's client reads.
type ResponseStream<T> = ReceiverStream<Result<T, Status>>;

/// Serves [`Hub`]'s streams. The connection must have put a [`Peer`] into the request's extensions.
#[derive(Clone)]
pub struct AdsServer {
    shared: Arc<Shared>,
}

impl AdsServer {
    /// A server for the streams of a hub.
    pub fn new(hub: &Hub) -> Self {
        Self { shared: Arc::clone(hub.shared()) }
    }

    /// The service to add to a tonic server.
    pub fn into_service(self) -> AggregatedDiscoveryServiceServer<Self> {
        AggregatedDiscoveryServiceServer::new(self)
            .max_decoding_message_size(LARGEST_REQUEST)
            .max_encoding_message_size(usize::MAX)
    }

    fn start<R: wire::Request>(
        &self,
        variant: Variant,
        request: Request<Streaming<R>>,
    ) -> Result<Response<ResponseStream<R::Response>>, Status> {
        let peer = request.extensions().get::<Peer>().cloned().unwrap_or(Peer::Anonymous);
        let slot = Arc::clone(&self.shared.slots).try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(format!(
                "{} xDS streams are open, no more are taken",
                self.shared.limits.streams
            ))
        })?;
        let (responses, receiver) = mpsc::channel(stream::RESPONSES);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(stream::run(shared, slot, peer, variant, request.into_inner(), responses));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

#[tonic::async_trait]
impl AggregatedDiscoveryService for AdsServer {
    type StreamAggregatedResourcesStream = ResponseStream<pb::DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = ResponseStream<pb::DeltaDiscoveryResponse>;

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<pb::DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        self.start(Variant::StateOfTheWorld, request)
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<pb::DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        self.start(Variant::Delta, request)
    }
}

#[cfg(test)]
mod tests;
