//! Kinds of objects and the API versions under which they come.

use std::fmt;

/// Declares the kinds: variant, name, API versions.
macro_rules! kinds {
    ($($(#[$about:meta])* $variant:ident $name:literal: $versions:expr;)*) => {
        /// A kind that the mesh reads.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$about])* $variant,)*
        }

        impl Kind {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name, which no other kind has: that of its documents, with the group where two kinds share it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// API versions in which it comes, the preferred one first.
            pub fn versions(self) -> &'static [&'static str] {
                match self {
                    $(Self::$variant => $versions,)*
                }
            }
        }
    };
}

const APPS: &[&str] = &["apps/v1"];
const CORE: &[&str] = &["v1"];
const NETWORKING: &[&str] = &["networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"];
const SECURITY: &[&str] = &["security.istio.io/v1", "security.istio.io/v1beta1"];

#[rustfmt::skip]
kinds! {
    AuthorizationPolicy "AuthorizationPolicy": SECURITY;
    BackendTlsPolicy "BackendTLSPolicy": &["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1alpha3"];
    BackendTrafficPolicy "XBackendTrafficPolicy": &["gateway.networking.x-k8s.io/v1alpha1"];
    ConfigMap "ConfigMap": CORE;
    DaemonSet "DaemonSet": APPS;
    Deployment "Deployment": APPS;
    DestinationRule "DestinationRule": NETWORKING;
    EndpointSlice "EndpointSlice": &["discovery.k8s.io/v1"];
    Endpoints "Endpoints": CORE;
    EnvoyFilter "EnvoyFilter": &["networking.istio.io/v1alpha3"];
    /// Istio's.
    Gateway "Gateway": NETWORKING;
    GatewayClass "GatewayClass": &["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"];
    GrpcRoute "GRPCRoute": &["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1alpha2"];
    HttpRoute "HTTPRoute": &["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"];
    InferencePool "InferencePool": &["inference.networking.k8s.io/v1"];
    IstioOperator "IstioOperator": &["install.istio.io/v1alpha1"];
    Job "Job": &["batch/v1"];
    /// Gateway API's Gateway.
    KubernetesGateway "Gateway.gateway.networking.k8s.io": &["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"];
    ListenerSet "ListenerSet": &["gateway.networking.k8s.io/v1"];
    MeshInstall "MeshInstall": &["orrery.dev/v1"];
    Namespace "Namespace": CORE;
    PeerAuthentication "PeerAuthentication": SECURITY;
    Pod "Pod": CORE;
    ProxyConfig "ProxyConfig": &["networking.istio.io/v1beta1"];
    ReferenceGrant "ReferenceGrant": &["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1", "gateway.networking.k8s.io/v1alpha2"];
    ReplicaSet "ReplicaSet": APPS;
    RequestAuthentication "RequestAuthentication": SECURITY;
    Secret "Secret": CORE;
    Service "Service": CORE;
    ServiceAccount "ServiceAccount": CORE;
    ServiceEntry "ServiceEntry": NETWORKING;
    Sidecar "Sidecar": NETWORKING;
    StatefulSet "StatefulSet": APPS;
    TcpRoute "TCPRoute": &["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1alpha2"];
    Telemetry "Telemetry": &["telemetry.istio.io/v1", "telemetry.istio.io/v1alpha1"];
    TlsRoute "TLSRoute": &["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1alpha3", "gateway.networking.k8s.io/v1alpha2"];
    UdpRoute "UDPRoute": &["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1alpha2"];
    VirtualService "VirtualService": NETWORKING;
    WasmPlugin "WasmPlugin": &["extensions.istio.io/v1alpha1"];
    WorkloadEntry "WorkloadEntry": NETWORKING;
    WorkloadGroup "WorkloadGroup": NETWORKING;
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

impl Kind {
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
            Self::InferencePool => Some("the mesh's proxies ask no endpoint picker"),
            Self::BackendTlsPolicy
            | Self::BackendTrafficPolicy
            | Self::ConfigMap
            | Self::DaemonSet
            | Self::Deployment
            | Self::DestinationRule
            | Self::EndpointSlice
            | Self::Endpoints
            | Self::Gateway
            | Self::GatewayClass
            | Self::GrpcRoute
            | Self::HttpRoute
            | Self::Job
            | Self::KubernetesGateway
            | Self::ListenerSet
            | Self::Namespace
            | Self::PeerAuthentication
            | Self::Pod
            | Self::ProxyConfig
            | Self::ReferenceGrant
            | Self::ReplicaSet
            | Self::Secret
            | Self::Service
            | Self::ServiceAccount
            | Self::ServiceEntry
            | Self::Sidecar
            | Self::StatefulSet
            | Self::TcpRoute
            | Self::Telemetry
            | Self::TlsRoute
            | Self::UdpRoute
            | Self::VirtualService
            | Self::WorkloadEntry
            | Self::WorkloadGroup => None,
        }
    }

    /// Whether objects of the kind live in no namespace.
    pub fn is_cluster_wide(self) -> bool {
        matches!(self, Self::GatewayClass | Self::Namespace)
    }

    /// The `kind` of its documents.
    pub fn in_documents(self) -> &'static str {
        match self.as_str().split_once('.') {
            Some((kind, _)) => kind,
            None => self.as_str(),
        }
    }

    /// The group of its API; empty for Kubernetes' own.
    pub fn group(self) -> &'static str {
        let preferred = self.versions().first().copied().unwrap_or_default();
        preferred.split_once('/').map_or("", |(group, _)| group)
    }

    /// The kinds that a person means by a word, in any case: `gateway` alone means two, `gateway.networking.istio.io`
    /// and `gateway.gateway.networking.k8s.io` one of them.
    pub fn named(word: &str) -> Vec<Self> {
        let (kind, group) = word.split_once('.').map_or((word, None), |(kind, group)| (kind, Some(group)));
        let meant = |known: &Self| {
            known.in_documents().eq_ignore_ascii_case(kind)
                && group.is_none_or(|group| known.group().eq_ignore_ascii_case(group))
        };
        Self::ALL.iter().copied().filter(meant).collect()
    }

    /// The kind of a document; where two share a name, the API group decides.
    ///
    /// # Errors
    /// When it is not known, not supported, or comes in a version that does not have it.
    pub fn find(api_version: &str, kind: &str) -> Result<Self, KindError> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let named: Vec<Self> = Self::ALL.iter().copied().filter(|known| known.in_documents() == kind).collect();
        let Some(found) = named.iter().find(|known| known.group() == group).or(named.first()).copied() else {
            let known: Vec<&str> = Self::ALL.iter().map(|known| known.in_documents()).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_tells_gateways_apart() {
        assert_eq!(Kind::find("networking.istio.io/v1", "Gateway"), Ok(Kind::Gateway));
        assert_eq!(Kind::find("gateway.networking.k8s.io/v1beta1", "Gateway"), Ok(Kind::KubernetesGateway));
        assert_eq!(
            Kind::find("gateway.networking.k8s.io/v7", "Gateway"),
            Err(KindError::Version { known: Kind::KubernetesGateway.versions() })
        );
        for (word, meant) in [
            ("gateway", vec![Kind::Gateway, Kind::KubernetesGateway]),
            ("Gateway.networking.istio.io", vec![Kind::Gateway]),
            ("gateway.gateway.networking.k8s.io", vec![Kind::KubernetesGateway]),
            ("HTTPROUTE", vec![Kind::HttpRoute]),
            ("gateway.example.com", Vec::new()),
        ] {
            assert_eq!(Kind::named(word), meant, "{word}");
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Kind::ALL.len());
    }
}
