//! MeshNetworks that speak of clusters nobody knows.

use serde_json::Value;

use crate::code::Code;
use crate::finding::Report;
use crate::resource::{Kept, Resource};
use crate::snapshot::{ROOT_NAMESPACE, Snapshot, one_document};
use crate::value::Look;

const MULTI_CLUSTER: &str = "istio/multiCluster";

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    let Some(networks) = snapshot.mesh_networks.at("/networks").as_object() else { return };
    let registries = registries(snapshot);
    let Some(origin) = origin(snapshot) else { return };
    for (network, settings) in networks {
        for endpoint in settings.list("/endpoints") {
            let registry = endpoint.text("/fromRegistry");
            if !registry.is_empty() && !registries.iter().any(|known| known == registry) {
                report.add(
                    Code::UnknownMeshNetworksServiceRegistry,
                    &origin,
                    "/data/meshNetworks",
                    format!("the registry {registry} of the network {network} is not known"),
                );
            }
        }
    }
}

/// Istio speaks of the MeshNetworks in its ConfigMap as of a resource.
fn origin(snapshot: &Snapshot) -> Option<Resource> {
    let kept = snapshot
        .all("ConfigMap")
        .find(|found| found.name == "istio" && found.namespace == ROOT_NAMESPACE)
        .map_or(Kept::Mesh, Resource::kept);
    let body = serde_json::json!({
        "apiVersion": "mesh.istio.io/v1alpha1",
        "kind": "MeshNetworks",
        "metadata": { "name": "meshnetworks", "namespace": ROOT_NAMESPACE },
    });
    Resource::read(body, ROOT_NAMESPACE, kept)
}

/// The cluster of the control plane, and those whose credentials it has.
fn registries(snapshot: &Snapshot) -> Vec<String> {
    let mut known = vec!["Kubernetes".to_owned()];
    for secret in
        snapshot.all("Secret").filter(|secret| secret.labels.get(MULTI_CLUSTER).is_some_and(|on| on == "true"))
    {
        for field in ["/data", "/stringData"] {
            if let Value::Object(entries) = secret.body.at(field) {
                known.extend(entries.keys().cloned());
                known.extend(
                    entries.values().filter_map(Value::as_str).map(one_document).flat_map(|file| clusters(&file)),
                );
            }
        }
    }
    known
}

/// Clusters that a kubeconfig names.
fn clusters(file: &Value) -> Vec<String> {
    file.list("/clusters").iter().map(|cluster| cluster.text("/name").to_owned()).collect()
}
