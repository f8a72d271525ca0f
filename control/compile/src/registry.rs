//! Services and their endpoints, from Services, Pods, Endpoints, EndpointSlices, ServiceEntries and WorkloadEntries.

mod collect;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use orrery_api::{ExportTo, Labels};
use rpds::{HashTrieMapSync, RedBlackTreeMapSync};

use crate::fact::{Fact, Recorder};
use crate::world::World;

pub(crate) use collect::workload_labels;

/// All services by host. Cheap to clone; a change of one service shares all others.
#[derive(Clone, Debug)]
pub struct Registry {
    services: RedBlackTreeMapSync<String, Arc<RegistryService>>,
    /// Hosts of the services that have an endpoint at an address.
    addresses: HashTrieMapSync<IpAddr, BTreeSet<String>>,
    recorder: Arc<Recorder>,
}

/// One service.
#[derive(Clone, Debug, PartialEq)]
pub struct RegistryService {
    /// Fully qualified.
    pub host: String,
    pub name: String,
    pub namespace: String,
    pub ports: Vec<ServicePortInfo>,
    pub addresses: Vec<IpAddr>,
    /// Read through [`Registry::endpoints`], so that what does not need them outlives their changes.
    endpoints: Vec<ServiceEndpoint>,
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
#[derive(Clone, Debug, PartialEq)]
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
    pub(crate) fn new(recorder: Arc<Recorder>) -> Self {
        Self { services: RedBlackTreeMapSync::new_sync(), addresses: HashTrieMapSync::new_sync(), recorder }
    }

    /// Makes one service again from the objects that make it up.
    pub(crate) fn rebuild(&mut self, world: &World, host: &str) {
        if let Some(last) = self.services.get(host).cloned() {
            for address in last.own_addresses() {
                let mut hosts = self.addresses.get(&address).cloned().unwrap_or_default();
                hosts.remove(host);
                match hosts.is_empty() {
                    true => drop(self.addresses.remove_mut(&address)),
                    false => self.addresses.insert_mut(address, hosts),
                }
            }
            self.services.remove_mut(host);
        }
        let Some(service) = collect::service(world, host) else { return };
        for address in service.own_addresses() {
            let mut hosts = self.addresses.get(&address).cloned().unwrap_or_default();
            hosts.insert(host.to_owned());
            self.addresses.insert_mut(address, hosts);
        }
        self.services.insert_mut(host.to_owned(), Arc::new(service));
    }

    /// Facts about one service that are not as they were in `since`.
    pub(crate) fn differences(&self, since: &Self, host: &str, facts: &mut BTreeSet<Fact>) {
        let (before, now) = (since.services.get(host), self.services.get(host));
        let same_shape = match (before, now) {
            (Some(before), Some(now)) => before.has_shape_of(now),
            (None, None) => return,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !same_shape {
            facts.extend([Fact::Service(host.to_owned()), Fact::Services]);
        }
        let (before, now) = (by_address(before), by_address(now));
        if before != now {
            facts.insert(Fact::Endpoints(host.to_owned()));
        }
        let addresses = before.keys().chain(now.keys()).filter_map(|address| address.as_ref());
        let differing = addresses.filter(|one| !same_shape || before.get(&Some(**one)) != now.get(&Some(**one)));
        facts.extend(differing.copied().map(Fact::Address));
    }

    pub fn service(&self, host: &str) -> Option<&RegistryService> {
        self.recorder.note(|| Fact::Service(host.to_owned()));
        self.services.get(host).map(Arc::as_ref)
    }

    /// In the order of their hosts.
    pub fn services(&self) -> impl Iterator<Item = &RegistryService> {
        self.recorder.note(|| Fact::Services);
        self.services.values().map(Arc::as_ref)
    }

    /// How many services there are.
    pub fn len(&self) -> usize {
        self.services.size()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// The endpoints of a service of this registry.
    pub fn endpoints<'a>(&self, service: &'a RegistryService) -> &'a [ServiceEndpoint] {
        self.recorder.note(|| Fact::Endpoints(service.host.clone()));
        &service.endpoints
    }

    /// Services that have an endpoint at this address.
    pub(crate) fn services_at(&self, address: IpAddr) -> impl Iterator<Item = (&RegistryService, &ServiceEndpoint)> {
        self.recorder.note(|| Fact::Address(address));
        self.addresses.get(&address).into_iter().flatten().filter_map(move |host| {
            let service = self.services.get(host)?;
            let here = service.endpoints.iter().find(|endpoint| endpoint.address == EndpointAddress::Ip(address))?;
            Some((service.as_ref(), here))
        })
    }
}

/// A service's endpoints by their addresses, those that are names together.
fn by_address(service: Option<&Arc<RegistryService>>) -> BTreeMap<Option<IpAddr>, Vec<&ServiceEndpoint>> {
    let mut endpoints: BTreeMap<Option<IpAddr>, Vec<&ServiceEndpoint>> = BTreeMap::new();
    for endpoint in service.into_iter().flat_map(|service| &service.endpoints) {
        endpoints.entry(endpoint.address.ip()).or_default().push(endpoint);
    }
    endpoints
}

impl EndpointAddress {
    fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Name(_) => None,
        }
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
    /// Whether everything but the endpoints is the same.
    fn has_shape_of(&self, other: &Self) -> bool {
        // Every field is named, so that a new one is not forgotten here.
        let Self {
            host,
            name,
            namespace,
            ports,
            addresses,
            endpoints: _,
            finding,
            external,
            subject_alt_names,
            export_to,
        } = self;
        (host, name, namespace, ports, addresses)
            == (&other.host, &other.name, &other.namespace, &other.ports, &other.addresses)
            && (finding, external) == (&other.finding, &other.external)
            && (subject_alt_names, export_to) == (&other.subject_alt_names, &other.export_to)
    }

    fn own_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.endpoints.iter().filter_map(|endpoint| endpoint.address.ip())
    }

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
