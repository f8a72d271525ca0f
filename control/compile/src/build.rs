//! Envoy's messages, built one kind a file.

pub(crate) mod cluster;
pub(crate) mod gateway;
mod http;
mod inbound;
pub(crate) mod route;
pub(crate) mod sidecar;
mod value;

pub(crate) use route::gateway_name;
