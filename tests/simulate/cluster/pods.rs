//! Deployments and their like become ready Pods; Pods get addresses.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{Cluster, NodeKind, ProxyNode, list, text, text_map};
use crate::case::{Name, ObjectRef};

const OWNERS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

impl Cluster {
    pub(super) fn make_pods(&mut self) {
        let given: Vec<(ObjectRef, Value)> =
            self.given.iter().map(|(key, object)| (key.clone(), object.clone())).collect();
        for (key, object) in given {
            if OWNERS.contains(&key.kind.as_str()) {
                let replicas = object["spec"]["replicas"].as_u64().unwrap_or(1);
                for number in 0..replicas {
                    self.make_pod(&key, &object, number);
                }
            } else if key.kind == "Pod" {
                self.complete_pod(key, object);
            }
        }
    }

    fn make_pod(&mut self, owner: &ObjectRef, object: &Value, number: u64) {
        let name = format!("{}-{number}", owner.name);
        let template = &object["spec"]["template"];
        // A Deployment owns its pods through a ReplicaSet, whose name has a hash behind.
        let (kind, through) = match owner.kind.as_str() {
            "Deployment" => ("ReplicaSet", format!("{}-6b8f9", owner.name)),
            other => (other, owner.name.clone()),
        };
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": owner.namespace,
                "labels": template["metadata"]["labels"],
                "annotations": template["metadata"].get("annotations").cloned().unwrap_or_else(|| json!({})),
                "ownerReferences": [{ "apiVersion": "apps/v1", "kind": kind, "name": through }],
                "creationTimestamp": object["metadata"]["creationTimestamp"],
            },
            "spec": template["spec"],
        });
        let key = ObjectRef { kind: "Pod".to_owned(), namespace: owner.namespace.clone(), name };
        self.complete_pod(key, pod);
    }

    /// An address for a pod that has none, and readiness unless it says otherwise.
    pub(super) fn complete_pod(&mut self, key: ObjectRef, mut pod: Value) {
        if text(&pod, &["status", "podIP"]).is_none() {
            pod["status"]["podIP"] = json!(self.addresses.pod(&format!("{}/{}", key.namespace, key.name)));
        }
        if list(&pod, &["status", "conditions"]).is_empty() {
            pod["status"]["phase"] = json!("Running");
            pod["status"]["conditions"] = json!([{ "type": "Ready", "status": "True" }]);
        }
        self.derived.insert(key, pod);
    }

    /// The address of a workload's pod, by number.
    pub(crate) fn pod_address(&self, name: &Name, number: usize) -> Result<IpAddr, String> {
        let mut pods = self
            .of_kind("Pod")
            .filter(|(key, pod)| key.namespace == name.namespace && owner(pod) == Some(name.name.as_str()));
        let found = pods.nth(number).and_then(|(_, pod)| address(pod));
        found.ok_or_else(|| format!("{name} has no pod number {number}"))
    }
}

/// The workload that a pod belongs to.
pub(super) fn owner(pod: &Value) -> Option<&str> {
    let reference = list(pod, &["metadata", "ownerReferences"]).first()?;
    let name = text(reference, &["name"])?;
    match text(reference, &["kind"])? {
        "ReplicaSet" => Some(name.rsplit_once('-').map_or(name, |(deployment, _)| deployment)),
        _ => Some(name),
    }
}

pub(super) fn address(pod: &Value) -> Option<IpAddr> {
    text(pod, &["status", "podIP"])?.parse().ok()
}

pub(super) fn is_ready(pod: &Value) -> bool {
    let mut conditions = list(pod, &["status", "conditions"]).iter();
    conditions.any(|one| text(one, &["type"]) == Some("Ready") && text(one, &["status"]) == Some("True"))
}

/// The proxy beside a pod's application, or the pod that is a gateway.
pub(super) fn node(kind: NodeKind, key: &ObjectRef, pod: &Value) -> Option<ProxyNode> {
    Some(ProxyNode {
        kind,
        address: address(pod)?,
        pod: key.name.clone(),
        namespace: key.namespace.clone(),
        service_account: text(pod, &["spec", "serviceAccountName"]).unwrap_or("default").to_owned(),
        workload: owner(pod).unwrap_or(&key.name).to_owned(),
        labels: text_map(pod, &["metadata", "labels"]),
        annotations: text_map(pod, &["metadata", "annotations"]),
    })
}
