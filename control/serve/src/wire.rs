//! Between Envoy's discovery messages and the session's plain types.

use envoy_types::pb::envoy::config::core::v3::{ControlPlane, Node};
use envoy_types::pb::envoy::service::discovery::v3 as pb;
use orrery_resource::ResourceType;

use crate::session::{DeltaUpdate, Push, Reply, Session, TooManyNames, WorldUpdate};

/// Sent as the identifier of the control plane.
const IDENTIFIER: &str = concat!("orrery/", env!("CARGO_PKG_VERSION"));

/// A request of either protocol.
pub(crate) trait Request: Send + 'static {
    /// The response of the same protocol.
    type Response: Send + 'static;

    fn node(&mut self) -> Option<Node>;
    fn type_url(&self) -> &str;
    fn apply(self, kind: ResourceType, session: &mut Session) -> Result<Reply, TooManyNames>;
    fn response(push: Push) -> Self::Response;
}

impl Request for pb::DeltaDiscoveryRequest {
    type Response = pb::DeltaDiscoveryResponse;

    fn node(&mut self) -> Option<Node> {
        self.node.take()
    }

    fn type_url(&self) -> &str {
        &self.type_url
    }

    fn apply(self, kind: ResourceType, session: &mut Session) -> Result<Reply, TooManyNames> {
        let update = DeltaUpdate {
            subscribe: self.resource_names_subscribe,
            unsubscribe: self.resource_names_unsubscribe,
            initial_versions: self.initial_resource_versions,
            nonce: self.response_nonce,
            error: self.error_detail.map(|status| status.message),
        };
        session.delta(kind, update)
    }

    fn response(push: Push) -> Self::Response {
        let resources = push
            .resources
            .into_iter()
            .map(|(name, resource)| pb::Resource {
                name: name.to_string(),
                version: resource.version.to_string(),
                resource: Some(resource.body.clone()),
                ..pb::Resource::default()
            })
            .collect();
        Self::Response {
            system_version_info: push.revision.to_string(),
            resources,
            type_url: push.kind.type_url().to_owned(),
            removed_resources: push.removed.iter().map(ToString::to_string).collect(),
            nonce: push.nonce,
            control_plane: Some(control_plane()),
            ..Self::Response::default()
        }
    }
}

impl Request for pb::DiscoveryRequest {
    type Response = pb::DiscoveryResponse;

    fn node(&mut self) -> Option<Node> {
        self.node.take()
    }

    fn type_url(&self) -> &str {
        &self.type_url
    }

    fn apply(self, kind: ResourceType, session: &mut Session) -> Result<Reply, TooManyNames> {
        let update = WorldUpdate {
            names: self.resource_names,
            nonce: self.response_nonce,
            error: self.error_detail.map(|status| status.message),
        };
        session.world(kind, update)
    }

    fn response(push: Push) -> Self::Response {
        Self::Response {
            version_info: push.revision.to_string(),
            resources: push.resources.into_iter().map(|(_, resource)| resource.body.clone()).collect(),
            type_url: push.kind.type_url().to_owned(),
            nonce: push.nonce,
            control_plane: Some(control_plane()),
            ..Self::Response::default()
        }
    }
}

fn control_plane() -> ControlPlane {
    ControlPlane { identifier: IDENTIFIER.to_owned() }
}
