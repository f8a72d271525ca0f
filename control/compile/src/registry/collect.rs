//! From objects to services.

mod entries;
mod kubernetes;

use orrery_api::{Labels, Object, Spec};

use super::{Origin, RegistryService};
use crate::world::World;

pub(crate) use entries::workload_labels;

/// Says that a proxy was injected into a pod.
const INJECTED: &str = "sidecar.istio.io/status";
/// Says how a workload takes connections, where there is no pod to look at.
const TLS_MODE: &str = "security.istio.io/tlsMode";

/// The services of a host, from the objects that define them: a Kubernetes Service first, then the oldest entry.
pub(super) fn services(world: &World, host: &str) -> Vec<RegistryService> {
    let (members, objects) = world.members();
    let mut definers: Vec<&Object> =
        members.definers(host).filter_map(|key| objects.get(key).map(AsRef::as_ref)).collect();
    definers.sort_by_key(|object| {
        let is_entry = matches!(object.spec, Spec::ServiceEntry(_));
        (is_entry, &object.meta.created, &object.key)
    });
    let mut services = Vec::new();
    for object in definers {
        match &object.spec {
            Spec::Service(service) => services.push(kubernetes::service(world, object, service)),
            Spec::ServiceEntry(entry) => add_entry(&mut services, entries::service(world, object, entry, host)),
            _ => {}
        }
    }
    services
}

/// Workloads of a namespace that a selector may take, in the order of their keys.
fn candidates<'a>(world: &'a World, namespace: &str, selector: &Labels) -> impl Iterator<Item = &'a Object> {
    let (members, objects) = world.members();
    members.candidates(namespace, selector).filter_map(|key| objects.get(key).map(AsRef::as_ref))
}

/// A Kubernetes Service of the host keeps everything but the names that its servers may have; entries of one namespace
/// and kind are one service with the ports of all.
fn add_entry(all: &mut Vec<RegistryService>, one: RegistryService) {
    if let Some(service) = all.iter_mut().find(|service| matches!(service.origin, Origin::Kubernetes { .. })) {
        service.subject_alt_names.extend(one.subject_alt_names);
        return;
    }
    let Some(known) = all.iter_mut().find(|known| known.namespace == one.namespace) else {
        all.push(one);
        return;
    };
    if known.finding != one.finding || known.external != one.external || known.export_to != one.export_to {
        return;
    }
    for port in one.ports {
        if known.port(port.number).is_none() {
            known.ports.push(port);
        }
    }
    for address in one.addresses {
        if !known.addresses.contains(&address) {
            known.addresses.push(address);
        }
    }
    for endpoint in one.endpoints {
        match known.endpoints.iter_mut().find(|other| other.address == endpoint.address) {
            Some(other) => other.ports.extend(endpoint.ports),
            None => known.endpoints.push(endpoint),
        }
    }
    known.subject_alt_names.extend(one.subject_alt_names);
}
