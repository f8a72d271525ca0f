//! Kinds of objects and the API versions under which they come.

use std::fmt;

/// A kind that the mesh reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    AuthorizationPolicy,
    ConfigMap,
    DaemonSet,
    Deployment,
    DestinationRule,
    EndpointSlice,
    Endpoints,
    EnvoyFilter,
    Gateway,
    IstioOperator,
    Job,
    MeshInstall,
    Namespace,
    PeerAuthentication,
    Pod,
    ProxyConfig,
    ReplicaSet,
    RequestAuthentication,
    Secret,
    Service,
    ServiceAccount,
    ServiceEntry,
    StatefulSet,
    Telemetry,
    VirtualService,
    WasmPlugin,
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
const NOT_SUPPORTED: [&str; 11] = [
    "BackendTLSPolicy",
    "GRPCRoute",
    "GatewayClass",
    "HTTPRoute",
    "ListenerSet",
    "ReferenceGrant",
    "Sidecar",
    "TCPRoute",
    "TLSRoute",
    "UDPRoute",
    "WorkloadGroup",
];

const NETWORKING: &[&str] = &["networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"];

impl Kind {
    pub const ALL: [Self; 27] = [
        Self::AuthorizationPolicy,
        Self::ConfigMap,
        Self::DaemonSet,
        Self::Deployment,
        Self::DestinationRule,
        Self::EndpointSlice,
        Self::Endpoints,
        Self::EnvoyFilter,
        Self::Gateway,
        Self::IstioOperator,
        Self::Job,
        Self::MeshInstall,
        Self::Namespace,
        Self::PeerAuthentication,
        Self::Pod,
        Self::ProxyConfig,
        Self::ReplicaSet,
        Self::RequestAuthentication,
        Self::Secret,
        Self::Service,
        Self::ServiceAccount,
        Self::ServiceEntry,
        Self::StatefulSet,
        Self::Telemetry,
        Self::VirtualService,
        Self::WasmPlugin,
        Self::WorkloadEntry,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationPolicy => "AuthorizationPolicy",
            Self::ConfigMap => "ConfigMap",
            Self::DaemonSet => "DaemonSet",
            Self::Deployment => "Deployment",
            Self::DestinationRule => "DestinationRule",
            Self::EndpointSlice => "EndpointSlice",
            Self::Endpoints => "Endpoints",
            Self::EnvoyFilter => "EnvoyFilter",
            Self::Gateway => "Gateway",
            Self::IstioOperator => "IstioOperator",
            Self::Job => "Job",
            Self::MeshInstall => "MeshInstall",
            Self::Namespace => "Namespace",
            Self::PeerAuthentication => "PeerAuthentication",
            Self::Pod => "Pod",
            Self::ProxyConfig => "ProxyConfig",
            Self::ReplicaSet => "ReplicaSet",
            Self::RequestAuthentication => "RequestAuthentication",
            Self::Secret => "Secret",
            Self::Service => "Service",
            Self::ServiceAccount => "ServiceAccount",
            Self::ServiceEntry => "ServiceEntry",
            Self::StatefulSet => "StatefulSet",
            Self::Telemetry => "Telemetry",
            Self::VirtualService => "VirtualService",
            Self::WasmPlugin => "WasmPlugin",
            Self::WorkloadEntry => "WorkloadEntry",
        }
    }

    /// API versions in which it comes, the preferred one first.
    pub fn versions(self) -> &'static [&'static str] {
        match self {
            Self::DaemonSet | Self::Deployment | Self::ReplicaSet | Self::StatefulSet => &["apps/v1"],
            Self::EnvoyFilter => &["networking.istio.io/v1alpha3"],
            Self::IstioOperator => &["install.istio.io/v1alpha1"],
            Self::Job => &["batch/v1"],
            Self::MeshInstall => &["orrery.dev/v1"],
            Self::ProxyConfig => &["networking.istio.io/v1beta1"],
            Self::Telemetry => &["telemetry.istio.io/v1", "telemetry.istio.io/v1alpha1"],
            Self::WasmPlugin => &["extensions.istio.io/v1alpha1"],
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
            Self::AuthorizationPolicy | Self::PeerAuthentication | Self::RequestAuthentication => {
                &["security.istio.io/v1", "security.istio.io/v1beta1"]
            }
        }
    }

    /// Why objects of the kind are kept without any effect, where a person would expect one: the one place that decides
    /// it. They are taken and reported, so that what stands beside them takes effect.
    pub fn not_acted_on(self) -> Option<&'static str> {
        match self {
            Self::AuthorizationPolicy => {
                Some("requests that it would deny are let through: authorization is not enforced yet")
            }
            Self::RequestAuthentication => Some("tokens are not checked yet: requests pass with or without them"),
            Self::EnvoyFilter => Some("patches of Envoy's own configuration have no meaning for the mesh's proxies"),
            Self::WasmPlugin => Some("the mesh's proxies run no WebAssembly"),
            Self::IstioOperator | Self::MeshInstall => {
                Some("it describes an installation; a running mesh is not changed by it")
            }
            Self::ConfigMap
            | Self::DaemonSet
            | Self::Deployment
            | Self::DestinationRule
            | Self::EndpointSlice
            | Self::Endpoints
            | Self::Gateway
            | Self::Job
            | Self::Namespace
            | Self::PeerAuthentication
            | Self::Pod
            | Self::ProxyConfig
            | Self::ReplicaSet
            | Self::Secret
            | Self::Service
            | Self::ServiceAccount
            | Self::ServiceEntry
            | Self::StatefulSet
            | Self::Telemetry
            | Self::VirtualService
            | Self::WorkloadEntry => None,
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
