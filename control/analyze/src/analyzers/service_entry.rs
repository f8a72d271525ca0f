//! ServiceEntries: TCP without addresses, and ports on whose protocol entries disagree.

use crate::code::Code;
use crate::finding::Report;
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::Look;

pub(super) fn check_addresses(snapshot: &Snapshot, report: &mut Report) {
    if snapshot.mesh_config.allocates_addresses() {
        return;
    }
    for entry in snapshot.all("ServiceEntry").filter(|entry| entry.spec().list("/addresses").is_empty()) {
        for (index, port) in entry.spec().list("/ports").iter().enumerate() {
            let protocol = port.text("/protocol");
            if protocol.is_empty() || protocol.eq_ignore_ascii_case("TCP") {
                report.add(
                    Code::ServiceEntryAddressesRequired,
                    entry,
                    &format!("/spec/ports/{index}"),
                    format!(
                        "port {} is TCP, and without addresses all TCP connections to this port are taken for the entry's",
                        port.port("/number").unwrap_or_default()
                    ),
                );
            }
        }
    }
}

/// One host and port of an entry.
struct Claim<'a> {
    entry: &'a Resource,
    host: &'a str,
    index: usize,
    number: u64,
    protocol: String,
}

pub(super) fn check_protocols(snapshot: &Snapshot, report: &mut Report) {
    let claims: Vec<Claim<'_>> = snapshot.all("ServiceEntry").flat_map(claims_of).collect();
    for claim in &claims {
        let rivals: Vec<&Claim<'_>> = claims
            .iter()
            .filter(|other| !other.entry.is(claim.entry) && other.host == claim.host && other.number == claim.number)
            .filter(|other| other.protocol != claim.protocol && meet(claim.entry, other.entry))
            .collect();
        if !rivals.is_empty() {
            let rivals: Vec<String> =
                rivals.iter().map(|rival| format!("{} in {}", rival.protocol, rival.entry.path())).collect();
            report.add(
                Code::ConflictingServiceEntryProtocol,
                claim.entry,
                &format!("/spec/ports/{}", claim.index),
                format!("port {} of {} is {}, and {}", claim.number, claim.host, claim.protocol, rivals.join(", ")),
            );
        }
    }
}

fn claims_of(entry: &Resource) -> Vec<Claim<'_>> {
    let mut claims = Vec::new();
    for host in entry.spec().texts("/hosts") {
        for (index, port) in entry.spec().list("/ports").iter().enumerate() {
            if let Some(number) = port.port("/number") {
                claims.push(Claim {
                    entry,
                    host,
                    index,
                    number,
                    protocol: port.text("/protocol").to_ascii_uppercase(),
                });
            }
        }
    }
    claims
}

/// Whether some namespace sees both.
fn meet(one: &Resource, other: &Resource) -> bool {
    super::virtual_service_conflicts::Visibility::of(one)
        .meets(&super::virtual_service_conflicts::Visibility::of(other))
}
