//! Services and their endpoints, from Services, Pods, Endpoints, EndpointSlices, ServiceEntries and WorkloadEntries.

mod collect;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use orrery_api::{ExportTo, Labels};
use rpds::{HashTrieMapSync, RedBlackTreeMapSync};

use crate::fact::{Fact, Recorder};
use crate::world::World;

pub(crate) use collect::workload_labels;

/// All services by host. Cheap to clone; a change of one service shares all others.
#[derive(Clone, Debug)]
pub struct Registry {
    /// Of several namespaces with one host, a Kubernetes Service comes first, then the oldest.
    services: RedBlackTreeMapSync<String, Arc<Vec<RegistryService>>>,
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
    /// Virtual addresses, and ranges of them.
    pub addresses: Vec<IpNet>,
    /// Read through [`Registry::endpoints`], so that what does not need them outlives their changes.
    endpoints: Vec<ServiceEndpoint>,
    pub finding: Finding,
    pub origin: Origin,
    /// Not of the mesh: reached as it is.
    pub external: bool,
    /// Names that servers' certificates may have besides the endpoints' identities.
    pub subject_alt_names: Vec<String>,
    pub export_to: ExportTo,
    /// Another service that this is a name for (`externalName`).
    pub alias: Option<String>,
}

/// What a service was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A Kubernetes Service.
    Kubernetes {
        /// Callers find the endpoints themselves.
        headless: bool,
    },
    ServiceEntry,
}

/// How endpoints are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// By the control plane.
    Listed,
    /// By the proxy: all addresses of host names.
    Dns,
    /// By the proxy: one address of a host name at each new connection.
    DnsRoundRobin,
    /// By the proxy: addresses of the host that each request names.
    Requested,
    /// The connection's own destination.
    OriginalDestination,
}

/// A port of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePortInfo {
    pub number: u16,
    pub name: String,
    pub protocol: PortProtocol,
    /// Where endpoints listen that the control plane does not know.
    pub target: Option<u16>,
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
            for address in own_addresses(&last) {
                let mut hosts = self.addresses.get(&address).cloned().unwrap_or_default();
                hosts.remove(host);
                match hosts.is_empty() {
                    true => drop(self.addresses.remove_mut(&address)),
                    false => self.addresses.insert_mut(address, hosts),
                }
            }
            self.services.remove_mut(host);
        }
        let services = collect::services(world, host);
        if services.is_empty() {
            return;
        }
        for address in own_addresses(&services) {
            let mut hosts = self.addresses.get(&address).cloned().unwrap_or_default();
            hosts.insert(host.to_owned());
            self.addresses.insert_mut(address, hosts);
        }
        self.services.insert_mut(host.to_owned(), Arc::new(services));
    }

    /// Facts about one service that are not as they were in `since`.
    pub(crate) fn differences(&self, since: &Self, host: &str, facts: &mut BTreeSet<Fact>) {
        let (before, now) = (since.services.get(host), self.services.get(host));
        let same_shape = match (before, now) {
            (Some(before), Some(now)) => {
                before.len() == now.len() && before.iter().zip(now.iter()).all(|(one, other)| one.has_shape_of(other))
            }
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

    /// The service of a host, whoever asks.
    pub fn service(&self, host: &str) -> Option<&RegistryService> {
        self.all_of(host).first()
    }

    /// The service of a host as a namespace sees it: its own one before those of others.
    pub fn service_for(&self, host: &str, namespace: &str) -> Option<&RegistryService> {
        preferred(self.all_of(host), namespace, |service| service.is_visible_to(namespace))
    }

    /// Of the services of a host that pass, that of the namespace, or the first.
    pub(crate) fn choose(
        &self,
        host: &str,
        namespace: &str,
        passes: impl Fn(&RegistryService) -> bool,
    ) -> Option<&RegistryService> {
        preferred(self.all_of(host), namespace, passes)
    }

    /// The service of a host that a namespace owns.
    pub(crate) fn service_in(&self, host: &str, namespace: &str) -> Option<&RegistryService> {
        self.all_of(host).iter().find(|service| service.namespace == namespace)
    }

    fn all_of(&self, host: &str) -> &[RegistryService] {
        self.recorder.note(|| Fact::Service(host.to_owned()));
        self.services.get(host).map(|all| all.as_slice()).unwrap_or_default()
    }

    /// In the order of their hosts.
    pub fn services(&self) -> impl Iterator<Item = &RegistryService> {
        self.recorder.note(|| Fact::Services);
        self.services.values().flat_map(|all| all.iter())
    }

    /// How many hosts of services there are.
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
        let services = self.addresses.get(&address).into_iter().flatten().filter_map(|host| self.services.get(host));
        services.flat_map(|all| all.iter()).filter_map(move |service| {
            let here = service.endpoints.iter().find(|endpoint| endpoint.address == EndpointAddress::Ip(address))?;
            Some((service, here))
        })
    }
}

