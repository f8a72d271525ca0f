//! Who called whom: the labels that name both ends of a call, and which of them Kiali cannot use.

use std::sync::Arc;

/// What Istio puts where it does not know.
pub const UNKNOWN: &str = "unknown";

/// One end of a call. Strings are `unknown` where they are not known.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Workload {
    /// Cluster id.
    pub cluster: Arc<str>,
    /// Namespace.
    pub namespace: Arc<str>,
    /// Workload name (of the Deployment, not the pod).
    pub name: Arc<str>,
    /// Canonical service.
    pub app: Arc<str>,
    /// Canonical revision; `latest` if it has none.
    pub version: Arc<str>,
}

/// The service that the caller asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Service {
    /// Host name, fully qualified.
    pub host: Arc<str>,
    /// Short name.
    pub name: Arc<str>,
    /// Namespace.
    pub namespace: Arc<str>,
}

/// Both ends of a call and the service between them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The caller.
    pub source: Workload,
    /// The callee.
    pub destination: Workload,
    /// The service asked for.
    pub service: Service,
}

/// Whether a label says something.
pub fn is_known(value: &str) -> bool {
    !value.is_empty() && value != UNKNOWN
}

impl Identity {
    /// Reads the identity out of a series' labels. `None` when a needed label is absent, or when the labels contradict
    /// each other in one of the ways in which half-known peers are reported while pods come and go.
    pub fn from_labels<'a>(label: impl Fn(&str) -> Option<&'a Arc<str>>) -> Option<Self> {
        let required = |name: &str| label(name).filter(|value| !value.is_empty()).cloned();
        let cluster = |name: &str| required(name).unwrap_or_else(|| Arc::from(UNKNOWN));
        let source = Workload {
            cluster: cluster("source_cluster"),
            namespace: required("source_workload_namespace")?,
            name: required("source_workload")?,
            app: required("source_canonical_service")?,
            version: required("source_canonical_revision")?,
        };
        let service = Service {
            host: required("destination_service")?,
            name: required("destination_service_name")?,
            namespace: required("destination_service_namespace")?,
        };
        let mut destination = Workload {
            cluster: cluster("destination_cluster"),
            namespace: required("destination_workload_namespace")?,
            name: required("destination_workload")?,
            app: required("destination_canonical_service")?,
            version: required("destination_canonical_revision")?,
        };
        if is_bad_source(&source, label("source_cluster").is_some()) {
            return None;
        }
        let mut cluster_given = label("destination_cluster").is_some();
        if !is_known(&destination.cluster) && is_known(&source.cluster) && is_known(&service.namespace) {
            destination.cluster = source.cluster.clone();
            cluster_given = true;
        }
        if is_bad_destination(&destination, &service, cluster_given) {
            return None;
        }
        Some(Self { source, destination, service })
    }

    /// Namespace in which the call ends, as far as it is known.
    pub fn destination_namespace(&self) -> &Arc<str> {
        if is_known(&self.destination.namespace) { &self.destination.namespace } else { &self.service.namespace }
    }
}

/// A namespace without anything in it, or a known namespace in a cluster that is said to be unknown.
fn is_bad_source(source: &Workload, cluster_given: bool) -> bool {
    is_known(&source.namespace)
        && ((!is_known(&source.name) && !is_known(&source.app)) || (cluster_given && !is_known(&source.cluster)))
}

/// An address in the place of a service, or a known namespace in a cluster that is said to be unknown.
fn is_bad_destination(destination: &Workload, service: &Service, cluster_given: bool) -> bool {
    let address = !is_known(&destination.name) && service.host == service.name && is_address(&service.name);
    address || (is_known(&service.namespace) && cluster_given && !is_known(&destination.cluster))
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::Ipv4Addr>().is_ok() || text.parse::<std::net::SocketAddrV4>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn read(changes: &[(&str, &str)]) -> Option<Identity> {
        let mut labels: BTreeMap<&str, Arc<str>> = [
            ("source_cluster", "k"),
            ("source_workload_namespace", "default"),
            ("source_workload", "a-v1"),
            ("source_canonical_service", "a"),
            ("source_canonical_revision", "v1"),
            ("destination_cluster", "k"),
            ("destination_workload_namespace", "default"),
            ("destination_workload", "b-v1"),
            ("destination_canonical_service", "b"),
            ("destination_canonical_revision", "v1"),
            ("destination_service", "b.default.svc.cluster.local"),
            ("destination_service_name", "b"),
            ("destination_service_namespace", "default"),
        ]
        .into_iter()
        .map(|(name, value)| (name, Arc::from(value)))
        .collect();
        for (name, value) in changes {
            labels.insert(name, Arc::from(*value));
        }
        labels.retain(|_, value| !value.is_empty());
        Identity::from_labels(|name| labels.get(name))
    }

    #[test]
    fn drop_rules() {
        let nowhere = [
            ("destination_workload", UNKNOWN),
            ("destination_service", "10.1.2.3:80"),
            ("destination_service_name", "10.1.2.3:80"),
        ];
        type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], bool);
        let table: &[Row<'_>] = &[
            ("complete", &[], true),
            ("label absent", &[("source_canonical_revision", "")], false),
            ("host absent", &[("destination_service", "")], false),
            ("clusters absent", &[("source_cluster", ""), ("destination_cluster", "")], true),
            ("source cluster unknown", &[("source_cluster", UNKNOWN)], false),
            ("source empty namespace", &[("source_workload", UNKNOWN), ("source_canonical_service", UNKNOWN)], false),
            (
                "source from outside",
                &[
                    ("source_workload", UNKNOWN),
                    ("source_canonical_service", UNKNOWN),
                    ("source_workload_namespace", UNKNOWN),
                    ("source_cluster", UNKNOWN),
                ],
                true,
            ),
            ("destination cluster unknown", &[("destination_cluster", UNKNOWN)], true),
            (
                "both clusters unknown",
                &[
                    ("destination_cluster", UNKNOWN),
                    ("source_cluster", UNKNOWN),
                    ("source_workload_namespace", UNKNOWN),
                ],
                false,
            ),
            ("address", &nowhere, false),
        ];
        for (what, changes, kept) in table {
            assert_eq!(read(changes).is_some(), *kept, "{what}");
        }
        assert_eq!(&*read(&[("destination_cluster", UNKNOWN)]).unwrap().destination.cluster, "k");
    }
}
