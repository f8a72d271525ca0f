//! The whole configuration at one moment: immutable, shared, replaced as one.

use std::collections::HashMap;
use std::sync::Arc;

use crate::cluster::Cluster;
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
    pub routes: HashMap<RouteConfigName, Arc<RouteTable>>,
    pub clusters: HashMap<ClusterName, Arc<Cluster>>,
    pub secrets: HashMap<SecretName, Arc<Secret>>,
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