fn own_addresses(services: &[RegistryService]) -> impl Iterator<Item = IpAddr> {
    services.iter().flat_map(|service| &service.endpoints).filter_map(|endpoint| endpoint.address.ip())
}

fn preferred<'r>(
    all: &'r [RegistryService],
    namespace: &str,
    passes: impl Fn(&RegistryService) -> bool,
) -> Option<&'r RegistryService> {
    let mut passing = all.iter().filter(|service| passes(service));
    let first = passing.next()?;
    let own = std::iter::once(first).chain(passing).find(|service| service.namespace == namespace);
    Some(own.unwrap_or(first))
}

/// The endpoints of a host's services by their addresses, those that are names together.
fn by_address(services: Option<&Arc<Vec<RegistryService>>>) -> BTreeMap<Option<IpAddr>, Vec<&ServiceEndpoint>> {
    let mut endpoints: BTreeMap<Option<IpAddr>, Vec<&ServiceEndpoint>> = BTreeMap::new();
    for endpoint in services.into_iter().flat_map(|all| all.iter()).flat_map(|service| &service.endpoints) {
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
            "http" | "http1" | "ws" | "kubernetes.io/ws" | "grpc-web" | "http_proxy" => Self::Http,
            "http2" | "h2c" | "kubernetes.io/h2c" => Self::Http2,
            "grpc" => Self::Grpc,
            "https" | "tls" | "wss" | "kubernetes.io/wss" => Self::Tls,
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
            origin,
            external,
            subject_alt_names,
            export_to,
            alias,
        } = self;
        (host, name, namespace, ports, addresses)
            == (&other.host, &other.name, &other.namespace, &other.ports, &other.addresses)
            && (finding, origin, external) == (&other.finding, &other.origin, &other.external)
            && alias == &other.alias
            && (subject_alt_names, export_to) == (&other.subject_alt_names, &other.export_to)
    }

    /// A service that is no more than a name: `name.namespace`, without ports and endpoints.
    pub(crate) fn named(name: &str, namespace: &str) -> Self {
        Self {
            host: format!("{name}.{namespace}"),
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            ports: Vec::new(),
            addresses: Vec::new(),
            endpoints: Vec::new(),
            finding: Finding::Listed,
            origin: Origin::ServiceEntry,
            external: false,
            subject_alt_names: Vec::new(),
            export_to: ExportTo::All,
            alias: None,
        }
    }

    /// Addresses that are no ranges.
    pub(crate) fn ips(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().filter(|net| net.prefix_len() == net.max_prefix_len()).map(IpNet::addr)
    }

    /// Callers find the endpoints of this Kubernetes Service themselves.
    pub(crate) fn is_headless(&self) -> bool {
        self.origin == Origin::Kubernetes { headless: true }
    }

    pub(crate) fn port(&self, number: u16) -> Option<&ServicePortInfo> {
        self.ports.iter().find(|port| port.number == number)
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
