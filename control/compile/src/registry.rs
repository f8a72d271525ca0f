//! Services and their endpoints, from Services, Pods, Endpoints, EndpointSlices, ServiceEntries and WorkloadEntries.

mod collect;

use std::collections::BTreeMap;
use std::net::IpAddr;

use orrery_api::{ExportTo, Labels};

use crate::world::World;

/// All services by host.
#[derive(Debug, Default)]
pub struct Registry {
    services: BTreeMap<String, RegistryService>,
}

/// One service.
#[derive(Clone, Debug)]
pub struct RegistryService {
    /// Fully qualified.
    pub host: String,
    pub name: String,
    pub namespace: String,
    pub ports: Vec<ServicePortInfo>,
    pub addresses: Vec<IpAddr>,
    pub endpoints: Vec<ServiceEndpoint>,
    pub finding: Finding,
    /// Not of the mesh: reached as it is.
    pub external: bool,
    /// Names that servers' certificates must have instead of the endpoints' identities.
    pub subject_alt_names: Vec<String>,
    pub export_to: ExportTo,
}

/// How endpoints are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// By the control plane.
    Listed,
    /// By the proxy, from host names.
    Dns,
    /// The connection's own destination.
    OriginalDestination,
}

/// A port of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePortInfo {
    pub number: u16,
    pub name: String,
    pub protocol: PortProtocol,
}

/// What is spoken on a port, by its name or `appProtocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortProtocol {
    Http,
    Http2,
    Grpc,
    Tcp,
    /// TLS of the application's own.
    Tls,
    Udp,
    /// Not said: found out per connection.
    Auto,
}

/// One endpoint.
#[derive(Clone, Debug)]
pub struct ServiceEndpoint {
    pub address: EndpointAddress,
    /// Service port number to the endpoint's port.
    pub ports: BTreeMap<u16, u16>,
    pub labels: Labels,
    pub namespace: String,
    pub service_account: String,
    pub workload: String,
    /// A proxy of the mesh stands in front of it.
    pub in_mesh: bool,
    pub ready: bool,
    pub weight: u32,
    /// `region/zone/subzone`.
    pub locality: String,
}

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointAddress {
    Ip(IpAddr),
    Name(String),
}

impl Registry {
    pub(crate) fn of(world: &World) -> Self {
        Self { services: collect::services(world) }
    }

    pub fn service(&self, host: &str) -> Option<&RegistryService> {
        self.services.get(host)
    }

    /// In the order of their hosts.
    pub fn services(&self) -> impl Iterator<Item = &RegistryService> {
        self.services.values()
    }

    /// Services that a namespace sees, in the order of their hosts.
    pub(crate) fn visible_to(&self, namespace: &str) -> impl Iterator<Item = &RegistryService> {
        self.services().filter(move |service| service.is_visible_to(namespace))
    }

    /// Services that have an endpoint at this address.
    pub(crate) fn services_at(&self, address: IpAddr) -> impl Iterator<Item = (&RegistryService, &ServiceEndpoint)> {
        self.services.values().filter_map(move |service| {
            let here = service.endpoints.iter().find(|endpoint| endpoint.address == EndpointAddress::Ip(address))?;
            Some((service, here))
        })
    }
}

impl PortProtocol {
    pub(crate) fn of(word: &str) -> Self {
        match word {
            "http" | "http1" | "ws" | "grpc-web" => Self::Http,
            "http2" | "h2c" | "kubernetes.io/h2c" => Self::Http2,
            "grpc" => Self::Grpc,
            "https" | "tls" => Self::Tls,
            "tcp" | "mongo" | "mysql" | "redis" | "postgres" | "kafka" => Self::Tcp,
            "udp" => Self::Udp,
            _ => Self::Auto,
        }
    }

    /// Whether requests are routed, not connections. What nobody named is taken for HTTP where a request asks for it.
    pub(crate) fn is_http(self) -> bool {
        match self {
            Self::Http | Self::Http2 | Self::Grpc | Self::Auto => true,
            Self::Tcp | Self::Tls | Self::Udp => false,
        }
    }
}

impl RegistryService {
    pub(crate) fn is_visible_to(&self, namespace: &str) -> bool {
        self.export_to.includes(&self.namespace, namespace)
    }
}

impl ServiceEndpoint {
    /// Canonical service name: label precedence as Istio's.
    pub(crate) fn canonical_name(&self) -> &str {
        let names = ["service.istio.io/canonical-name", "app.kubernetes.io/name", "app"];
        names.iter().find_map(|name| self.labels.get(name)).unwrap_or(&self.workload)
    }

    /// Canonical revision: label precedence as Istio's.
    pub(crate) fn canonical_revision(&self) -> &str {
        let names = ["service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"];
        names.iter().find_map(|name| self.labels.get(name)).unwrap_or("latest")
    }
}
