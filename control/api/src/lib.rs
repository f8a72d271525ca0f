//! Configuration objects, typed and checked: the kinds of Istio and of Gateway API, and the Kubernetes kinds that the mesh reads.
//!
//! A document is read strictly: what is not known, has the wrong type, or is not supported yet is refused with its file,
//! line and field, and all of a file's mistakes are told at once. The crate knows single objects; whether what they
//! refer to exists is for `orrery-compile`.

mod config_map;
mod credential;
mod destination_rule;
mod document;
mod duration;
mod gateway;
pub mod gateway_api;
mod header;
mod kind;
mod kubernetes;
mod limits;
mod object;
mod parse;
mod peer_authentication;
mod problem;
mod proxy_config;
mod reader;
mod secret;
mod selector;
mod service_entry;
mod sidecar;
mod telemetry;
mod virtual_service;
mod visibility;
mod workload_group;
mod yaml;

pub use config_map::ConfigMap;
pub use credential::{CredentialError, KeyPair, Roots};
pub use destination_rule::{
    ClientTls, ClientTlsMode, ConnectionPool, DestinationRule, LoadBalancer, OutlierDetection, PortPolicy, Subset,
    TrafficPolicy,
};
pub use document::{Document, NoYaml, documents};
pub use gateway::{
    Gateway, GatewayOrigin, GatewayWorkloads, Server, ServerHost, ServerProtocol, ServerTls, ServerTlsMode, TlsVersion,
};
pub use kind::{Kind, KindError};
pub use kubernetes::{Endpoint, Endpoints, Pod, Service, ServicePort, TargetPort};
pub use object::{Key, Meta, Object, Spec};
pub use parse::{Parsed, parse, parse_each};
pub use peer_authentication::{MtlsMode, PeerAuthentication};
pub use problem::{Located, Place, Problem};
pub use proxy_config::ProxyConfig;
pub use secret::{Hidden, Secret};
pub use selector::Labels;
pub use service_entry::{EntryPort, Resolution, ServiceEntry, ServiceLocation, WorkloadEntry};
pub use sidecar::{
    CaptureMode, EgressListener, HostImport, ImportNamespace, IngressListener, LocalEndpoint, OutboundPolicy, Sidecar,
    SidecarPort,
};
pub use telemetry::{
    AccessLogging, Comparison, Condition, CustomTag, Metric, MetricMatch, MetricOverride, Metrics, Pattern, Subject,
    TagOverride, TagValue, TargetRef, Telemetry, TracingRule, WorkloadMode,
};
pub use virtual_service::{
    Abort, CorsPolicy, Delegate, Destination, Fault, FixedDelay, HeaderOperations, HttpMatch, HttpRoute, L4Match,
    Mirror, Redirect, RedirectPort, Retries, Rewrite, RouteSemantics, StringMatch, TcpRoute, TlsMatch, TlsRoute,
    VirtualService, WeightedDestination,
};
pub use visibility::ExportTo;
pub use workload_group::WorkloadGroup;
