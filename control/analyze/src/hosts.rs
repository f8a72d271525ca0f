//! Hosts that destinations may name: those of services and of ServiceEntries, by the namespaces that see them.

use std::collections::{BTreeMap, BTreeSet};

use crate::host::full_name;
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::{Labels, Look};

/// The scope of what every namespace sees.
pub(crate) const EVERYWHERE: &str = "*";
/// Services have no field for it.
const EXPORT_TO: &str = "networking.istio.io/exportTo";

/// What is known of a host.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) ports: Vec<u64>,
    /// Labels of its workloads; empty for a service, whose own selector is not Istio's business.
    pub(crate) selector: Labels,
}

/// All hosts by scope and full name.
pub(crate) struct Hosts {
    known: BTreeMap<(String, String), Host>,
}

/// The namespaces that see a resource, as its `exportTo` says; [`EVERYWHERE`] stands for all.
pub(crate) fn scopes(resource: &Resource) -> BTreeSet<String> {
    scopes_of(&resource.spec().texts("/exportTo"), &resource.namespace)
}

fn scopes_of(export_to: &[&str], namespace: &str) -> BTreeSet<String> {
    if export_to.is_empty() || export_to.contains(&EVERYWHERE) {
        return BTreeSet::from([EVERYWHERE.to_owned()]);
    }
    export_to.iter().map(|scope| if *scope == "." { namespace } else { *scope }.to_owned()).collect()
}

impl Hosts {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let mut hosts = Self { known: BTreeMap::new() };
        for entry in snapshot.all("ServiceEntry") {
            for host in entry.spec().texts("/hosts") {
                for scope in scopes(entry) {
                    hosts.add(scope, full_name(host, &entry.namespace), entry);
                }
            }
        }
        for service in snapshot.all("Service") {
            let exported = service.annotations.get(EXPORT_TO).map(String::as_str).unwrap_or_default();
            let listed: Vec<&str> = exported.split(',').map(str::trim).filter(|scope| !scope.is_empty()).collect();
            for scope in scopes_of(&listed, &service.namespace) {
                hosts.add(scope, full_name(&service.name, &service.namespace), service);
            }
        }
        hosts
    }

    fn add(&mut self, scope: String, name: String, resource: &Resource) {
        let number = if resource.kind == "Service" { "/port" } else { "/number" };
        let ports = resource.spec().list("/ports").iter().filter_map(|port| port.port(number)).collect();
        let selector = resource.spec().labels("/workloadSelector/labels");
        self.known.insert((scope, name), Host { ports, selector });
    }

    /// The host that an object of a namespace means, if that namespace sees it. What the object exports itself to
    /// widens what it sees, as in Istio's analysis.
    pub(crate) fn find(&self, host: &str, namespace: &str, export_to: &[&str]) -> Option<&Host> {
        let name = full_name(host, namespace);
        let exact = |scope: &str| self.known.get(&(scope.to_owned(), name.clone()));
        let own = || match export_to {
            [] => exact(namespace),
            listed => listed.iter().find_map(|scope| exact(if *scope == "." { namespace } else { scope })),
        };
        exact(EVERYWHERE).or_else(own).or_else(|| self.covering(host, namespace))
    }

    fn covering(&self, host: &str, namespace: &str) -> Option<&Host> {
        let host = host.strip_prefix('*').unwrap_or(host);
        let covers = |(scope, known): &(String, String)| {
            let visible = scope == EVERYWHERE || scope == namespace;
            visible && known.strip_prefix('*').is_some_and(|suffix| host.ends_with(suffix))
        };
        self.known.iter().find(|(key, _)| covers(key)).map(|(_, host)| host)
    }
}
