//! Services get addresses; who answers at an address, and on which ports applications listen.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::{Value, json};

use super::names::EXTERNAL;
use super::{Cluster, list, pods, selects, text, text_map};
use crate::case::{Name, ObjectRef};

impl Cluster {
    pub(super) fn make_service_addresses(&mut self) {
        let services: Vec<(ObjectRef, Value)> = self
            .given
            .iter()
            .filter(|(key, _)| key.kind == "Service")
            .map(|(key, object)| (key.clone(), object.clone()))
            .collect();
        for (key, mut service) in services {
            let external = text(&service, &["spec", "type"]) == Some("ExternalName");
            if !external && text(&service, &["spec", "clusterIP"]).is_none() {
                service["spec"]["clusterIP"] =
                    json!(self.addresses.service(&format!("{}/{}", key.namespace, key.name)));
                self.derived.insert(key, service);
            }
        }
    }

    /// Every name by which what answers at an address is known: pod, workload, and the Services and entries that it is
    /// an endpoint of.
    pub(crate) fn names_at(&self, address: IpAddr) -> BTreeSet<Name> {
        let mut names = BTreeSet::new();
        let name = |namespace: &str, name: &str| Name { namespace: namespace.to_owned(), name: name.to_owned() };
        let here = address.to_string();
        for (key, pod) in self.of_kind("Pod").filter(|(_, pod)| pods::address(pod) == Some(address)) {
            names.insert(name(&key.namespace, &key.name));
            names.extend(pods::owner(pod).map(|owner| name(&key.namespace, owner)));
            names.extend(self.selecting(&key.namespace, &text_map(pod, &["metadata", "labels"])));
        }
        for (key, entry) in self.of_kind("WorkloadEntry").filter(|(_, entry)| address_of(entry) == Some(&here)) {
            names.insert(name(&key.namespace, &key.name));
            let mut labels = text_map(entry, &["metadata", "labels"]);
            labels.extend(text_map(entry, &["spec", "labels"]));
            names.extend(self.selecting(&key.namespace, &labels));
        }
        for (key, entry) in self.of_kind("ServiceEntry") {
            let mut endpoints = list(entry, &["spec", "endpoints"]).iter().filter_map(|one| text(one, &["address"]));
            if endpoints.any(|one| one == here || self.addresses.known_outside(one) == Some(address)) {
                names.insert(name(&key.namespace, &key.name));
            }
        }
        names.extend(self.listing(&here));
        let outside = self.addresses.all_outside().filter(|(_, known)| *known == address);
        names.extend(outside.map(|(host, _)| name(EXTERNAL, host)));
        names
    }

    /// Services and service entries that select labels.
    fn selecting(&self, namespace: &str, labels: &BTreeMap<String, String>) -> Vec<Name> {
        let services = self.of_kind("Service").map(|(key, one)| (key, text_map(one, &["spec", "selector"])));
        let entries = self
            .of_kind("ServiceEntry")
            .map(|(key, one)| (key, text_map(one, &["spec", "workloadSelector", "labels"])));
        let chosen =
            services.chain(entries).filter(|(key, wanted)| key.namespace == namespace && selects(wanted, labels));
        chosen.map(|(key, _)| Name { namespace: key.namespace.clone(), name: key.name.clone() }).collect()
    }

    /// Services whose Endpoints or EndpointSlices have an address.
    fn listing(&self, here: &str) -> Vec<Name> {
        let slices = self.of_kind("EndpointSlice").filter_map(|(key, slice)| {
            let service = text(slice, &["metadata", "labels", "kubernetes.io/service-name"])?;
            let mut all = list(slice, &["endpoints"]).iter().flat_map(|one| list(one, &["addresses"]));
            all.any(|one| one == here).then(|| Name { namespace: key.namespace.clone(), name: service.to_owned() })
        });
        let endpoints = self.of_kind("Endpoints").filter_map(|(key, object)| {
            let mut all = list(object, &["subsets"]).iter().flat_map(|one| list(one, &["addresses"]));
            all.any(|one| text(one, &["ip"]) == Some(here))
                .then(|| Name { namespace: key.namespace.clone(), name: key.name.clone() })
        });
        slices.chain(endpoints).collect()
    }
}

fn address_of(entry: &Value) -> Option<&str> {
    text(entry, &["spec", "address"])
}
