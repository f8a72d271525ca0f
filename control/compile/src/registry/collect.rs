//! From objects to services.

use std::collections::BTreeMap;
use std::net::IpAddr;

use orrery_api::{
    Endpoint, ExportTo, Labels, Object, Pod, Resolution, Service, ServiceEntry, ServiceLocation, Spec, TargetPort,
    WorkloadEntry,
};

use super::{EndpointAddress, Finding, PortProtocol, RegistryService, ServiceEndpoint, ServicePortInfo};
use crate::world::World;

/// Says that a proxy was injected into a pod.
const INJECTED: &str = "sidecar.istio.io/status";
/// `exportTo` of a Service.
const EXPORT_TO: &str = "networking.istio.io/exportTo";
/// Says how a workload takes connections, where there is no pod to look at.
const TLS_MODE: &str = "security.istio.io/tlsMode";

/// The service of a host, from the object that defines it.
pub(super) fn service(world: &World, host: &str) -> Option<RegistryService> {
    let (members, objects) = world.members();
    let object = objects.get(members.definer(host)?)?;
    match &object.spec {
        Spec::Service(service) => Some(kubernetes_service(world, object, service)),
        Spec::ServiceEntry(entry) => Some(service_entry(world, object, entry, host)),
        _ => None,
    }
}

/// Workloads of a namespace that a selector may take, in the order of their keys.
fn candidates<'a>(world: &'a World, namespace: &str, selector: &Labels) -> impl Iterator<Item = &'a Object> {
    let (members, objects) = world.members();
    members.candidates(namespace, selector).filter_map(|key| objects.get(key).map(AsRef::as_ref))
}

fn kubernetes_service(world: &World, object: &Object, service: &Service) -> RegistryService {
    let key = &object.key;
    let ports: Vec<ServicePortInfo> = service
        .ports
        .iter()
        .map(|port| ServicePortInfo {
            number: port.port,
            name: port.name.clone(),
            protocol: PortProtocol::of(&port.protocol),
        })
        .collect();
    let endpoints = match (&service.external_name, service.selector.is_empty()) {
        (Some(name), _) => vec![named_endpoint(name, &ports, &key.namespace)],
        (None, false) => selected(world, &key.namespace, service),
        (None, true) => listed(world, object, service),
    };
    RegistryService {
        host: format!("{}.{}.svc.{}", key.name, key.namespace, world.settings().domain),
        name: key.name.clone(),
        namespace: key.namespace.clone(),
        ports,
        addresses: service.cluster_ip.into_iter().collect(),
        endpoints,
        finding: if service.external_name.is_some() { Finding::Dns } else { Finding::Listed },
        external: service.external_name.is_some(),
        subject_alt_names: Vec::new(),
        export_to: ExportTo::of(object.meta.annotations.get(EXPORT_TO).unwrap_or_default().split(','))
            .or(&world.settings().export_to.services)
            .clone(),
    }
}

/// Pods and workload entries that a selector takes.
fn selected(world: &World, namespace: &str, service: &Service) -> Vec<ServiceEndpoint> {
    let mut endpoints = Vec::new();
    for object in candidates(world, namespace, &service.selector) {
        match &object.spec {
            Spec::Pod(pod) if service.selector.select(&object.meta.labels) => {
                endpoints.extend(pod.ip.map(|ip| pod_endpoint(object, pod, ip, service)));
            }
            Spec::WorkloadEntry(entry) if service.selector.select(&workload_labels(object, entry)) => {
                let ports = service.ports.iter().map(|port| {
                    let named = entry.ports.get(&port.name).copied();
                    (
                        port.port,
                        named.unwrap_or(match port.target {
                            TargetPort::Number(number) => number,
                            TargetPort::Name(_) => port.port,
                        }),
                    )
                });
                endpoints.extend(workload_endpoint(object, entry, ports.collect()));
            }
            _ => {}
        }
    }
    endpoints
}

/// Where a pod runs, as its labels say: Istio's own, else those that Kubernetes copies from the node.
fn locality(labels: &Labels) -> String {
    if let Some(place) = labels.get("istio-locality") {
        return place.replace('.', "/");
    }
    let Some(region) = labels.get("topology.kubernetes.io/region") else { return String::new() };
    let part = |name: &str| labels.get(name).unwrap_or_default();
    format!("{region}/{}/{}", part("topology.kubernetes.io/zone"), part("topology.istio.io/subzone"))
}

fn pod_endpoint(object: &Object, pod: &Pod, ip: IpAddr, service: &Service) -> ServiceEndpoint {
    let named = |name: &str| pod.ports.iter().find(|(known, _)| known == name).map(|(_, number)| *number);
    let ports = service.ports.iter().filter_map(|port| {
        let target = match &port.target {
            TargetPort::Number(number) => *number,
            TargetPort::Name(name) => named(name)?,
        };
        Some((port.port, target))
    });
    ServiceEndpoint {
        address: EndpointAddress::Ip(ip),
        ports: ports.collect(),
        labels: object.meta.labels.clone(),
        namespace: object.key.namespace.clone(),
        service_account: pod.service_account.clone(),
        workload: pod.owner.clone().unwrap_or_else(|| object.key.name.clone()),
        in_mesh: object.meta.annotations.get(INJECTED).is_some() || object.meta.labels.get(TLS_MODE) == Some("istio"),
        ready: pod.ready,
        weight: 1,
        locality: locality(&object.meta.labels),
    }
}

