//! What is translated: the objects, looked up one by one.

use orrery_api::{ConfigMap, Key, Kind, Labels, Object, Secret, Service, ServiceEntry, Spec};

/// Where objects come from. What is asked for is all that a translation depends on.
pub trait Lookup {
    fn get(&self, key: &Key) -> Option<&Object>;

    /// All objects of a kind, in the order of their keys.
    fn of_kind(&self, kind: Kind) -> Vec<&Object>;

    /// Of the cluster: `cluster.local`.
    fn domain(&self) -> &str;
}

/// Typed looks at the objects.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    lookup: &'a dyn Lookup,
}

/// The label that every namespace has by itself.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

impl<'a> Sources<'a> {
    pub(crate) fn new(lookup: &'a dyn Lookup) -> Self {
        Self { lookup }
    }

    pub(crate) fn domain(&self) -> &'a str {
        self.lookup.domain()
    }

    pub(crate) fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<&'a Object> {
        self.lookup.get(&Key { kind, namespace: namespace.to_owned(), name: name.to_owned() })
    }

    pub(crate) fn of_kind(&self, kind: Kind) -> Vec<&'a Object> {
        self.lookup.of_kind(kind)
    }

    /// Objects of a kind in the order in which conflicts are decided: oldest first, then by namespace and name.
    pub(crate) fn oldest_first(&self, kind: Kind) -> Vec<&'a Object> {
        let mut objects = self.of_kind(kind);
        objects.sort_by(|one, other| age(one).cmp(&age(other)));
        objects
    }

    pub(crate) fn service(&self, namespace: &str, name: &str) -> Option<(&'a Object, &'a Service)> {
        let object = self.get(Kind::Service, namespace, name)?;
        match &object.spec {
            Spec::Service(service) => Some((object, service)),
            _ => None,
        }
    }

    pub(crate) fn service_entry(&self, namespace: &str, name: &str) -> Option<(&'a Object, &'a ServiceEntry)> {
        let object = self.get(Kind::ServiceEntry, namespace, name)?;
        match &object.spec {
            Spec::ServiceEntry(entry) => Some((object, entry)),
            _ => None,
        }
    }

    pub(crate) fn secret(&self, namespace: &str, name: &str) -> Option<&'a Secret> {
        match &self.get(Kind::Secret, namespace, name)?.spec {
            Spec::Secret(secret) => Some(secret),
            _ => None,
        }
    }

    pub(crate) fn config_map(&self, namespace: &str, name: &str) -> Option<&'a ConfigMap> {
        match &self.get(Kind::ConfigMap, namespace, name)?.spec {
            Spec::ConfigMap(map) => Some(map),
            _ => None,
        }
    }

    /// Labels of a namespace with the one that it has by itself; `None` when there is no such object.
    pub(crate) fn namespace(&self, name: &str) -> Option<Labels> {
        self.get(Kind::Namespace, "", name).map(namespace_labels)
    }

    /// Names and labels of all namespaces.
    pub(crate) fn namespaces(&self) -> Vec<(&'a str, Labels)> {
        let all = self.of_kind(Kind::Namespace);
        all.into_iter().map(|object| (object.key.name.as_str(), namespace_labels(object))).collect()
    }

    /// The host of a Service.
    pub(crate) fn host(&self, name: &str, namespace: &str) -> String {
        format!("{name}.{namespace}.svc.{}", self.domain())
    }

    /// Whether a host is that of a service of this namespace.
    pub(crate) fn is_host_of(&self, host: &str, namespace: &str) -> bool {
        let suffix = format!(".{namespace}.svc.{}", self.domain());
        if let Some(name) = host.strip_suffix(&suffix)
            && self.service(namespace, name).is_some()
        {
            return true;
        }
        self.of_kind(Kind::ServiceEntry).into_iter().any(|object| match &object.spec {
            Spec::ServiceEntry(entry) => {
                object.key.namespace == namespace && entry.hosts.iter().any(|known| known.value == host)
            }
            _ => false,
        })
    }
}

fn namespace_labels(object: &Object) -> Labels {
    let mut labels = object.meta.labels.clone();
    labels.0.entry(NAMESPACE_NAME.to_owned()).or_insert_with(|| object.key.name.clone());
    labels
}

/// What an object's place among others is decided by.
pub(crate) fn age(object: &Object) -> (&str, &str, &str) {
    (&object.meta.created, &object.key.namespace, &object.key.name)
}
