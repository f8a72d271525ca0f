//! Where applications listen.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use super::{Cluster, list, pods, selects, text, text_map};

/// Sockets of applications.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listening {
    pub(crate) tcp: BTreeSet<SocketAddr>,
    pub(crate) udp: BTreeSet<SocketAddr>,
}

impl Cluster {
    /// Pods listen on their container ports and on the target ports of Services that select them; endpoints that are no
    /// pods on the ports of what they belong to.
    pub(crate) fn listening(&self) -> Listening {
        let mut found = Listening::default();
        for (key, pod) in self.of_kind("Pod") {
            let Some(address) = pods::address(pod) else { continue };
            let containers = list(pod, &["spec", "containers"]);
            for port in containers.iter().flat_map(|container| list(container, &["ports"])) {
                found.add(address, number(port, "containerPort"), port);
            }
            let labels = text_map(pod, &["metadata", "labels"]);
            for (_, service) in self.of_kind("Service").filter(|(other, _)| other.namespace == key.namespace) {
                if selects(&text_map(service, &["spec", "selector"]), &labels) {
                    for port in list(service, &["spec", "ports"]) {
                        found.add(address, target(port, containers), port);
                    }
                }
            }
        }
        self.slices(&mut found);
        self.entries(&mut found);
        found
    }

    fn slices(&self, found: &mut Listening) {
        for (_, slice) in self.of_kind("EndpointSlice") {
            let addresses = list(slice, &["endpoints"]).iter().flat_map(|one| list(one, &["addresses"]));
            for address in addresses.filter_map(|one| one.as_str()?.parse().ok()) {
                for port in list(slice, &["ports"]) {
                    found.add(address, number(port, "port"), port);
                }
            }
        }
        for (_, endpoints) in self.of_kind("Endpoints") {
            for subset in list(endpoints, &["subsets"]) {
                let addresses = list(subset, &["addresses"]).iter().filter_map(|one| text(one, &["ip"])?.parse().ok());
                for address in addresses {
                    for port in list(subset, &["ports"]) {
                        found.add(address, number(port, "port"), port);
                    }
                }
            }
        }
    }

    /// Endpoints of ServiceEntries, WorkloadEntries, and hosts outside: on every port that an entry has.
    fn entries(&self, found: &mut Listening) {
        let mut ports: Vec<u64> = Vec::new();
        let mut addresses: BTreeSet<IpAddr> = self.outside().collect();
        for (_, entry) in self.of_kind("ServiceEntry") {
            let own = list(entry, &["spec", "ports"]).iter();
            ports.extend(own.flat_map(|port| [number(port, "targetPort"), number(port, "number")]).flatten());
            let endpoints = list(entry, &["spec", "endpoints"]);
            ports.extend(endpoints.iter().flat_map(own_ports));
            addresses.extend(endpoints.iter().filter_map(|one| text(one, &["address"])?.parse::<IpAddr>().ok()));
            addresses.extend(
                list(entry, &["spec", "addresses"]).iter().filter_map(|one| one.as_str()?.parse::<IpAddr>().ok()),
            );
        }
        for (_, entry) in self.of_kind("WorkloadEntry") {
            ports.extend(own_ports(&entry["spec"]));
            addresses.extend(text(entry, &["spec", "address"]).and_then(|one| one.parse::<IpAddr>().ok()));
        }
        for (_, service) in self.of_kind("Service") {
            ports.extend(list(service, &["spec", "ports"]).iter().filter_map(|port| target(port, &[])));
        }
        let pods: BTreeSet<IpAddr> = self.of_kind("Pod").filter_map(|(_, pod)| pods::address(pod)).collect();
        for address in addresses.difference(&pods) {
            for port in &ports {
                found.add(*address, Some(*port), &Value::Null);
            }
        }
    }
}

impl Listening {
    fn add(&mut self, address: IpAddr, port: Option<u64>, described: &Value) {
        let Some(port) = port.and_then(|port| u16::try_from(port).ok()) else { return };
        match text(described, &["protocol"]) {
            Some("UDP") => self.udp.insert(SocketAddr::new(address, port)),
            Some(_) | None => self.tcp.insert(SocketAddr::new(address, port)),
        };
    }
}

fn own_ports(endpoint: &Value) -> Vec<u64> {
    let ports = endpoint.get("ports").and_then(Value::as_object).into_iter().flatten();
    ports.filter_map(|(_, number)| number.as_u64()).collect()
}

fn number(port: &Value, field: &str) -> Option<u64> {
    port.get(field).and_then(Value::as_u64)
}

/// The port of a pod that a Service's port means.
fn target(port: &Value, containers: &[Value]) -> Option<u64> {
    match &port["targetPort"] {
        Value::String(name) => {
            let mut ports = containers.iter().flat_map(|container| list(container, &["ports"]));
            ports.find(|one| text(one, &["name"]) == Some(name)).and_then(|one| number(one, "containerPort"))
        }
        Value::Number(target) => target.as_u64(),
        _ => number(port, "port"),
    }
}
