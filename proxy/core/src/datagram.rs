//! Listeners for datagrams: each client's go to one endpoint, as long as it sends any.

use std::net::SocketAddr;
use std::time::Duration;

use crate::names::{ClusterName, ListenerName};

/// One UDP listener with the UDP proxy (Envoy `UdpProxyConfig`).
#[derive(Clone, Debug)]
pub struct DatagramListener {
    pub name: ListenerName,
    pub address: SocketAddr,
    pub cluster: ClusterName,
    /// A session without datagrams in either direction for so long is over.
    pub idle_timeout: Duration,
}
