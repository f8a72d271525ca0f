//! VirtualServices: hosts and subsets of their destinations.

use serde_json::Value;

use crate::code::Code;
use crate::finding::Report;
use crate::host::{covers, full_name};
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::Look;

/// A destination and where it stands.
pub(super) struct Reference<'a> {
    pub(super) destination: &'a Value,
    pub(super) pointer: String,
    /// A copy of the request goes there, not the request.
    mirror: bool,
}

/// All destinations of a VirtualService: of routes and mirrors.
pub(super) fn destinations(service: &Resource) -> Vec<Reference<'_>> {
    let mut found = Vec::new();
    for protocol in ["http", "tls", "tcp"] {
        for (index, route) in service.spec().list(&format!("/{protocol}")).iter().enumerate() {
            let at = format!("/spec/{protocol}/{index}");
            for (place, weighted) in route.list("/route").iter().enumerate() {
                let pointer = format!("{at}/route/{place}/destination");
                found.push(Reference { destination: weighted.at("/destination"), pointer, mirror: false });
            }
            if route.has("/mirror") {
                found.push(Reference {
                    destination: route.at("/mirror"),
                    pointer: format!("{at}/mirror"),
                    mirror: true,
                });
            }
            for (place, mirror) in route.list("/mirrors").iter().enumerate() {
                let pointer = format!("{at}/mirrors/{place}/destination");
                found.push(Reference { destination: mirror.at("/destination"), pointer, mirror: true });
            }
        }
    }
    found
}

pub(super) fn check_hosts(snapshot: &Snapshot, report: &mut Report) {
    for service in snapshot.all("VirtualService") {
        for reference in destinations(service) {
            let host = reference.destination.text("/host");
            if host.is_empty() {
                continue;
            }
            let pointer = format!("{}/host", reference.pointer);
            match known_host(snapshot, &full_name(host, &service.namespace), &service.namespace) {
                None => {
                    let what = if reference.mirror { "mirror" } else { "destination" };
                    report.add(
                        Code::ReferencedResourceNotFound,
                        service,
                        &pointer,
                        format!("the {what} {host} is neither a service nor the host of a ServiceEntry"),
                    );
                }
                Some(ports) if ports.len() > 1 && !reference.destination.has("/port/number") => {
                    let ports: Vec<String> = ports.iter().map(u64::to_string).collect();
                    report.add(
                        Code::VirtualServiceDestinationPortSelectorRequired,
                        service,
                        &pointer,
                        format!("{host} has the ports {}, and the destination names none", ports.join(", ")),
                    );
                }
                Some(_) => {}
            }
        }
    }
}

/// The ports of a host that a namespace sees; nothing if it sees no such host.
fn known_host(snapshot: &Snapshot, host: &str, namespace: &str) -> Option<Vec<u64>> {
    let ports = |resource: &Resource, field: &str| -> Vec<u64> {
        resource.spec().list("/ports").iter().filter_map(|port| port.port(field)).collect()
    };
    for service in snapshot.all("Service") {
        if host == format!("{}.{}.svc.cluster.local", service.name, service.namespace) {
            return Some(ports(service, "/port"));
        }
    }
    let visible = |entry: &&Resource| super::virtual_service_conflicts::Visibility::of(entry).includes(namespace);
    let mut wild = None;
    for entry in snapshot.all("ServiceEntry").filter(visible) {
        for known in entry.spec().texts("/hosts") {
            if full_name(known, &entry.namespace) == host {
                return Some(ports(entry, "/number"));
            }
            if covers(known, host) {
                wild.get_or_insert_with(|| ports(entry, "/number"));
            }
        }
    }
    wild
}

pub(super) fn check_subsets(snapshot: &Snapshot, report: &mut Report) {
    for service in snapshot.all("VirtualService") {
        for reference in destinations(service) {
            let (host, subset) = (reference.destination.text("/host"), reference.destination.text("/subset"));
            if subset.is_empty() {
                continue;
            }
            let host = full_name(host, &service.namespace);
            let declared = snapshot.all("DestinationRule").any(|rule| {
                covers(&full_name(rule.spec().text("/host"), &rule.namespace), &host)
                    && rule.spec().list("/subsets").iter().any(|known| known.text("/name") == subset)
            });
            if !declared {
                report.add(
                    Code::ReferencedResourceNotFound,
                    service,
                    &format!("{}/subset", reference.pointer),
                    format!("no DestinationRule declares the subset {subset} of {host}"),
                );
            }
        }
    }
}
