//! VirtualServices of the mesh that claim the same host.

use std::collections::{BTreeMap, BTreeSet};

use crate::code::Code;
use crate::finding::Report;
use crate::host::{full_name, overlap};
use crate::hosts::{EVERYWHERE, scopes};
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::Look;

/// VirtualServices by the scope that sees them, and then by host.
type Claims<'a> = BTreeMap<String, BTreeMap<String, Vec<&'a Resource>>>;

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    let claims = claims(snapshot);
    let everywhere = claims.get(EVERYWHERE);
    let mut told = BTreeSet::new();
    for (scope, hosts) in &claims {
        for (host, own) in hosts {
            let mut rivals = own.clone();
            if scope != EVERYWHERE {
                rivals.extend(
                    everywhere.into_iter().flatten().filter(|(known, _)| overlap(known, host)).flat_map(|(_, of)| of),
                );
            }
            if rivals.len() > 1 {
                tell(host, &rivals, &mut told, report);
            }
        }
    }
}

/// Each VirtualService is told of its first conflict.
fn tell(host: &str, rivals: &[&Resource], told: &mut BTreeSet<String>, report: &mut Report) {
    let mut names: Vec<String> = rivals.iter().map(|rival| rival.path()).collect();
    names.sort();
    let message = format!("sidecars find the host {host} in {}", names.join(", "));
    for rival in rivals {
        if told.insert(rival.path()) {
            report.add(Code::ConflictingMeshGatewayVirtualServiceHosts, rival, "/metadata/name", message.clone());
        }
    }
}

fn claims(snapshot: &Snapshot) -> Claims<'_> {
    let mut claims = Claims::new();
    for service in snapshot.all("VirtualService").filter(|service| is_of_mesh(service)) {
        for scope in scopes(service) {
            let of_scope = claims.entry(scope).or_default();
            for host in service.spec().texts("/hosts") {
                of_scope.entry(full_name(host, &service.namespace)).or_default().push(service);
            }
        }
    }
    claims
}

fn is_of_mesh(service: &Resource) -> bool {
    let gateways = service.spec().texts("/gateways");
    gateways.is_empty() || gateways.contains(&"mesh")
}
