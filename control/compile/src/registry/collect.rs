//! From objects to services.

use std::collections::BTreeMap;
use std::net::IpAddr;

use orrery_api::{
    Endpoint, ExportTo, Kind, Labels, Object, Pod, Resolution, Service, ServiceEntry, ServiceLocation, Spec,
    TargetPort, WorkloadEntry,
};

use super::{EndpointAddress, Finding, PortProtocol, RegistryService, ServiceEndpoint, ServicePortInfo};
use crate::world::World;

/// Says that a proxy was injected into a pod.
const INJECTED: &str = "sidecar.istio.io/status";
/// `exportTo` of a Service.
const EXPORT_TO: &str = "networking.istio.io/exportTo";
/// Says how a workload takes connections, where there is no pod to look at.
const TLS_MODE: &str = "security.istio.io/tlsMode";

pub(super) fn services(world: &World) -> BTreeMap<String, RegistryService> {
    let mut services = BTreeMap::new();
    for object in world.objects() {
        match &object.spec {
            Spec::Service(service) => {
                let one = kubernetes_service(world, object, service);
                services.insert(one.host.clone(), one);
            }
            Spec::ServiceEntry(entry) => {
                for one in service_entry(world, object, entry) {
                    // A Service of the same host came first and knows more.
                    services.entry(one.host.clone()).or_insert(one);
                }
            }
            _ => {}
        }
    }
    services
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
        export_to: ExportTo::of(object.meta.annotations.get(EXPORT_TO).unwrap_or_default().split(',')),
    }
}

/// Pods and workload entries that a selector takes.
fn selected(world: &World, namespace: &str, service: &Service) -> Vec<ServiceEndpoint> {
    let mut endpoints = Vec::new();
    for object in world.objects().filter(|object| object.key.namespace == namespace) {
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
        locality: String::new(),
    }
}

/// Endpoints and EndpointSlices of a service without a selector.
fn listed(world: &World, object: &Object, service: &Service) -> Vec<ServiceEndpoint> {
    let mut endpoints = Vec::new();
    for other in world.objects().filter(|other| other.key.namespace == object.key.namespace) {
        let Spec::Endpoints(list) = &other.spec else { continue };
        let belongs = match other.key.kind {
            Kind::Endpoints => other.key.name == object.key.name,
            _ => list.service == object.key.name,
        };
        if belongs {
            endpoints.extend(list.endpoints.iter().map(|endpoint| listed_endpoint(world, object, endpoint, service)));
        }
    }
    endpoints
}

fn listed_endpoint(world: &World, object: &Object, endpoint: &Endpoint, service: &Service) -> ServiceEndpoint {
    let pod = world.of_kind(Kind::Pod).find_map(|other| match &other.spec {
        Spec::Pod(pod) if other.key.namespace == object.key.namespace && pod.ip == Some(endpoint.ip) => {
            Some((other, pod))
        }
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

fn service_entry(world: &World, object: &Object, entry: &ServiceEntry) -> Vec<RegistryService> {
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
    let service = |host: &str| {
        // With DNS and no endpoint of its own, the host is where to go.
        let own = (finding == Finding::Dns && endpoints.is_empty())
            .then(|| named_endpoint(host, &ports, &object.key.namespace));
        RegistryService {
            host: host.to_owned(),
            name: host.to_owned(),
            namespace: object.key.namespace.clone(),
            ports: ports.clone(),
            addresses: entry.addresses.iter().filter_map(|address| address.parse().ok()).collect(),
            endpoints: endpoints.iter().cloned().chain(own).collect(),
            finding,
            external: entry.location == ServiceLocation::External,
            subject_alt_names: entry.subject_alt_names.clone(),
            export_to: entry.export_to.clone(),
        }
    };
    entry.hosts.iter().map(|host| service(&host.value.to_ascii_lowercase())).collect()
}

fn selected_workloads(world: &World, object: &Object, entry: &ServiceEntry, selector: &Labels) -> Vec<ServiceEndpoint> {
    let mut endpoints = Vec::new();
    for other in world.objects().filter(|other| other.key.namespace == object.key.namespace) {
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
fn workload_labels(object: &Object, entry: &WorkloadEntry) -> Labels {
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
