//! VirtualServices of the mesh that claim the same host.

use std::collections::BTreeSet;

use crate::code::Code;
use crate::finding::Report;
use crate::host::{full_name, overlap};
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::Look;

/// Namespaces that see a resource, as `exportTo` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Visibility {
    All,
    Only(BTreeSet<String>),
}

impl Visibility {
    pub(super) fn of(resource: &Resource) -> Self {
        let listed = resource.spec().texts("/exportTo");
        if listed.is_empty() || listed.contains(&"*") {
            return Self::All;
        }
        let name = |namespace: &str| match namespace {
            "." => resource.namespace.clone(),
            other => other.to_owned(),
        };
        Self::Only(listed.into_iter().filter(|namespace| *namespace != "~").map(name).collect())
    }

    pub(super) fn includes(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(namespaces) => namespaces.contains(namespace),
        }
    }

    /// Whether some namespace is in both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, Self::All) => true,
            (Self::All, Self::Only(namespaces)) | (Self::Only(namespaces), Self::All) => !namespaces.is_empty(),
            (Self::Only(one), Self::Only(other)) => !one.is_disjoint(other),
        }
    }
}

/// A VirtualService that holds for sidecars.
struct Claim<'a> {
    service: &'a Resource,
    hosts: Vec<String>,
    visibility: Visibility,
}

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    let claims: Vec<Claim<'_>> =
        snapshot.all("VirtualService").filter(|service| is_of_mesh(service)).map(claim).collect();
    for claim in &claims {
        for (index, host) in claim.hosts.iter().enumerate() {
            let rivals: BTreeSet<String> = claims
                .iter()
                .filter(|other| !other.service.is(claim.service) && other.visibility.meets(&claim.visibility))
                .filter(|other| other.hosts.iter().any(|known| overlap(known, host)))
                .map(|other| other.service.path())
                .collect();
            if !rivals.is_empty() {
                let rivals: Vec<String> = rivals.into_iter().collect();
                report.add(
                    Code::ConflictingMeshGatewayVirtualServiceHosts,
                    claim.service,
                    &format!("/spec/hosts/{index}"),
                    format!("sidecars find the host {host} also in {}", rivals.join(", ")),
                );
            }
        }
    }
}

fn is_of_mesh(service: &Resource) -> bool {
    let gateways = service.spec().texts("/gateways");
    gateways.is_empty() || gateways.contains(&"mesh")
}

fn claim(service: &Resource) -> Claim<'_> {
    let hosts = service.spec().texts("/hosts").into_iter().map(|host| full_name(host, &service.namespace)).collect();
    Claim { service, hosts, visibility: Visibility::of(service) }
}
