//! One document as the analyzers see it.

use serde_json::Value;

use crate::value::{Labels, Look};

/// Kinds that live in no namespace.
const CLUSTER_WIDE: [&str; 12] = [
    "APIService",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "GatewayClass",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "StorageClass",
    "ValidatingWebhookConfiguration",
];

/// Who made a resource: controllers of gateways.
pub(crate) const MANAGED: &str = "gateway.istio.io/managed";
/// The controller of waypoints.
pub(crate) const WAYPOINTS: &str = "istio.io-mesh-controller";

/// Where a document came from, if it knows.
#[derive(Clone, Debug)]
pub enum Kept {
    /// A file, with the document's lines.
    File { name: String, document: orrery_api::Document },
    /// A living mesh.
    Mesh,
}

/// A document of any kind.
#[derive(Clone, Debug)]
pub struct Resource {
    pub kind: String,
    /// Without the version; empty for Kubernetes' core group.
    pub group: String,
    pub name: String,
    /// Empty for kinds that live in no namespace.
    pub namespace: String,
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
    pub(crate) body: Value,
    states_namespace: bool,
    kept: Kept,
}

impl Resource {
    /// Nothing for a document that is no Kubernetes object.
    pub(crate) fn read(body: Value, default_namespace: &str, kept: Kept) -> Option<Self> {
        let (kind, version, name) = (body.text("/kind"), body.text("/apiVersion"), body.text("/metadata/name"));
        if kind.is_empty() || version.is_empty() || name.is_empty() {
            return None;
        }
        let stated = body.text("/metadata/namespace");
        let namespace = match (CLUSTER_WIDE.contains(&kind), stated.is_empty()) {
            (true, _) => "",
            (false, true) => default_namespace,
            (false, false) => stated,
        };
        Some(Self {
            kind: kind.to_owned(),
            group: version.split_once('/').map_or("", |(group, _)| group).to_owned(),
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            states_namespace: !stated.is_empty() && !namespace.is_empty(),
            labels: body.labels("/metadata/labels"),
            annotations: body.labels("/metadata/annotations"),
            body,
            kept,
        })
    }

    /// `<kind> <namespace>/<name>`, without a namespace when the document states none.
    pub fn origin(&self) -> String {
        match self.states_namespace {
            true => format!("{} {}/{}", self.kind, self.namespace, self.name),
            false => format!("{} {}", self.kind, self.name),
        }
    }

    /// `<namespace>/<name>`, also of a namespace that was filled in.
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    pub(crate) fn reference(&self, pointer: &str) -> String {
        match &self.kept {
            Kept::File { name, document } => format!("{name}:{}", document.line_of(pointer)),
            Kept::Mesh => String::new(),
        }
    }

    pub(crate) fn kept(&self) -> Kept {
        self.kept.clone()
    }

    pub(crate) fn spec(&self) -> &Value {
        self.body.at("/spec")
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

/// Whether a resource is labelled as a part of the mesh's own installation.
pub(crate) fn is_control_plane(resource: &Resource) -> bool {
    resource.labels.contains_key("istio") || resource.labels.get("release").is_some_and(|release| release == "istio")
}
