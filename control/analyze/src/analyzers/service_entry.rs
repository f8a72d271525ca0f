//! ServiceEntries: TCP without addresses, and ports on whose protocol entries disagree.

use std::collections::{BTreeMap, BTreeSet};

use crate::code::Code;
use crate::finding::Report;
use crate::hosts::{EVERYWHERE, scopes};
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::Look;

pub(super) fn check_addresses(snapshot: &Snapshot, report: &mut Report) {
    if snapshot.mesh_config.allocates_addresses() {
        return;
    }
    let allocated = |entry: &Resource| !entry.body.list("/status/addresses").is_empty();
    let addressed = |entry: &&Resource| !entry.spec().list("/addresses").is_empty() || allocated(entry);
    for entry in snapshot.all("ServiceEntry").filter(|entry| !addressed(entry)) {
        for (index, port) in entry.spec().list("/ports").iter().enumerate() {
            let protocol = port.text("/protocol");
            if protocol.is_empty() || protocol.eq_ignore_ascii_case("TCP") {
                report.add(
                    Code::ServiceEntryAddressesRequired,
                    entry,
                    &format!("/spec/ports/{index}"),
                    format!(
                        "ports[{index}]: port {} is TCP, and without addresses all TCP connections to this port are taken for the entry's",
                        port.port("/number").unwrap_or_default()
                    ),
                );
            }
        }
    }
}

/// A port of an entry, of some host that some namespaces see.
struct Claim<'a> {
    entry: &'a Resource,
    protocol: String,
}

/// Claims by scope, host and number of the port.
type Claims<'a> = BTreeMap<(String, &'a str, u64), Vec<Claim<'a>>>;

pub(super) fn check_protocols(snapshot: &Snapshot, report: &mut Report) {
    let claims = claims(snapshot);
    let mut told = BTreeSet::new();
    for ((scope, host, port), own) in &claims {
        let seen_by_all = match scope.as_str() {
            EVERYWHERE => None,
            _ => claims.get(&(EVERYWHERE.to_owned(), *host, *port)),
        };
        let rivals: Vec<&Claim<'_>> = own.iter().chain(seen_by_all.into_iter().flatten()).collect();
        let protocols: BTreeSet<&str> = rivals.iter().map(|claim| claim.protocol.as_str()).collect();
        if protocols.len() < 2 {
            continue;
        }
        let names: BTreeSet<String> = rivals.iter().map(|claim| claim.entry.path()).collect();
        let list = |words: Vec<&str>| words.join(", ");
        let message = format!(
            "port {port} of {host} is {} in {}",
            list(protocols.into_iter().collect()),
            list(names.iter().map(String::as_str).collect())
        );
        for claim in rivals {
            if told.insert(claim.entry.path()) {
                report.add(Code::ConflictingServiceEntryProtocol, claim.entry, "/metadata/name", message.clone());
            }
        }
    }
}

fn claims(snapshot: &Snapshot) -> Claims<'_> {
    let mut claims = Claims::new();
    for entry in snapshot.all("ServiceEntry") {
        for scope in scopes(entry) {
            for host in entry.spec().texts("/hosts") {
                for port in entry.spec().list("/ports") {
                    let number = port.port("/number").unwrap_or_default();
                    let protocol = port.text("/protocol").to_ascii_uppercase();
                    claims.entry((scope.clone(), host, number)).or_default().push(Claim { entry, protocol });
                }
            }
        }
    }
    claims
}
