//! What the reconcile loop owns: the world of objects, the connected proxies, and what each was given.
//!
//! Synchronous and without I/O; the loop says when.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use envoy_types::pb::envoy::config::core::v3::Node;
use orrery_api::{Key, Kind, Object, Problem};
use orrery_compile::{
    AccessLogFormat, Compiler, Counts as Compilations, Proxy, ProxyError, ProxyId, Publication, Settings, World,
};
use orrery_serve::{ConnectionId, ResourceSet};
use serde_json::Value;

use crate::changes::Problems;
use crate::config::{AccessLog, Config};

mod view;

/// The state.
pub(crate) struct State {
    world: World,
    compiler: Compiler,
    /// Connected proxies, and the revision of what each was given last, if anything.
    proxies: BTreeMap<ConnectionId, Served>,
    revision: u64,
    problems: Problems,
    /// Objects of the directory's other files that an applied object stands in front of.
    shadowed: BTreeMap<Key, Arc<Object>>,
}

struct Served {
    proxy: Proxy,
    revision: Option<u64>,
}

/// Numbers for metrics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) services: usize,
    pub(crate) virtual_services: usize,
}

impl State {
    pub(crate) fn new(config: &Config) -> Self {
        // Revisions grow over restarts too, so that nobody takes an older one for a newer.
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Self {
            world: World::new(settings(config)),
            compiler: Compiler::default(),
            proxies: BTreeMap::new(),
            revision: u64::try_from(millis).unwrap_or_default(),
            problems: Problems::new(),
            shadowed: BTreeMap::new(),
        }
    }

    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// An object, to be kept.
    pub(crate) fn shared(&self, key: &Key) -> Option<Arc<Object>> {
        self.world.shared(key).cloned()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Object> {
        self.world.get(key)
    }

    /// The keys of what these words name, however the kind is spelled in upper and lower case: more than one when two
    /// kinds share a name, and the word does not say which it means.
    pub(crate) fn find(&self, kind: &str, namespace: &str, name: &str) -> Vec<Key> {
        let key = |kind: Kind| {
            let namespace = if kind.is_cluster_wide() { "" } else { namespace };
            Key { kind, namespace: namespace.to_owned(), name: name.to_owned() }
        };
        Kind::named(kind).into_iter().map(key).filter(|key| self.world.get(key).is_some()).collect()
    }

    /// Puts an object in; `false` when it was there already, the same.
    pub(crate) fn put(&mut self, object: impl Into<Arc<Object>>) -> bool {
        let object = object.into();
        if self.world.get(&object.key) == Some(&*object) {
            return false;
        }
        self.world.apply(object);
        true
    }

    /// Takes an object out; `false` when it was not there.
    pub(crate) fn remove(&mut self, key: &Key) -> bool {
        // Asked first, since deleting counts as a change in any case.
        self.world.get(key).is_some() && self.world.delete(key).is_some()
    }

    /// Keeps an object for the time when the applied one in front of it is deleted.
    pub(crate) fn shadow(&mut self, object: Arc<Object>) {
        self.shadowed.insert(object.key(), object);
    }

    /// Forgets the object behind an applied one.
    pub(crate) fn unshadow(&mut self, key: &Key) {
        self.shadowed.remove(key);
    }

    /// Takes an applied object out; what it stood in front of holds again. `true` when there is such a thing.
    pub(crate) fn uncover(&mut self, key: &Key) -> bool {
        match self.shadowed.remove(key) {
            Some(behind) => {
                self.put(behind);
                true
            }
            None => {
                self.remove(key);
                false
            }
        }
    }

    /// Takes a proxy in; it gets its resources with [`State::welcome`].
    pub(crate) fn connect(&mut self, connection: ConnectionId, node: &Node) -> Result<(), ProxyError> {
        let proxy = Proxy::from_node(node)?;
        self.proxies.insert(connection, Served { proxy, revision: None });
        Ok(())
    }

    pub(crate) fn disconnect(&mut self, connection: ConnectionId) {
        self.proxies.remove(&connection);
        self.compiler.disconnect(ProxyId(connection.0));
    }

    /// Proxies that were given nothing yet.
    pub(crate) fn waiting(&self) -> Vec<ConnectionId> {
        self.proxies.iter().filter(|(_, served)| served.revision.is_none()).map(|(id, _)| *id).collect()
    }

    pub(crate) fn next_revision(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    /// Everything that a new proxy needs.
    pub(crate) fn welcome(&mut self, connection: ConnectionId, revision: u64) -> Option<ResourceSet> {
        let served = self.proxies.get_mut(&connection)?;
        served.revision = Some(revision);
        Some(self.compiler.connect(&self.world, ProxyId(connection.0), served.proxy.clone(), revision))
    }

    /// What proxies have to be told of the changes since the last time.
    pub(crate) fn update(&mut self, revision: u64) -> Vec<Publication> {
        let publications = self.compiler.update(&mut self.world, revision);
        for publication in &publications {
            if let Some(served) = self.proxies.get_mut(&ConnectionId(publication.proxy.0)) {
                served.revision = Some(revision);
            }
        }
        publications
    }

    /// How much was compiled so far.
    pub(crate) fn compilations(&self) -> Compilations {
        self.compiler.counts()
    }

    /// Remembers a file's mistakes; none means that it is mended.
    pub(crate) fn set_problems(&mut self, file: String, problems: Vec<Problem>) {
        if problems.is_empty() {
            self.problems.remove(&file);
        } else {
            self.problems.insert(file, problems);
        }
    }

    /// Mistakes in the directory's files.
    pub(crate) fn problems(&self) -> &Problems {
        &self.problems
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts { services: self.world.registry().len(), virtual_services: self.world.count(Kind::VirtualService) }
    }

    /// The documents that match, each as it was given.
    pub(crate) fn objects(&self, kind: Option<&str>, namespace: Option<&str>, name: Option<&str>) -> Vec<Value> {
        let kinds = kind.map(Kind::named);
        let matches = |object: &&Object| {
            kinds.as_ref().is_none_or(|kinds| kinds.contains(&object.key.kind))
                && namespace.is_none_or(|namespace| object.key.namespace == namespace)
                && name.is_none_or(|name| object.key.name == name)
        };
        self.world.objects().filter(matches).map(|object| object.raw.to_value()).collect()
    }
}

fn settings(config: &Config) -> Settings {
    Settings {
        trust_domain: config.trust_domain.clone(),
        domain: config.domain.clone(),
        cluster_id: config.cluster_id.clone(),
        allow_unknown_destinations: config.mesh.allow_unknown_destinations,
        access_log: match config.mesh.access_log {
            AccessLog::Off => None,
            AccessLog::Text => Some(AccessLogFormat::Text),
            AccessLog::Json => Some(AccessLogFormat::Json),
        },
        trace_sampling: config.mesh.trace_sampling,
        strict_mtls: config.mesh.strict_mtls,
        ..Settings::default()
    }
}
