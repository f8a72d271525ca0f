//! ServiceEntries with the workloads that they name or select.

use std::collections::BTreeMap;

use orrery_api::{Labels, Object, Resolution, Service, ServiceEntry, ServiceLocation, Spec, WorkloadEntry};

use super::kubernetes::{named_endpoint, pod_endpoint};
use super::{INJECTED, TLS_MODE, candidates};
use crate::registry::{
    EndpointAddress, Finding, Origin, PortProtocol, RegistryService, ServiceEndpoint, ServicePortInfo,
};
use crate::world::World;

/// Locality of a workload whose entry names none; `.` stands for `/`.
const LOCALITY: &str = "istio-locality";

pub(super) fn service(world: &World, object: &Object, entry: &ServiceEntry, host: &str) -> RegistryService {
    let ports: Vec<ServicePortInfo> = entry
        .ports
        .iter()
        .map(|port| ServicePortInfo {
            number: port.number,
            name: port.name.clone(),
            protocol: PortProtocol::of(&port.protocol),
            target: port.target,
        })
        .collect();
    let finding = match entry.resolution {
        Resolution::None => Finding::OriginalDestination,
        Resolution::Static => Finding::Listed,
        Resolution::Dns => Finding::Dns,
        Resolution::DnsRoundRobin => Finding::DnsRoundRobin,
        Resolution::DynamicDns => Finding::Requested,
    };
    let mut endpoints: Vec<ServiceEndpoint> =
        entry.endpoints.iter().filter_map(|one| workload_endpoint(object, one, entry_ports(entry, one))).collect();
    if let Some(selector) = &entry.workload_selector {
        endpoints.extend(selected(world, object, entry, selector));
    }
    let by_name = matches!(finding, Finding::Dns | Finding::DnsRoundRobin) && entry.workload_selector.is_none();
    // With DNS and no endpoint of its own, the host is where to go.
    if by_name && endpoints.is_empty() {
        endpoints.push(named_endpoint(host, &ports, &object.key.namespace));
    }
    RegistryService {
        host: host.to_owned(),
        name: host.to_owned(),
        namespace: object.key.namespace.clone(),
        ports,
        addresses: entry.addresses.clone(),
        endpoints,
        finding,
        origin: Origin::ServiceEntry,
        external: entry.location == ServiceLocation::External,
        subject_alt_names: entry.subject_alt_names.clone(),
        export_to: entry.export_to.clone(),
        alias: None,
    }
}

/// Workload entries and pods of the entry's namespace.
fn selected(world: &World, object: &Object, entry: &ServiceEntry, selector: &Labels) -> Vec<ServiceEndpoint> {
    let by_name = matches!(entry.resolution, Resolution::Dns | Resolution::DnsRoundRobin);
    let mut endpoints = Vec::new();
    for other in candidates(world, &object.key.namespace, selector) {
        match &other.spec {
            Spec::WorkloadEntry(workload) if selector.select(&workload_labels(other, workload)) => {
                let one = workload_endpoint(other, workload, entry_ports(entry, workload));
                endpoints.extend(one.filter(|one| by_name || matches!(one.address, EndpointAddress::Ip(_))));
            }
            Spec::Pod(pod) if selector.select(&other.meta.labels) => {
                let ports = entry.ports.iter().map(|port| (port.number, port.target_number())).collect();
                let one =
                    pod.ip.map(|ip| ServiceEndpoint { ports, ..pod_endpoint(other, pod, ip, &Service::default()) });
                endpoints.extend(one);
            }
            _ => {}
        }
    }
    endpoints
}

fn entry_ports(entry: &ServiceEntry, workload: &WorkloadEntry) -> BTreeMap<u16, u16> {
    let ports = entry.ports.iter();
    ports.map(|port| (port.number, workload.ports.get(&port.name).copied().unwrap_or(port.target_number()))).collect()
}

/// Labels of a workload entry: its own, and those of the object, which count more.
pub(crate) fn workload_labels(object: &Object, entry: &WorkloadEntry) -> Labels {
    let mut labels = entry.labels.clone();
    if matches!(object.spec, Spec::WorkloadEntry(_)) {
        labels.0.extend(object.meta.labels.0.clone());
    }
    labels
}

pub(super) fn workload_endpoint(
    object: &Object,
    entry: &WorkloadEntry,
    ports: BTreeMap<u16, u16>,
) -> Option<ServiceEndpoint> {
    if entry.address.is_empty() {
        return None;
    }
    let labels = workload_labels(object, entry);
    let address = match entry.address.parse() {
        Ok(ip) => EndpointAddress::Ip(ip),
        Err(_) => EndpointAddress::Name(entry.address.clone()),
    };
    let injected = matches!(object.spec, Spec::WorkloadEntry(_)) && object.meta.annotations.get(INJECTED).is_some();
    let in_mesh = match labels.get(TLS_MODE) {
        Some(mode) => mode == "istio",
        None => entry.says_service_account || injected,
    };
    let locality = match entry.locality.as_str() {
        "" => labels.get(LOCALITY).unwrap_or_default().replace('.', "/"),
        locality => locality.to_owned(),
    };
    Some(ServiceEndpoint {
        address,
        ports,
        in_mesh,
        labels,
        namespace: object.key.namespace.clone(),
        service_account: entry.service_account.clone(),
        workload: object.key.name.clone(),
        ready: true,
        weight: entry.weight.unwrap_or(1).max(1),
        locality,
    })
}
