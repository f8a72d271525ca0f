//! Everything received and accepted, what it refers to, and the snapshot made of it. No I/O, no clock.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3::Cluster as ClusterMessage;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::Listener as ListenerMessage;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret as SecretMessage;
use envoy_types::pb::google::protobuf::Any;
use orrery_core::cluster::{Cluster, Discovery, Endpoints, Transport};
use orrery_core::datagram::DatagramListener;
use orrery_core::listener::{ClientCertificate, Listener, NetworkFilter, RouteSource};
use orrery_core::route::RouteTable;
use orrery_core::secret::Secret;
use orrery_core::snapshot::Snapshot;
use prost::Name;

use crate::decode::{self, Refused, unpack};

/// Kinds of resources, in the order in which they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Cluster,
    Endpoints,
    Listener,
    Routes,
    Secret,
}

/// What was accepted, by kind and name.
#[derive(Debug, Default)]
pub(crate) struct Store {
    clusters: HashMap<String, Versioned<Cluster>>,
    endpoints: HashMap<String, Versioned<Endpoints>>,
    listeners: HashMap<String, Versioned<Listener>>,
    /// Listeners for UDP.
    datagrams: HashMap<String, Versioned<DatagramListener>>,
    routes: HashMap<String, Versioned<RouteTable>>,
    secrets: HashMap<String, Versioned<Secret>>,
    generation: u64,
}

#[derive(Debug)]
struct Versioned<T> {
    version: String,
    value: Arc<T>,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Cluster, Self::Endpoints, Self::Listener, Self::Routes, Self::Secret];

    pub(crate) fn type_url(self) -> String {
        match self {
            Self::Cluster => ClusterMessage::type_url(),
            Self::Endpoints => ClusterLoadAssignment::type_url(),
            Self::Listener => ListenerMessage::type_url(),
            Self::Routes => RouteConfiguration::type_url(),
            Self::Secret => SecretMessage::type_url(),
        }
    }

    pub(crate) fn of_type_url(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_url() == url)
    }

    /// Short name, as discovery services are called.
    pub(crate) fn service(self) -> &'static str {
        match self {
            Self::Cluster => "CDS",
            Self::Endpoints => "EDS",
            Self::Listener => "LDS",
            Self::Routes => "RDS",
            Self::Secret => "SDS",
        }
    }

    /// All resources are wanted, not named ones.
    pub(crate) fn is_wildcard(self) -> bool {
        match self {
            Self::Cluster | Self::Listener => true,
            Self::Endpoints | Self::Routes | Self::Secret => false,
        }
    }
}

impl Store {
    /// Takes a resource in, or says why not; what was there before then stays.
    pub(crate) fn insert(&mut self, kind: Kind, name: &str, version: String, any: &Any) -> Result<(), Refused> {
        fn put<T>(map: &mut HashMap<String, Versioned<T>>, name: &str, version: String, value: T) {
            map.insert(name.to_owned(), Versioned { version, value: Arc::new(value) });
        }
        match kind {
            Kind::Cluster => put(&mut self.clusters, name, version, unpack(any).and_then(decode::cluster::cluster)?),
            Kind::Endpoints => {
                put(&mut self.endpoints, name, version, unpack(any).and_then(decode::endpoint::assignment)?.1)
            }
            Kind::Listener => {
                let listener: ListenerMessage = unpack(any)?;
                if decode::datagram::is_datagram(&listener) {
                    put(&mut self.datagrams, name, version, decode::datagram::listener(listener)?);
                    self.listeners.remove(name);
                } else {
                    put(&mut self.listeners, name, version, decode::listener::listener(listener)?);
                    self.datagrams.remove(name);
                }
            }
            Kind::Routes => put(&mut self.routes, name, version, unpack(any).and_then(decode::route::table)?),
            Kind::Secret => put(&mut self.secrets, name, version, unpack(any).and_then(decode::secret::secret)?),
        }
        Ok(())
    }

    pub(crate) fn remove(&mut self, kind: Kind, name: &str) {
        match kind {
            Kind::Cluster => drop(self.clusters.remove(name)),
            Kind::Endpoints => drop(self.endpoints.remove(name)),
            Kind::Listener => {
                self.listeners.remove(name);
                self.datagrams.remove(name);
            }
            Kind::Routes => drop(self.routes.remove(name)),
            Kind::Secret => drop(self.secrets.remove(name)),
        }
    }

    /// Names and versions of what is held, for a new stream.
    pub(crate) fn versions(&self, kind: Kind) -> HashMap<String, String> {
        fn all<T>(map: &HashMap<String, Versioned<T>>) -> HashMap<String, String> {
            map.iter().map(|(name, held)| (name.clone(), held.version.clone())).collect()
        }
        match kind {
            Kind::Cluster => all(&self.clusters),
            Kind::Endpoints => all(&self.endpoints),
            Kind::Listener => all(&self.listeners).into_iter().chain(all(&self.datagrams)).collect(),
            Kind::Routes => all(&self.routes),
            Kind::Secret => all(&self.secrets),
        }
    }

