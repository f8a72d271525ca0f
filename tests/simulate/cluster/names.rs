//! Names as an application's resolver finds them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Cluster, list, pods, selects, text, text_map};

/// The namespace under which hosts outside are named.
pub(crate) const EXTERNAL: &str = "external";
const DOMAIN: &str = ".svc.cluster.local";

impl Cluster {
    /// The address of a host for an application of this namespace. What no object describes is somewhere outside.
    pub(crate) fn resolve(&mut self, host: &str, namespace: &str) -> IpAddr {
        let host = host.to_ascii_lowercase();
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            return address;
        }
        match self.inside(&host, namespace) {
            Some(Found::At(address)) => address,
            Some(Found::Named(name)) => self.resolve(&name, namespace),
            None => self.addresses.outside(&host),
        }
    }

    /// Addresses for the names that objects mention and that nothing here has.
    pub(super) fn make_outside(&mut self) {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for (_, entry) in self.of_kind("ServiceEntry") {
            names.extend(list(entry, &["spec", "hosts"]).iter().filter_map(|one| one.as_str()).map(str::to_owned));
            let endpoints = list(entry, &["spec", "endpoints"]).iter();
            names.extend(endpoints.filter_map(|one| text(one, &["address"])).map(str::to_owned));
        }
        names.extend(
            self.of_kind("WorkloadEntry").filter_map(|(_, one)| text(one, &["spec", "address"])).map(str::to_owned),
        );
        names.extend(
            self.of_kind("Service").filter_map(|(_, one)| text(one, &["spec", "externalName"])).map(str::to_owned),
        );
        for name in names.iter().map(|name| name.to_ascii_lowercase()) {
            let is_name = !name.starts_with('*') && !name.starts_with("unix:") && name.parse::<IpAddr>().is_err();
            if is_name && self.inside(&name, "").is_none() {
                self.addresses.outside(&name);
            }
        }
    }

    /// Addresses that are somewhere outside.
    pub(crate) fn outside(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.all_outside().map(|(_, address)| address)
    }

    /// Every name that a proxy may have to look up, as lines of a hosts file.
    pub(crate) fn host_names(&self) -> String {
        let mut lines = String::from("127.0.0.1 localhost\n");
        for (host, address) in self.addresses.all_outside() {
            lines.push_str(&format!("{address} {host}\n"));
        }
        for (key, service) in self.of_kind("Service") {
            if let Some(Found::At(address)) = self.of_service(&key.namespace, &key.name, service) {
                let (name, namespace) = (&key.name, &key.namespace);
                lines.push_str(&format!(
                    "{address} {name}.{namespace}.svc.cluster.local {name}.{namespace}.svc {name}.{namespace}\n"
                ));
            }
        }
        for (_, entry) in self.of_kind("ServiceEntry") {
            for host in list(entry, &["spec", "hosts"]).iter().filter_map(serde_json::Value::as_str) {
                if let Some(Found::At(address)) = self.of_entry(host) {
                    lines.push_str(&format!("{address} {host}\n"));
                }
            }
        }
        lines
    }

    fn inside(&self, host: &str, namespace: &str) -> Option<Found> {
        let short = host.strip_suffix(DOMAIN).or_else(|| host.strip_suffix(".svc")).unwrap_or(host);
        let (name, namespace) = short.split_once('.').unwrap_or((short, namespace));
        let service = self.get("Service", namespace, name);
        service.and_then(|service| self.of_service(namespace, name, service)).or_else(|| self.of_entry(host))
    }

    fn of_service(&self, namespace: &str, name: &str, service: &serde_json::Value) -> Option<Found> {
        if let Some(other) = text(service, &["spec", "externalName"]) {
            return Some(Found::Named(other.to_owned()));
        }
        match text(service, &["spec", "clusterIP"])? {
            "None" => self.headless(namespace, name, service).map(Found::At),
            address => address.parse().ok().map(Found::At),
        }
    }

    /// The first ready endpoint of a Service without an address.
    fn headless(&self, namespace: &str, name: &str, service: &serde_json::Value) -> Option<IpAddr> {
        let selector = text_map(service, &["spec", "selector"]);
        let mut selected = self.of_kind("Pod").filter(|(key, pod)| {
            key.namespace == namespace
                && pods::is_ready(pod)
                && selects(&selector, &text_map(pod, &["metadata", "labels"]))
        });
        let listed = || {
            let slices = self.of_kind("EndpointSlice").filter(|(key, slice)| {
                key.namespace == namespace
                    && text(slice, &["metadata", "labels", "kubernetes.io/service-name"]) == Some(name)
            });
            let mut all = slices.flat_map(|(_, slice)| list(slice, &["endpoints"]));
            all.find_map(|one| list(one, &["addresses"]).first()?.as_str()?.parse().ok())
        };
        selected.find_map(|(_, pod)| pods::address(pod)).or_else(listed)
    }

    /// The address that a ServiceEntry gives its host.
    fn of_entry(&self, host: &str) -> Option<Found> {
        self.of_kind("ServiceEntry").find_map(|(_, entry)| {
            let mut hosts = list(entry, &["spec", "hosts"]).iter().filter_map(serde_json::Value::as_str);
            if !hosts.any(|one| one.eq_ignore_ascii_case(host)) {
                return None;
            }
            let mut addresses = list(entry, &["spec", "addresses"]).iter().filter_map(serde_json::Value::as_str);
            addresses.find_map(|address| address.parse().ok()).map(Found::At)
        })
    }
}

enum Found {
    At(IpAddr),
    Named(String),
}
