//! VirtualServices: hosts and subsets of their destinations.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::code::Code;
use crate::finding::Report;
use crate::hosts::Hosts;
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::Look;

/// A destination and where it stands.
struct Reference<'a> {
    destination: &'a Value,
    pointer: String,
}

/// All destinations of a VirtualService: of routes and mirrors.
fn destinations(service: &Resource) -> Vec<Reference<'_>> {
    let mut found = Vec::new();
    for protocol in ["http", "tls", "tcp"] {
        for (index, route) in service.spec().list(&format!("/{protocol}")).iter().enumerate() {
            let at = format!("/spec/{protocol}/{index}");
            for (place, weighted) in route.list("/route").iter().enumerate() {
                let pointer = format!("{at}/route/{place}/destination");
                found.push(Reference { destination: weighted.at("/destination"), pointer });
            }
            if route.has("/mirror") {
                found.push(Reference { destination: route.at("/mirror"), pointer: format!("{at}/mirror") });
            }
            for (place, mirror) in route.list("/mirrors").iter().enumerate() {
                let pointer = format!("{at}/mirrors/{place}/destination");
                found.push(Reference { destination: mirror.at("/destination"), pointer });
            }
        }
    }
    found
}

pub(super) fn check_hosts(snapshot: &Snapshot, report: &mut Report) {
    let hosts = Hosts::of(snapshot);
    for service in snapshot.all("VirtualService") {
        let export_to = service.spec().texts("/exportTo");
        for reference in destinations(service) {
            let host = reference.destination.text("/host");
            match hosts.find(host, &service.namespace, &export_to) {
                Some(known) => check_port(service, &reference, &known.ports, report),
                None => {
                    let message = format!("{reference}: {host:?} is neither a service nor the host of a ServiceEntry");
                    report.add(
                        Code::ReferencedResourceNotFound,
                        service,
                        &format!("{}/host", reference.pointer),
                        message,
                    );
                }
            }
        }
    }
    check_subset_rules(snapshot, report);
}

fn check_port(service: &Resource, reference: &Reference<'_>, ports: &[u64], report: &mut Report) {
    let host = reference.destination.text("/host");
    let listed = || ports.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    if !reference.destination.has("/port") {
        if ports.len() > 1 {
            let message = format!("{reference}: {host} has the ports {}, and the destination names none", listed());
            let pointer = format!("{}/host", reference.pointer);
            report.add(Code::VirtualServiceDestinationPortSelectorRequired, service, &pointer, message);
        }
        return;
    }
    let number = reference.destination.port("/port/number").unwrap_or_default();
    if !ports.contains(&number) {
        let message = format!("{reference}: {host} has no port {number}; it has {}", listed());
        report.add(Code::ReferencedResourceNotFound, service, &format!("{}/port", reference.pointer), message);
    }
}

/// Routes to a host's subsets hold where the VirtualService does: one that is bound to gateways and sends to the host
/// without a subset does not use them.
fn check_subset_rules(snapshot: &Snapshot, report: &mut Report) {
    let mut rules: BTreeMap<&str, Vec<&Resource>> = BTreeMap::new();
    for service in snapshot.all("VirtualService") {
        let hosts = service.spec().texts("/hosts");
        for (_, destination) in http_routes(service) {
            let host = destination.text("/host");
            if !destination.text("/subset").is_empty() && hosts.contains(&host) {
                rules.entry(host).or_default().push(service);
            }
        }
    }
    for service in snapshot.all("VirtualService").filter(|service| !service.spec().list("/gateways").is_empty()) {
        for (pointer, destination) in http_routes(service).filter(|(_, found)| found.text("/subset").is_empty()) {
            for rule in rules.get(destination.text("/host")).into_iter().flatten() {
                let message = format!(
                    "{}: requests of the gateway go to {} without regard of the subsets that {} routes to",
                    dotted(&pointer),
                    destination.text("/host"),
                    rule.path()
                );
                report.add(Code::IngressRouteRulesNotAffected, service, &format!("{pointer}/host"), message);
            }
        }
    }
}

/// Destinations of `http[].route[]`, with where they stand.
fn http_routes(service: &Resource) -> impl Iterator<Item = (String, &Value)> {
    service.spec().list("/http").iter().enumerate().flat_map(|(index, route)| {
        route.list("/route").iter().enumerate().map(move |(place, weighted)| {
            (format!("/spec/http/{index}/route/{place}/destination"), weighted.at("/destination"))
        })
    })
}

pub(super) fn check_subsets(snapshot: &Snapshot, report: &mut Report) {
    let declared: BTreeSet<(String, String, &str)> = snapshot
        .all("DestinationRule")
        .flat_map(|rule| {
            let (name, namespace) = service_of(rule.spec().text("/host"), &rule.namespace);
            let subsets = rule.spec().list("/subsets").iter();
            subsets.map(move |subset| (name.clone(), namespace.clone(), subset.text("/name")))
        })
        .collect();
    for service in snapshot.all("VirtualService") {
        for reference in destinations(service) {
            let (host, subset) = (reference.destination.text("/host"), reference.destination.text("/subset"));
            let (name, namespace) = service_of(host, &service.namespace);
            if !subset.is_empty() && !declared.contains(&(name, namespace, subset)) {
                report.add(
                    Code::ReferencedResourceNotFound,
                    service,
                    &format!("{}/subset", reference.pointer),
                    format!("{reference}: no DestinationRule declares the subset {subset} of {host}"),
                );
            }
        }
    }
}

/// Name and namespace of the service that a host stands for; what is no full name is taken for a name of `namespace`.
fn service_of(host: &str, namespace: &str) -> (String, String) {
    let full = host.strip_suffix(".svc.cluster.local").and_then(|rest| rest.rsplit_once('.'));
    let (name, namespace) = full.unwrap_or((host, namespace));
    (name.to_owned(), namespace.to_owned())
}

/// Where it stands, in dots: `http[0].route[1].destination`.
impl fmt::Display for Reference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&dotted(&self.pointer))
    }
}

/// A pointer below `spec` as people write it.
fn dotted(pointer: &str) -> String {
    let mut text = String::new();
    for step in pointer.split('/').skip(2) {
        match step.parse::<usize>() {
            Ok(index) => text.push_str(&format!("[{index}]")),
            Err(_) if text.is_empty() => text.push_str(step),
            Err(_) => text.push_str(&format!(".{step}")),
        }
    }
    text
}
