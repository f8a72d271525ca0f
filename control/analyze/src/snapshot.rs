//! Everything that is analyzed together.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::mesh_config::MeshConfig;
use crate::resource::{Kept, Resource};
use crate::value::{Labels, Look, selects};

/// The control plane's namespace, whose policies hold for the whole mesh unless the mesh says otherwise.
pub(crate) const ROOT_NAMESPACE: &str = "istio-system";
/// Namespaces of Kubernetes itself, whose workloads are never part of a mesh.
const IGNORED: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", "local-path-storage"];

/// API groups of kinds whose name alone does not tell them.
pub(crate) const ISTIO_NETWORKING: &str = "networking.istio.io";
pub(crate) const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// All resources, and the configuration of the mesh.
#[derive(Debug)]
pub struct Snapshot {
    resources: Vec<Resource>,
    by_kind: HashMap<String, Vec<usize>>,
    /// Resources of other clusters of the mesh, by the name of each.
    pub(crate) other_clusters: BTreeMap<String, Vec<Resource>>,
    pub(crate) mesh_config: MeshConfig,
    /// Istio's MeshNetworks.
    pub(crate) mesh_networks: Value,
    /// When the analysis takes place.
    pub(crate) now: SystemTime,
}

/// Gathers what is to be analyzed.
#[derive(Debug)]
pub struct SnapshotBuilder {
    namespace: String,
    now: SystemTime,
    resources: Vec<Resource>,
    other_clusters: BTreeMap<String, Vec<Resource>>,
    mesh_config: Value,
    mesh_networks: Value,
}

impl SnapshotBuilder {
    /// Documents that state no namespace are taken to be of this one; certificates must be valid at this time.
    pub fn new(namespace: &str, now: SystemTime) -> Self {
        Self {
            namespace: namespace.to_owned(),
            now,
            resources: Vec::new(),
            other_clusters: BTreeMap::new(),
            mesh_config: Value::Null,
            mesh_networks: Value::Null,
        }
    }

    /// Adds the documents of a file; gives the number of those that are no Kubernetes objects.
    ///
    /// # Errors
    /// When the text is no YAML; nothing of it is added then.
    pub fn add_file(&mut self, name: &str, text: &str) -> Result<usize, orrery_api::NoYaml> {
        let (resources, ignored) = read_file(name, text, &self.namespace)?;
        self.resources.extend(resources);
        Ok(ignored)
    }

    /// Adds the documents of a file that describes another cluster of the same mesh.
    ///
    /// # Errors
    /// As [`SnapshotBuilder::add_file`].
    pub fn add_file_of_cluster(&mut self, cluster: &str, name: &str, text: &str) -> Result<usize, orrery_api::NoYaml> {
        let (resources, ignored) = read_file(name, text, &self.namespace)?;
        self.other_clusters.entry(cluster.to_owned()).or_default().extend(resources);
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

    /// Istio's MeshNetworks, in place of those in the ConfigMap `istio`.
    pub fn mesh_networks(&mut self, networks: Value) {
        self.mesh_networks = networks;
    }

    pub fn build(self) -> Snapshot {
        let Self { now, resources, other_clusters, mut mesh_config, mut mesh_networks, .. } = self;
        let mut resources = last_of_each(resources);
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
        let mesh_config = MeshConfig::new(mesh_config);
        resources.extend(usual_gateway(&mesh_config, &resources));
        let mut by_kind: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, resource) in resources.iter().enumerate() {
            by_kind.entry(resource.kind.clone()).or_default().push(index);
        }
        Snapshot { resources, by_kind, other_clusters, mesh_config, mesh_networks, now }
    }
}

fn read_file(name: &str, text: &str, namespace: &str) -> Result<(Vec<Resource>, usize), orrery_api::NoYaml> {
    let (mut resources, mut ignored) = (Vec::new(), 0);
    for document in orrery_api::documents(text)? {
        let body = document.to_json();
        let kept = Kept::File { name: name.to_owned(), document };
        match Resource::read(body, namespace, kept) {
            Some(resource) => resources.push(resource),
            None => ignored += 1,
        }
    }
    Ok((resources, ignored))
}

/// Files come after the living mesh and override it, as if they were applied.
fn last_of_each(resources: Vec<Resource>) -> Vec<Resource> {
    let mut seen = HashSet::new();
    let mut kept: Vec<Resource> = resources
        .into_iter()
        .rev()
        .filter(|found| !is_ignored(found))
        .filter(|found| {
            seen.insert((found.group.clone(), found.kind.clone(), found.namespace.clone(), found.name.clone()))
        })
        .collect();
    kept.reverse();
    kept
}

fn is_ignored(resource: &Resource) -> bool {
    let namespace = if resource.kind == "Namespace" { &resource.name } else { &resource.namespace };
    IGNORED.contains(&namespace.as_str())
}

/// The gateway that an installation brings along, as nobody writes it into the files that are analyzed: its pod and its
/// service, where there are none of their names.
fn usual_gateway(mesh_config: &MeshConfig, resources: &[Resource]) -> Vec<Resource> {
    let Some(service) = mesh_config.ingress_service() else { return Vec::new() };
    let ports: Vec<Value> = [80, 443, 15443, 31400]
        .map(|port| json!({ "name": format!("tcp-{port}"), "port": port, "targetPort": port, "protocol": "TCP" }))
        .into();
    let labels = json!({ "istio": "ingressgateway" });
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": format!("{service}-pod"), "namespace": ROOT_NAMESPACE, "labels": labels },
        "spec": { "containers": [{ "name": "istio-proxy" }] },
    });
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": service, "namespace": ROOT_NAMESPACE },
        "spec": { "ports": ports, "selector": labels },
    });
    let is_new = |new: &Resource| !resources.iter().any(|old| old.kind == new.kind && old.path() == new.path());
    [pod, service]
        .into_iter()
        .filter_map(|body| Resource::read(body, ROOT_NAMESPACE, Kept::Mesh))
        .filter(is_new)
        .collect()
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
    pub fn all(&self, kind: &str) -> impl Iterator<Item = &Resource> + use<'_> {
        self.by_kind.get(kind).into_iter().flatten().map(|index| &self.resources[*index])
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
