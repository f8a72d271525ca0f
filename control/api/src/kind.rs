//! Kinds of objects and the API versions under which they come.

use std::fmt;

/// A kind that the mesh reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    ConfigMap,
    Deployment,
    DestinationRule,
    EndpointSlice,
    Endpoints,
    Gateway,
    Namespace,
    PeerAuthentication,
    Pod,
    Secret,
    Service,
    ServiceAccount,
    ServiceEntry,
    VirtualService,
    WorkloadEntry,
}

/// Why a document's kind is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KindError {
    /// Nobody knows it; the nearest known kind, if there is one.
    Unknown { near: Option<&'static str> },
    /// Istio or Kubernetes has it, and this version does not act on it.
    NotSupported,
    /// The kind exists, but not in this API version.
    Version { known: &'static [&'static str] },
}

/// Kinds of Istio, Gateway API and installation that are not acted on yet.
const NOT_SUPPORTED: [&str; 20] = [
    "AuthorizationPolicy",
    "BackendTLSPolicy",
    "EnvoyFilter",
    "GRPCRoute",
    "GatewayClass",
    "HTTPRoute",
    "IstioOperator",
    "ListenerSet",
    "MeshInstall",
    "ProxyConfig",
    "ReferenceGrant",
    "RequestAuthentication",
    "Sidecar",
    "StatefulSet",
    "TCPRoute",
    "TLSRoute",
    "Telemetry",
    "UDPRoute",
    "WasmPlugin",
    "WorkloadGroup",
];

const NETWORKING: &[&str] = &["networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"];

impl Kind {
    pub const ALL: [Self; 15] = [
        Self::ConfigMap,
        Self::Deployment,
        Self::DestinationRule,
        Self::EndpointSlice,
        Self::Endpoints,
        Self::Gateway,
        Self::Namespace,
        Self::PeerAuthentication,
        Self::Pod,
        Self::Secret,
        Self::Service,
        Self::ServiceAccount,
        Self::ServiceEntry,
        Self::VirtualService,
        Self::WorkloadEntry,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Deployment => "Deployment",
            Self::DestinationRule => "DestinationRule",
            Self::EndpointSlice => "EndpointSlice",
            Self::Endpoints => "Endpoints",
            Self::Gateway => "Gateway",
            Self::Namespace => "Namespace",
            Self::PeerAuthentication => "PeerAuthentication",
            Self::Pod => "Pod",
            Self::Secret => "Secret",
            Self::Service => "Service",
            Self::ServiceAccount => "ServiceAccount",
            Self::ServiceEntry => "ServiceEntry",
            Self::VirtualService => "VirtualService",
            Self::WorkloadEntry => "WorkloadEntry",
        }
    }

    /// API versions in which it comes, the preferred one first.
    pub fn versions(self) -> &'static [&'static str] {
        match self {
            Self::Deployment => &["apps/v1"],
            Self::DestinationRule | Self::Gateway | Self::ServiceEntry | Self::VirtualService | Self::WorkloadEntry => {
                NETWORKING
            }
            Self::EndpointSlice => &["discovery.k8s.io/v1"],
            Self::ConfigMap
            | Self::Endpoints
            | Self::Namespace
            | Self::Pod
            | Self::Secret
            | Self::Service
            | Self::ServiceAccount => &["v1"],
            Self::PeerAuthentication => &["security.istio.io/v1", "security.istio.io/v1beta1"],
        }
    }

    /// Whether objects of the kind live in no namespace.
    pub fn is_cluster_wide(self) -> bool {
        self == Self::Namespace
    }

    /// The kind of a document.
    ///
    /// # Errors
    /// When it is not known, not supported, or comes in a version that does not have it.
    pub fn find(api_version: &str, kind: &str) -> Result<Self, KindError> {
        if kind == "Gateway" && api_version.starts_with("gateway.networking.k8s.io/") {
            return Err(KindError::NotSupported);
        }
        let Some(found) = Self::ALL.into_iter().find(|known| known.as_str() == kind) else {
            if NOT_SUPPORTED.contains(&kind) {
                return Err(KindError::NotSupported);
            }
            let known: Vec<&str> = Self::ALL.iter().map(|known| known.as_str()).collect();
            return Err(KindError::Unknown { near: crate::reader::nearest(kind, &known) });
        };
        if found.versions().contains(&api_version) {
            Ok(found)
        } else {
            Err(KindError::Version { known: found.versions() })
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
