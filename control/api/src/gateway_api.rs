//! Gateway API (`gateway.networking.k8s.io`): its kinds, typed and checked as their CRDs and documentation say.
//!
//! What the objects mean together, and their status, is for `orrery-gateway`.

mod connection_route;
mod filter;
mod gateway;
mod grant;
mod grpc_route;
mod http_route;
mod listener;
mod matching;
mod name;
mod policy;
mod reference;

pub use connection_route::{ConnectionRoute, ConnectionRule};
pub use filter::{
    CorsFilter, Fraction, HeaderFilter, HttpFilter, MirrorFilter, PathModifier, RedirectFilter, RewriteFilter,
};
pub use gateway::{
    AddressType, FrontendTls, FrontendValidation, GatewayAddress, GatewayClass, GatewayTls, Infrastructure,
    KubernetesGateway, ListenerSet, ValidationMode,
};
pub use grant::{GrantFrom, GrantTo, ReferenceGrant};
pub use grpc_route::{GrpcMatch, GrpcMethod, GrpcRoute, GrpcRule};
pub use http_route::{HttpBackend, HttpRetry, HttpRoute, HttpRule, HttpTimeouts};
pub use listener::{
    AllowedRoutes, LabelSelector, Listener, ListenerTls, ListenerTlsMode, NamespacesFrom, Requirement, RouteKind,
    RouteNamespaces, SelectorOperator,
};
pub use matching::{HttpMatch, MatchType, PathMatch, ValueMatch};
pub use policy::{
    BackendTlsPolicy, BackendTrafficPolicy, PolicyTarget, RetryConstraint, SubjectAltName, WellKnownCertificates,
};
pub use reference::{BackendReference, ObjectReference, ParentReference};

pub(crate) use connection_route::{read_tcp, read_tls, read_udp};
pub(crate) use gateway::{read_class, read_gateway, read_listener_set};
pub(crate) use grant::read_grant;
pub(crate) use grpc_route::read_grpc;
pub(crate) use http_route::read_http;
pub(crate) use policy::{read_backend_tls_policy, read_backend_traffic_policy};

/// API group of most of the kinds.
pub const GROUP: &str = "gateway.networking.k8s.io";

#[cfg(test)]
mod tests;
