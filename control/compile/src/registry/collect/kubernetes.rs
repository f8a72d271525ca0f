//! Kubernetes Services with their pods, Endpoints and EndpointSlices.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use orrery_api::{Endpoint, ExportTo, Labels, Object, Pod, Service, Spec, TargetPort};

use super::entries::{workload_endpoint, workload_labels};
use super::{INJECTED, TLS_MODE, candidates};
use crate::registry::{
    EndpointAddress, Finding, Origin, PortProtocol, RegistryService, ServiceEndpoint, ServicePortInfo,
};
use crate::world::World;

/// `exportTo` of a Service.
const EXPORT_TO: &str = "networking.istio.io/exportTo";
/// Region, zone and sub-zone of a node, which injection copies to pods' labels.
const LOCALITY: [&str; 3] =
    ["topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"];

pub(super) fn service(world: &World, object: &Object, service: &Service) -> RegistryService {
    let key = &object.key;
    let domain = &world.settings().domain;
    let ports: Vec<ServicePortInfo> = service.ports.iter().map(port).collect();
    let endpoints = match (&service.external_name, service.selector.is_empty()) {
        (Some(name), _) => vec![named_endpoint(name, &ports, &key.namespace)],
        (None, false) => selected(world, &key.namespace, service),
        (None, true) => listed(world, object, service),
    };
    RegistryService {
        host: format!("{}.{}.svc.{domain}", key.name, key.namespace),
        name: key.name.clone(),
        namespace: key.namespace.clone(),
        ports,
        addresses: service.cluster_ips.iter().copied().map(IpNet::from).collect(),
        endpoints,
        finding: if service.external_name.is_some() { Finding::Dns } else { Finding::Listed },
        origin: Origin::Kubernetes { headless: service.headless },
        external: service.external_name.is_some(),
        subject_alt_names: Vec::new(),
        export_to: ExportTo::of(object.meta.annotations.get(EXPORT_TO).unwrap_or_default().split(',')),
        alias: service.external_name.as_ref().map(|name| name.trim_end_matches('.').to_ascii_lowercase()),
    }
}

fn port(port: &orrery_api::ServicePort) -> ServicePortInfo {
    ServicePortInfo {
        number: port.port,
        name: port.name.clone(),
        protocol: PortProtocol::of(&port.protocol),
        target: None,
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
                    let target = match port.target {
                        TargetPort::Number(number) => number,
                        TargetPort::Name(_) => port.port,
                    };
                    (port.port, named.unwrap_or(target))
                });
                // A service of Kubernetes is made of addresses, not of names.
                let endpoint = workload_endpoint(object, entry, ports.collect());
                endpoints.extend(endpoint.filter(|one| matches!(one.address, EndpointAddress::Ip(_))));
            }
            _ => {}
        }
    }
    endpoints
}

pub(super) fn pod_endpoint(object: &Object, pod: &Pod, ip: IpAddr, service: &Service) -> ServiceEndpoint {
    let named = |name: &str| pod.ports.iter().find(|(known, _)| known == name).map(|(_, number)| *number);
    let ports = service.ports.iter().filter_map(|port| {
        let target = match &port.target {
            TargetPort::Number(number) => *number,
            TargetPort::Name(name) => named(name)?,
        };
        Some((port.port, target))
    });
    let labels = &object.meta.labels;
    ServiceEndpoint {
        address: EndpointAddress::Ip(ip),
        ports: ports.collect(),
        labels: labels.clone(),
        namespace: object.key.namespace.clone(),
        service_account: pod.service_account.clone(),
        workload: pod.owner.clone().unwrap_or_else(|| object.key.name.clone()),
        in_mesh: object.meta.annotations.get(INJECTED).is_some() || labels.get(TLS_MODE) == Some("istio"),
        ready: pod.ready || service.publish_not_ready,
        weight: 1,
        locality: locality(labels),
    }
}

fn locality(labels: &Labels) -> String {
    let parts = LOCALITY.map(|name| labels.get(name).unwrap_or_default());
    parts.join("/").trim_end_matches('/').to_owned()
}

/// Endpoints and EndpointSlices of a service without a selector.
fn listed(world: &World, object: &Object, service: &Service) -> Vec<ServiceEndpoint> {
    let mut endpoints: Vec<ServiceEndpoint> = Vec::new();
    let (members, objects) = world.members();
    for other in members.lists_of(&object.key.namespace, &object.key.name).filter_map(|key| objects.get(key)) {
        let Spec::Endpoints(list) = &other.spec else { continue };
        for endpoint in &list.endpoints {
            let one = listed_endpoint(world, object, endpoint, service);
            // Slices repeat what Endpoints say, and one of them may know more ports.
            match endpoints.iter_mut().find(|known| known.address == one.address) {
                Some(known) => known.ports.extend(one.ports),
                None => endpoints.push(one),
            }
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
    let ready = endpoint.ready || service.publish_not_ready;
    match pod {
        Some((other, pod)) => ServiceEndpoint { ports, ready, ..pod_endpoint(other, pod, endpoint.ip, service) },
        None => ServiceEndpoint {
            address: EndpointAddress::Ip(endpoint.ip),
            ports,
            labels: Labels::default(),
            namespace: object.key.namespace.clone(),
            service_account: "default".to_owned(),
            workload: object.key.name.clone(),
            in_mesh: false,
            ready,
            weight: 1,
            locality: String::new(),
        },
    }
}

/// An endpoint that is found by its name.
pub(super) fn named_endpoint(name: &str, ports: &[ServicePortInfo], namespace: &str) -> ServiceEndpoint {
    ServiceEndpoint {
        address: EndpointAddress::Name(name.to_owned()),
        ports: ports.iter().map(|port| (port.number, port.target.unwrap_or(port.number))).collect(),
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
