//! Everything that is analyzed together.

use serde_json::Value;

use crate::mesh_config::MeshConfig;
use crate::resource::{Kept, Resource};
use crate::value::{Labels, Look, selects};

/// The control plane's namespace, whose policies hold for the whole mesh.
pub(crate) const ROOT_NAMESPACE: &str = "istio-system";
const SYSTEM_NAMESPACES: [&str; 5] =
    ["kube-system", "kube-public", "kube-node-lease", "local-path-storage", ROOT_NAMESPACE];

/// API groups of kinds whose name alone does not tell them.
pub(crate) const ISTIO_NETWORKING: &str = "networking.istio.io";
pub(crate) const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// All resources, and the configuration of the mesh.
#[derive(Debug)]
pub struct Snapshot {
    resources: Vec<Resource>,
    pub(crate) mesh_config: MeshConfig,
    /// Istio's MeshNetworks.
    pub(crate) mesh_networks: Value,
}

/// Gathers what is to be analyzed.
#[derive(Debug)]
pub struct SnapshotBuilder {
    namespace: String,
    resources: Vec<Resource>,
    mesh_config: Value,
    mesh_networks: Value,
}

impl SnapshotBuilder {
    /// Documents that state no namespace are taken to be of this one.
    pub fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            resources: Vec::new(),
            mesh_config: Value::Null,
            mesh_networks: Value::Null,
        }
    }

    /// Adds the documents of a file; gives the number of those that are no Kubernetes objects.
    ///
    /// # Errors
    /// When the text is no YAML; nothing of it is added then.
    pub fn add_file(&mut self, name: &str, text: &str) -> Result<usize, orrery_api::NoYaml> {
        let mut ignored = 0;
        for document in orrery_api::documents(text)? {
            let body = document.to_json();
            let kept = Kept::File { name: name.to_owned(), document };
            match Resource::read(body, &self.namespace, kept) {
                Some(resource) => self.resources.push(resource),
                None => ignored += 1,
            }
        }
        Ok(ignored)
    }

    /// Adds an object of a living mesh. A file's document of the same name takes its place.
    pub fn add_living(&mut self, body: Value) {
        self.resources.extend(Resource::read(body, &self.namespace, Kept::Mesh));
    }

    /// Istio's MeshConfig, in place of the one in the ConfigMap `istio`.
    pub fn mesh_config(&mut self, config: Value) {
        self.mesh_config = config;
    }

    pub fn build(self) -> Snapshot {
        let Self { resources, mut mesh_config, mut mesh_networks, .. } = self;
        let resources = last_of_each(resources);
        let installed = resources
            .iter()
            .find(|found| found.kind == "ConfigMap" && found.name == "istio" && found.namespace == ROOT_NAMESPACE);
        for (key, value) in [("/data/mesh", &mut mesh_config), ("/data/meshNetworks", &mut mesh_networks)] {
            if value.is_null()
                && let Some(text) = installed.map(|found| found.body.text(key))
            {
                *value = one_document(text);
            }
        }
        Snapshot { resources, mesh_config: MeshConfig::new(mesh_config), mesh_networks }
    }
}

/// Files come after the living mesh and override it, as if they were applied.
fn last_of_each(resources: Vec<Resource>) -> Vec<Resource> {
    let mut seen = std::collections::HashSet::new();
    let mut kept: Vec<Resource> = resources
        .into_iter()
        .rev()
        .filter(|found| {
            seen.insert((found.group.clone(), found.kind.clone(), found.namespace.clone(), found.name.clone()))
        })
        .collect();
    kept.reverse();
    kept
}

/// YAML inside of a ConfigMap's text; what is no YAML reads as empty.
pub(crate) fn one_document(text: &str) -> Value {
    orrery_api::documents(text)
        .ok()
        .and_then(|documents| documents.first().map(orrery_api::Document::to_json))
        .unwrap_or_default()
}

impl Snapshot {
    /// All resources of a kind, in the order in which they came.
    pub fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Resource> {
        self.resources.iter().filter(move |resource| resource.kind == kind)
    }

    pub(crate) fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// Istio's Gateways, not those of the Gateway API.
    pub(crate) fn gateways(&self) -> impl Iterator<Item = &Resource> {
        self.all("Gateway").filter(|gateway| gateway.group == ISTIO_NETWORKING)
    }

    /// Gateways of the Gateway API.
    pub(crate) fn api_gateways(&self) -> impl Iterator<Item = &Resource> {
        self.all("Gateway").filter(|gateway| gateway.group == GATEWAY_API)
    }

    pub(crate) fn exists(&self, kind: &str, namespace: &str, name: &str) -> bool {
        self.all(kind).any(|found| found.namespace == namespace && found.name == name)
    }

    /// Pods that a selector selects, in every namespace.
    pub(crate) fn pods_with<'a>(&'a self, selector: &'a Labels) -> impl Iterator<Item = &'a Resource> {
        self.all("Pod").filter(move |pod| selects(selector, &pod.labels))
    }
}

/// Namespaces that belong to Kubernetes or to the mesh itself.
pub(crate) fn is_system(namespace: &str) -> bool {
    SYSTEM_NAMESPACES.contains(&namespace)
}