    /// Whether a resource of this name is held.
    pub(crate) fn holds(&self, kind: Kind, name: &str) -> bool {
        match kind {
            Kind::Cluster => self.clusters.contains_key(name),
            Kind::Endpoints => self.endpoints.contains_key(name),
            Kind::Listener => self.listeners.contains_key(name) || self.datagrams.contains_key(name),
            Kind::Routes => self.routes.contains_key(name),
            Kind::Secret => self.secrets.contains_key(name),
        }
    }

    /// Names of this kind that the held clusters and listeners refer to. `local` secrets are not fetched.
    pub(crate) fn wanted(&self, kind: Kind, local: &BTreeSet<String>) -> BTreeSet<String> {
        match kind {
            Kind::Cluster | Kind::Listener => BTreeSet::new(),
            Kind::Endpoints => {
                self.clusters.values().filter_map(|held| eds_name(&held.value)).map(str::to_owned).collect()
            }
            Kind::Routes => self.listeners.values().flat_map(|held| rds_names(&held.value)).collect(),
            Kind::Secret => {
                let clusters = self.clusters.values().flat_map(|held| cluster_secrets(&held.value));
                let listeners = self.listeners.values().flat_map(|held| listener_secrets(&held.value));
                clusters.chain(listeners).filter(|name| !local.contains(name)).collect()
            }
        }
    }

    /// Drops resources of this kind that nothing refers to any more.
    pub(crate) fn forget_unwanted(&mut self, kind: Kind, wanted: &BTreeSet<String>) {
        match kind {
            Kind::Cluster | Kind::Listener => {}
            Kind::Endpoints => self.endpoints.retain(|name, _| wanted.contains(name)),
            Kind::Routes => self.routes.retain(|name, _| wanted.contains(name)),
            Kind::Secret => self.secrets.retain(|name, _| wanted.contains(name)),
        }
    }

    /// The whole of it, linked: clusters with their endpoints, and the local secrets added.
    pub(crate) fn snapshot(&mut self, local: &[Secret]) -> Snapshot {
        self.generation += 1;
        let clusters = self.clusters.values().map(|held| (held.value.name.clone(), self.joined(&held.value)));
        let listeners = self.listeners.values().map(|held| (held.value.name.clone(), held.value.clone()));
        let datagrams = self.datagrams.values().map(|held| (held.value.name.clone(), held.value.clone()));
        let routes = self.routes.values().map(|held| (held.value.name.clone(), held.value.clone()));
        let fetched = self.secrets.values().map(|held| held.value.clone());
        let local = local.iter().map(|secret| Arc::new(secret.clone()));
        Snapshot {
            generation: self.generation,
            listeners: listeners.collect(),
            datagram_listeners: datagrams.collect(),
            routes: routes.collect(),
            clusters: clusters.collect(),
            secrets: fetched.chain(local).map(|secret| (secret.name.clone(), secret)).collect(),
        }
    }

    fn joined(&self, cluster: &Arc<Cluster>) -> Arc<Cluster> {
        match eds_name(cluster).and_then(|name| self.endpoints.get(name)) {
            Some(held) => Arc::new(Cluster { endpoints: held.value.clone(), ..Cluster::clone(cluster) }),
            None => cluster.clone(),
        }
    }
}

fn eds_name(cluster: &Cluster) -> Option<&str> {
    match &cluster.discovery {
        Discovery::Eds(name) => Some(name),
        Discovery::Static | Discovery::StrictDns | Discovery::LogicalDns | Discovery::OriginalDst => None,
    }
}

fn chains(listener: &Listener) -> impl Iterator<Item = &Arc<orrery_core::listener::FilterChain>> {
    listener.filter_chains.iter().chain(&listener.default_filter_chain)
}

fn rds_names(listener: &Listener) -> Vec<String> {
    let names = chains(listener).filter_map(|chain| match &chain.filter {
        NetworkFilter::Http(manager) => match &manager.routes {
            RouteSource::Rds(name) => Some(name.to_string()),
            RouteSource::Inline(_) => None,
        },
        NetworkFilter::Tcp(_) => None,
    });
    names.collect()
}

fn cluster_secrets(cluster: &Cluster) -> Vec<String> {
    let mut names = Vec::new();
    for entry in &cluster.transports {
        if let Transport::Tls(tls) = &entry.transport {
            names.extend(tls.certificate.iter().chain(&tls.roots).map(ToString::to_string));
        }
    }
    names
}

fn listener_secrets(listener: &Listener) -> Vec<String> {
    let mut names = Vec::new();
    for tls in chains(listener).filter_map(|chain| chain.tls.as_ref()) {
        names.extend(tls.certificates.iter().map(ToString::to_string));
        match &tls.client {
            ClientCertificate::NotAsked | ClientCertificate::Untrusted => {}
            ClientCertificate::Optional(trust) | ClientCertificate::Required(trust) => {
                names.push(trust.roots.to_string());
            }
        }
    }
    names
}
