//! The roles: flags become typed configuration, and the role runs until the process should end.

pub(crate) mod control;
pub(crate) mod hop;
pub(crate) mod proxy;
pub(crate) mod telemetry;

use std::net::SocketAddr;

/// Says every address that a role has bound.
fn announce(role: &str, addresses: &[(&'static str, SocketAddr)]) {
    for (name, address) in addresses {
        tracing::info!("{role}: {name} listens on {address}");
    }
}
