//! Who this proxy is: identifiers and labels that metrics carry and that peers are told.
//!
//! It does not know how the identity was proven (certificates) nor where it came from (command line, environment).

use std::collections::BTreeMap;
use std::sync::Arc;

use orrery_emit::labels::Workload;

/// The proxy and the workload beside it (xDS `Node` metadata, as far as the data path needs it).
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// `sidecar~<ip>~<pod>.<namespace>~<namespace>.svc.<domain>`.
    pub id: String,
    /// The pod's or workload entry's name.
    pub name: String,
    pub namespace: String,
    /// The owner's name, e.g. of the Deployment.
    pub workload: String,
    pub service_account: String,
    /// `kubernetes://apis/apps/v1/namespaces/<namespace>/deployments/<name>`, or empty.
    pub owner: String,
    pub cluster_id: String,
    pub mesh_id: String,
    /// Pod labels; `app`, `version` and the canonical names are read from here.
    pub labels: BTreeMap<String, String>,
}

impl Node {
    /// Canonical service name: label precedence as Istio's.
    pub fn canonical_service(&self) -> &str {
        self.first_label(&["service.istio.io/canonical-name", "app.kubernetes.io/name", "app"])
            .unwrap_or(&self.workload)
    }

    /// Canonical revision: label precedence as Istio's.
    pub fn canonical_revision(&self) -> &str {
        self.first_label(&["service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"])
            .unwrap_or("latest")
    }

    fn first_label(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.labels.get(*name)).map(String::as_str)
    }

    /// The labels of this side in metrics.
    pub fn as_workload(&self) -> Workload {
        let label = |name: &str| -> Arc<str> { self.labels.get(name).map(String::as_str).unwrap_or_default().into() };
        Workload {
            workload: self.workload.as_str().into(),
            namespace: self.namespace.as_str().into(),
            canonical_service: self.canonical_service().into(),
            canonical_revision: self.canonical_revision().into(),
            app: label("app"),
            version: label("version"),
            cluster: self.cluster_id.as_str().into(),
        }
    }
}
