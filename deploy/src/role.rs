//! The roles: flags become typed configuration, and the role runs until the process should end.

pub mod control;
pub mod hop;
pub mod proxy;
pub mod telemetry;

use std::net::SocketAddr;

/// Says every address that a role has bound.
fn announce(role: &str, addresses: &[(&'static str, SocketAddr)]) {
    for (name, address) in addresses {
        tracing::info!("{role}: {name} listens on {address}");
    }
}
