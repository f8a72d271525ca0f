//! What becomes a node in each type of graph, and its stable id.

use std::sync::Arc;

use crate::identity::{Identity, UNKNOWN, is_known};

/// What the nodes of a graph stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GraphType {
    /// Apps, all versions together.
    App,
    /// Services only.
    Service,
    /// Apps, each version apart, boxed by app.
    VersionedApp,
    /// Workloads.
    Workload,
}

/// What one node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeType {
    /// An app, or one version of it.
    App,
    /// A box around nodes of one app.
    Box,
    /// A service.
    Service,
    /// Callers outside the mesh.
    Unknown,
    /// A workload.
    Workload,
}

/// One end of an edge, before it is known which node it becomes. Absent parts are empty.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) cluster: Arc<str>,
    pub(crate) service_namespace: Arc<str>,
    pub(crate) service: Arc<str>,
    pub(crate) namespace: Arc<str>,
    pub(crate) workload: Arc<str>,
    pub(crate) app: Arc<str>,
    pub(crate) version: Arc<str>,
}

impl GraphType {
    /// All types.
    pub const ALL: [Self; 4] = [Self::App, Self::Service, Self::VersionedApp, Self::Workload];

    /// As Kiali spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Service => "service",
            Self::VersionedApp => "versionedApp",
            Self::Workload => "workload",
        }
    }

    /// Reads Kiali's spelling.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|graph| graph.name() == name)
    }
}

impl NodeType {
    /// As Kiali spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Box => "box",
            Self::Service => "service",
            Self::Unknown => "unknown",
            Self::Workload => "workload",
        }
    }
}

impl End {
    /// The caller.
    pub(crate) fn source(identity: &Identity) -> Self {
        let source = &identity.source;
        Self {
            cluster: source.cluster.clone(),
            service_namespace: source.namespace.clone(),
            service: Arc::from(""),
            namespace: source.namespace.clone(),
            workload: source.name.clone(),
            app: source.app.clone(),
            version: source.version.clone(),
        }
    }

    /// The callee.
    pub(crate) fn destination(identity: &Identity) -> Self {
        let destination = &identity.destination;
        Self {
            cluster: destination.cluster.clone(),
            service_namespace: identity.service.namespace.clone(),
            service: identity.service.name.clone(),
            namespace: destination.namespace.clone(),
            workload: destination.name.clone(),
            app: destination.app.clone(),
            version: destination.version.clone(),
        }
    }

    /// The service between them.
    pub(crate) fn service(identity: &Identity) -> Self {
        let none: Arc<str> = Arc::from("");
        Self {
            namespace: none.clone(),
            workload: none.clone(),
            app: none.clone(),
            version: none,
            ..Self::destination(identity)
        }
    }

    /// Namespace of the workload, or of the service if there is none.
    pub(crate) fn best_namespace(&self) -> &Arc<str> {
        if is_known(&self.namespace) { &self.namespace } else { &self.service_namespace }
    }

    /// Readable id and type of the node that this end becomes; `None` if nothing about it is known.
    pub(crate) fn node(&self, graph: GraphType) -> Option<(String, NodeType)> {
        let (cluster, namespace) = (&self.cluster, self.best_namespace());
        if &**namespace == UNKNOWN && &*self.workload == UNKNOWN && &*self.app == UNKNOWN && self.service.is_empty() {
            return Some((format!("{cluster}_unknown_source"), NodeType::Unknown));
        }
        if &*self.workload == UNKNOWN && &*self.app == UNKNOWN && &*self.service == UNKNOWN {
            return Some((format!("svc_{cluster}_{namespace}_unknown"), NodeType::Service));
        }
        let workload = || Some((format!("wl_{cluster}_{namespace}_{}", self.workload), NodeType::Workload));
        let service = || Some((format!("svc_{cluster}_{namespace}_{}", self.service), NodeType::Service));
        match graph {
            GraphType::App if is_known(&self.app) => {
                Some((format!("app_{cluster}_{namespace}_{}", self.app), NodeType::App))
            }
            GraphType::VersionedApp if is_known(&self.app) => Some((self.versioned(), NodeType::App)),
            GraphType::App | GraphType::VersionedApp | GraphType::Service | GraphType::Workload => {
                if is_known(&self.workload) {
                    workload()
                } else if is_known(&self.service) {
                    service()
                } else {
                    None
                }
            }
        }
    }

    /// A version of an app is named by its workload if that is known: labels may be wrong, workloads are not.
    fn versioned(&self) -> String {
        let (cluster, namespace) = (&self.cluster, self.best_namespace());
        if is_known(&self.workload) {
            format!("vapp_{cluster}_{namespace}_{}", self.workload)
        } else if is_known(&self.version) && &*self.version != "latest" {
            format!("vapp_{cluster}_{namespace}_{}_{}", self.app, self.version)
        } else {
            format!("app_{cluster}_{namespace}_{}", self.app)
        }
    }
}

/// A short opaque id that stays the same for the same thing (FNV-1a, 128 bits).
pub fn stable_id(text: &str) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = text.bytes().fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    format!("{hash:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_fnv() {
        // Published test vector: the hash of the empty input is the offset basis, of "a" as below.
        assert_eq!(stable_id(""), "6c62272e07bb014262b821756295c58d");
        assert_eq!(stable_id("a"), "d228cb696f1a8caf78912b704e4a8964");
    }
}
