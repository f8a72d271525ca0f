//! Which objects make which services up, so that a change finds its services and a service its objects.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use orrery_api::{Key, Kind, Labels, Object, Spec};

use crate::registry::workload_labels;

/// One label in a namespace; an empty one stands for all workloads there.
type Label = (String, String, String);

/// The indexes.
#[derive(Debug)]
pub(crate) struct Members {
    domain: String,
    /// Services and ServiceEntries by host.
    definers: HashMap<String, BTreeSet<Key>>,
    /// Pods and WorkloadEntries by each of their labels.
    workloads: HashMap<Label, BTreeSet<Key>>,
    /// Services and ServiceEntries by the first label of their selector.
    selectors: HashMap<Label, BTreeSet<Key>>,
    /// Endpoints and EndpointSlices by namespace and service.
    lists: HashMap<(String, String), BTreeSet<Key>>,
    /// The services of those by the addresses in them.
    listed: HashMap<(String, IpAddr), BTreeMap<String, usize>>,
    /// Pods by namespace and address.
    pods: HashMap<(String, IpAddr), BTreeSet<Key>>,
    /// Hosts that became a service, or are none any more.
    flipped: BTreeSet<String>,
}

impl Members {
    pub(super) fn new(domain: &str) -> Self {
        Self {
            domain: domain.to_owned(),
            definers: HashMap::new(),
            workloads: HashMap::new(),
            selectors: HashMap::new(),
            lists: HashMap::new(),
            listed: HashMap::new(),
            pods: HashMap::new(),
            flipped: BTreeSet::new(),
        }
    }

    pub(super) fn is_service(&self, host: &str) -> bool {
        self.definers.contains_key(host)
    }

    pub(super) fn take_flipped(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.flipped)
    }

    /// The objects that say what the services of a host are.
    pub(crate) fn definers(&self, host: &str) -> impl Iterator<Item = &Key> {
        self.definers.get(host).into_iter().flatten()
    }

    /// Workloads of a namespace that a selector may take: those with its rarest label.
    pub(crate) fn candidates(&self, namespace: &str, selector: &Labels) -> impl Iterator<Item = &Key> {
        let labels: Vec<Label> = match selector.is_empty() {
            true => vec![everything(namespace)],
            false => selector.0.iter().map(|(key, value)| label(namespace, key, value)).collect(),
        };
        let sets: Option<Vec<&BTreeSet<Key>>> = labels.iter().map(|label| self.workloads.get(label)).collect();
        // A label that nobody has leaves nobody.
        sets.unwrap_or_default().into_iter().min_by_key(|set| set.len()).into_iter().flatten()
    }

    /// Endpoints and EndpointSlices of a service.
    pub(crate) fn lists_of(&self, namespace: &str, service: &str) -> impl Iterator<Item = &Key> {
        self.lists.get(&(namespace.to_owned(), service.to_owned())).into_iter().flatten()
    }

    /// The pod at an address.
    pub(crate) fn pod_at(&self, namespace: &str, address: IpAddr) -> Option<&Key> {
        self.pods.get(&(namespace.to_owned(), address))?.first()
    }

    /// The host of a Kubernetes Service.
    fn service_host(&self, namespace: &str, name: &str) -> String {
        format!("{name}.{namespace}.svc.{}", self.domain)
    }

    pub(super) fn add(&mut self, object: &Object) {
        let key = &object.key;
        for host in self.defines(object) {
            let definers = self.definers.entry(host.clone()).or_default();
            if definers.is_empty() {
                self.flipped.insert(host);
            }
            definers.insert(key.clone());
        }
        if let Some(label) = selector_label(object) {
            self.selectors.entry(label).or_default().insert(key.clone());
        }
        for label in own_labels(object) {
            self.workloads.entry(label).or_default().insert(key.clone());
        }
        if let Some(address) = pod_address(object) {
            self.pods.entry(address).or_default().insert(key.clone());
        }
        if let Some((service, addresses)) = list(object) {
            for address in addresses {
                *self.listed.entry(address).or_default().entry(service.1.clone()).or_default() += 1;
            }
            self.lists.entry(service).or_default().insert(key.clone());
        }
    }

    pub(super) fn remove(&mut self, object: &Object) {
        let key = &object.key;
        for host in self.defines(object) {
            take(&mut self.definers, &host, key);
            if !self.definers.contains_key(&host) {
                self.flipped.insert(host);
            }
        }
        if let Some(label) = selector_label(object) {
            take(&mut self.selectors, &label, key);
        }
        for label in own_labels(object) {
            take(&mut self.workloads, &label, key);
        }
        if let Some(address) = pod_address(object) {
            take(&mut self.pods, &address, key);
        }
        if let Some((service, addresses)) = list(object) {
            for address in addresses {
                let Some(services) = self.listed.get_mut(&address) else { continue };
                if let Some(count) = services.get_mut(&service.1) {
                    *count = count.saturating_sub(1);
                }
                services.retain(|_, count| *count > 0);
                if services.is_empty() {
                    self.listed.remove(&address);
                }
            }
            take(&mut self.lists, &service, key);
        }
    }

    /// Hosts of the services that an object defines.
    fn defines(&self, object: &Object) -> Vec<String> {
        match &object.spec {
            Spec::Service(_) => vec![self.service_host(&object.key.namespace, &object.key.name)],
            Spec::ServiceEntry(entry) => entry.hosts.iter().map(|host| host.value.to_ascii_lowercase()).collect(),
            _ => Vec::new(),
        }
    }

    /// Hosts of all services that an object has a part in.
    pub(super) fn hosts_of(&self, object: &Object, objects: &BTreeMap<Key, Arc<Object>>) -> Vec<String> {
        let mut hosts = self.defines(object);
        for label in own_labels(object) {
            let selecting = self.selectors.get(&label).into_iter().flatten().filter_map(|key| objects.get(key));
            hosts.extend(selecting.flat_map(|one| self.defines(one)));
        }
        if let Some((namespace, address)) = pod_address(object) {
            let services = self.listed.get(&(namespace.clone(), address)).into_iter().flatten();
            hosts.extend(services.map(|(service, _)| self.service_host(&namespace, service)));
        }
        if let Some(((namespace, service), _)) = list(object) {
            hosts.push(self.service_host(&namespace, &service));
        }
        hosts
    }
}