/// Endpoints and EndpointSlices of a service without a selector.
fn listed(world: &World, object: &Object, service: &Service) -> Vec<ServiceEndpoint> {
    let mut endpoints = Vec::new();
    let (members, objects) = world.members();
    for other in members.lists_of(&object.key.namespace, &object.key.name).filter_map(|key| objects.get(key)) {
        if let Spec::Endpoints(list) = &other.spec {
            endpoints.extend(list.endpoints.iter().map(|endpoint| listed_endpoint(world, object, endpoint, service)));
        }
    }
    endpoints
}

fn listed_endpoint(world: &World, object: &Object, endpoint: &Endpoint, service: &Service) -> ServiceEndpoint {
    let (members, objects) = world.members();
    let pod = members.pod_at(&object.key.namespace, endpoint.ip).and_then(|key| objects.get(key));
    let pod = pod.and_then(|other| match &other.spec {
        Spec::Pod(pod) => Some((other, pod)),
        _ => None,
    });
    let ports = service.ports.iter().filter_map(|port| {
        let (_, number) = endpoint.ports.iter().find(|(name, _)| *name == port.name)?;
        Some((port.port, *number))
    });
    let ports: BTreeMap<u16, u16> = ports.collect();
    match pod {
        Some((other, pod)) => {
            ServiceEndpoint { ports, ready: endpoint.ready, ..pod_endpoint(other, pod, endpoint.ip, service) }
        }
        None => ServiceEndpoint {
            address: EndpointAddress::Ip(endpoint.ip),
            ports,
            labels: Labels::default(),
            namespace: object.key.namespace.clone(),
            service_account: "default".to_owned(),
            workload: object.key.name.clone(),
            in_mesh: false,
            ready: endpoint.ready,
            weight: 1,
            locality: String::new(),
        },
    }
}

fn named_endpoint(name: &str, ports: &[ServicePortInfo], namespace: &str) -> ServiceEndpoint {
    ServiceEndpoint {
        address: EndpointAddress::Name(name.to_owned()),
        ports: ports.iter().map(|port| (port.number, port.number)).collect(),
        labels: Labels::default(),
        namespace: namespace.to_owned(),
        service_account: "default".to_owned(),
        workload: name.to_owned(),
        in_mesh: false,
        ready: true,
        weight: 1,
        locality: String::new(),
    }
}

fn service_entry(world: &World, object: &Object, entry: &ServiceEntry, host: &str) -> RegistryService {
    let ports: Vec<ServicePortInfo> = entry
        .ports
        .iter()
        .map(|port| ServicePortInfo {
            number: port.number,
            name: port.name.clone(),
            protocol: PortProtocol::of(&port.protocol),
        })
        .collect();
    let finding = match entry.resolution {
        Resolution::None => Finding::OriginalDestination,
        Resolution::Static => Finding::Listed,
        Resolution::Dns | Resolution::DnsRoundRobin => Finding::Dns,
    };
    let mut endpoints: Vec<ServiceEndpoint> =
        entry.endpoints.iter().filter_map(|one| workload_endpoint(object, one, entry_ports(entry, one))).collect();
    if let Some(selector) = &entry.workload_selector {
        endpoints.extend(selected_workloads(world, object, entry, selector));
    }
    // With DNS and no endpoint of its own, the host is where to go.
    if finding == Finding::Dns && endpoints.is_empty() {
        endpoints.push(named_endpoint(host, &ports, &object.key.namespace));
    }
    RegistryService {
        host: host.to_owned(),
        name: host.to_owned(),
        namespace: object.key.namespace.clone(),
        ports,
        addresses: entry.addresses.iter().filter_map(|address| address.parse().ok()).collect(),
        endpoints,
        finding,
        external: entry.location == ServiceLocation::External,
        subject_alt_names: entry.subject_alt_names.clone(),
        export_to: entry.export_to.or(&world.settings().export_to.services).clone(),
    }
}

fn selected_workloads(world: &World, object: &Object, entry: &ServiceEntry, selector: &Labels) -> Vec<ServiceEndpoint> {
    let mut endpoints = Vec::new();
    for other in candidates(world, &object.key.namespace, selector) {
        match &other.spec {
            Spec::WorkloadEntry(workload) if selector.select(&workload_labels(other, workload)) => {
                endpoints.extend(workload_endpoint(other, workload, entry_ports(entry, workload)));
            }
            Spec::Pod(pod) if selector.select(&other.meta.labels) => {
                let ports = entry.ports.iter().map(|port| (port.number, port.target)).collect();
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
    ports.map(|port| (port.number, workload.ports.get(&port.name).copied().unwrap_or(port.target))).collect()
}

/// Labels of a workload entry: its own, and those of the object.
pub(crate) fn workload_labels(object: &Object, entry: &WorkloadEntry) -> Labels {
    let mut labels = object.meta.labels.clone();
    labels.0.extend(entry.labels.0.clone());
    labels
}

fn workload_endpoint(object: &Object, entry: &WorkloadEntry, ports: BTreeMap<u16, u16>) -> Option<ServiceEndpoint> {
    if entry.address.is_empty() {
        return None;
    }
    let labels = workload_labels(object, entry);
    let address = match entry.address.parse() {
        Ok(ip) => EndpointAddress::Ip(ip),
        Err(_) => EndpointAddress::Name(entry.address.clone()),
    };
    Some(ServiceEndpoint {
        address,
        ports,
        in_mesh: labels.get(TLS_MODE) == Some("istio") || object.meta.annotations.get(INJECTED).is_some(),
        labels,
        namespace: object.key.namespace.clone(),
        service_account: entry.service_account.clone(),
        workload: object.key.name.clone(),
        ready: true,
        weight: entry.weight.unwrap_or(1).max(1),
        locality: entry.locality.clone(),
    })
}
