//! The whole configuration at one moment: immutable, shared, replaced as one.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::cluster::Cluster;
use crate::datagram::DatagramListener;
use crate::listener::{HttpConnectionManager, Listener, RouteSource};
use crate::names::{ClusterName, ListenerName, RouteConfigName, SecretName};
use crate::route::RouteTable;
use crate::secret::Secret;

/// Every resource that the proxy works with. A request takes one and keeps it until it ends.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Grows with each publication; tells a worker that its derived state is old.
    pub generation: u64,
    pub listeners: HashMap<ListenerName, Arc<Listener>>,
    pub datagram_listeners: HashMap<ListenerName, Arc<DatagramListener>>,
    pub routes: HashMap<RouteConfigName, Arc<RouteTable>>,
    pub clusters: HashMap<ClusterName, Arc<Cluster>>,
    pub secrets: HashMap<SecretName, Arc<Secret>>,
}

/// A snapshot's listeners by the addresses that they serve.
#[derive(Clone, Debug, Default)]
pub struct ListenersByAddress(HashMap<SocketAddr, Arc<Listener>>);

impl ListenersByAddress {
    pub fn of(snapshot: &Snapshot) -> Self {
        Self(snapshot.listeners.values().map(|listener| (listener.address, listener.clone())).collect())
    }

    /// The listener for a destination: of that address, else of any address with that port.
    pub fn find(&self, destination: SocketAddr) -> Option<&Arc<Listener>> {
        let any = match destination {
            SocketAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], destination.port())),
            SocketAddr::V6(_) => SocketAddr::from(([0; 16], destination.port())),
        };
        self.0.get(&destination).or_else(|| self.0.get(&any))
    }
}

impl Snapshot {
    /// The routes of a connection manager; `None` while its route configuration has not arrived.
    pub fn routes_of<'a>(&'a self, manager: &'a HttpConnectionManager) -> Option<&'a Arc<RouteTable>> {
        match &manager.routes {
            RouteSource::Inline(table) => Some(table),
            RouteSource::Rds(name) => self.routes.get(name),
        }
    }
}
