//! One object: its key, its metadata, what it says, and its document as it came.

use std::fmt;

use crate::config_map::ConfigMap;
use crate::destination_rule::DestinationRule;
use crate::gateway::Gateway;
use crate::gateway_api::{
    BackendTlsPolicy, BackendTrafficPolicy, ConnectionRoute, GatewayClass, GrpcRoute, HttpRoute, KubernetesGateway,
    ListenerSet, ReferenceGrant,
};
use crate::kind::Kind;
use crate::kubernetes::{Endpoints, Pod, Service};
use crate::peer_authentication::PeerAuthentication;
use crate::proxy_config::ProxyConfig;
use crate::raw::Raw;
use crate::secret::{self, Secret};
use crate::selector::Labels;
use crate::service_entry::{ServiceEntry, WorkloadEntry};
use crate::telemetry::Telemetry;
use crate::virtual_service::VirtualService;

/// What names an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub kind: Kind,
    /// Empty for kinds that live in no namespace.
    pub namespace: String,
    pub name: String,
}

/// Metadata that decisions are made by.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    pub labels: Labels,
    pub annotations: Labels,
    /// `creationTimestamp` as text, which sorts by age; empty sorts first.
    pub created: String,
    /// `metadata.generation`: which state of the object its status speaks of; 0 when it is not known.
    pub generation: u64,
}

/// An object.
#[derive(Clone, Debug)]
pub struct Object {
    pub key: Key,
    pub meta: Meta,
    pub spec: Spec,
    /// The file that it came from.
    pub file: String,
    /// The document as it came, with its namespace filled in, and without what is secret: it can be shown.
    pub raw: Raw,
}

/// What an object says, by kind. Objects are few and live long, so the difference in size costs nothing.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Spec {
    ConfigMap(ConfigMap),
    BackendTlsPolicy(BackendTlsPolicy),
    BackendTrafficPolicy(BackendTrafficPolicy),
    DestinationRule(DestinationRule),
    Endpoints(Endpoints),
    Gateway(Gateway),
    GatewayClass(GatewayClass),
    GrpcRoute(GrpcRoute),
    HttpRoute(HttpRoute),
    KubernetesGateway(KubernetesGateway),
    ListenerSet(ListenerSet),
    PeerAuthentication(PeerAuthentication),
    Pod(Pod),
    Secret(Secret),
    ProxyConfig(ProxyConfig),
    ReferenceGrant(ReferenceGrant),
    Service(Service),
    ServiceEntry(ServiceEntry),
    TcpRoute(ConnectionRoute),
    Telemetry(Telemetry),
    TlsRoute(ConnectionRoute),
    UdpRoute(ConnectionRoute),
    VirtualService(VirtualService),
    WorkloadEntry(WorkloadEntry),
    /// Read and kept, and of no effect of its own on proxies: Deployment, Namespace, ServiceAccount, and what
    /// [`Kind::not_acted_on`] names.
    Inert,
}

impl Object {
    pub fn key(&self) -> Key {
        self.key.clone()
    }

    /// The document in YAML, whole: what is secret is in it, so it is for files that are kept safe, and never shown.
    pub fn to_yaml(&self) -> String {
        let mut whole = self.raw.to_value();
        if let Spec::Secret(secret) = &self.spec {
            whole = secret::with_data(&whole, secret);
        }
        // JSON is YAML too, and a value that came from YAML can always be written as one or the other.
        serde_saphyr::to_string(&whole).unwrap_or_else(|_| whole.to_string())
    }

    /// What a Secret keeps, which its document does not show.
    fn secret(&self) -> Option<&Secret> {
        match &self.spec {
            Spec::Secret(secret) => Some(secret),
            _ => None,
        }
    }
}

/// Equal when they say the same, wherever they came from.
impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.raw == other.raw && self.secret() == other.secret()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}
