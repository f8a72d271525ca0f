//! Istio's kinds.

mod common;
mod destination_rule;
mod extensions;
mod gateway;
mod security;
mod service_entry;
mod sidecar;
mod telemetry;
mod virtual_service;

use crate::shape::{Kind, Object};

const NETWORKING: &str = "networking.istio.io";
const SECURITY: &str = "security.istio.io";

const fn kind(group: &'static str, kind: &'static str, spec: &'static Object) -> Kind {
    Kind { group, kind, spec }
}

pub(crate) const KINDS: &[Kind] = &[
    kind(NETWORKING, "DestinationRule", &destination_rule::SPEC),
    kind(NETWORKING, "EnvoyFilter", &extensions::ENVOY_FILTER),
    kind(NETWORKING, "Gateway", &gateway::SPEC),
    kind(NETWORKING, "ProxyConfig", &extensions::PROXY_CONFIG),
    kind(NETWORKING, "ServiceEntry", &service_entry::SERVICE_ENTRY),
    kind(NETWORKING, "Sidecar", &sidecar::SPEC),
    kind(NETWORKING, "VirtualService", &virtual_service::SPEC),
    kind(NETWORKING, "WorkloadEntry", &service_entry::WORKLOAD_ENTRY),
    kind(NETWORKING, "WorkloadGroup", &service_entry::WORKLOAD_GROUP),
    kind(SECURITY, "AuthorizationPolicy", &security::AUTHORIZATION_POLICY),
    kind(SECURITY, "PeerAuthentication", &security::PEER_AUTHENTICATION),
    kind(SECURITY, "RequestAuthentication", &security::REQUEST_AUTHENTICATION),
    kind("telemetry.istio.io", "Telemetry", &telemetry::SPEC),
    kind("extensions.istio.io", "WasmPlugin", &extensions::WASM_PLUGIN),
];