fn take<I: std::hash::Hash + Eq>(sets: &mut HashMap<I, BTreeSet<Key>>, at: &I, key: &Key) {
    if let Some(set) = sets.get_mut(at) {
        set.remove(key);
        if set.is_empty() {
            sets.remove(at);
        }
    }
}

fn label(namespace: &str, key: &str, value: &str) -> Label {
    (namespace.to_owned(), key.to_owned(), value.to_owned())
}

fn everything(namespace: &str) -> Label {
    label(namespace, "", "")
}

/// The label under which a selector is found by what it may select.
fn selector_label(object: &Object) -> Option<Label> {
    let namespace = &object.key.namespace;
    let selector = match &object.spec {
        // Without a selector a Service takes no workload.
        Spec::Service(service) if service.selector.is_empty() => return None,
        Spec::Service(service) => &service.selector,
        Spec::ServiceEntry(entry) => entry.workload_selector.as_ref()?,
        _ => return None,
    };
    let first = selector.0.first_key_value();
    Some(first.map_or_else(|| everything(namespace), |(key, value)| label(namespace, key, value)))
}

/// Labels under which a workload is found.
fn own_labels(object: &Object) -> Vec<Label> {
    let namespace = &object.key.namespace;
    let labels = match &object.spec {
        Spec::Pod(_) => object.meta.labels.clone(),
        Spec::WorkloadEntry(entry) => workload_labels(object, entry),
        _ => return Vec::new(),
    };
    let own = labels.0.iter().map(|(key, value)| label(namespace, key, value));
    own.chain([everything(namespace)]).collect()
}

fn pod_address(object: &Object) -> Option<(String, IpAddr)> {
    match &object.spec {
        Spec::Pod(pod) => Some((object.key.namespace.clone(), pod.ip?)),
        _ => None,
    }
}

/// Service and addresses of an Endpoints object or an EndpointSlice.
#[allow(clippy::type_complexity, reason = "keys of two maps of this file")]
fn list(object: &Object) -> Option<((String, String), Vec<(String, IpAddr)>)> {
    let Spec::Endpoints(list) = &object.spec else { return None };
    let namespace = &object.key.namespace;
    let service = if object.key.kind == Kind::Endpoints { &object.key.name } else { &list.service };
    let addresses = list.endpoints.iter().map(|endpoint| (namespace.clone(), endpoint.ip)).collect();
    Some(((namespace.clone(), service.clone()), addresses))
}
