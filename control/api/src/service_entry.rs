//! ServiceEntry and WorkloadEntry: services and workloads that Kubernetes does not know.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::problem::Located;
use crate::reader::{Fields, Reader};
use crate::selector::{Labels, workload_selector};
use crate::virtual_service::l4::subnet;
use crate::visibility::{ExportTo, export_to};

/// A ServiceEntry.
#[derive(Clone, Debug)]
pub struct ServiceEntry {
    /// Names, or `*.` and the end of some.
    pub hosts: Vec<Located<String>>,
    /// Virtual addresses, and ranges of them.
    pub addresses: Vec<IpNet>,
    pub ports: Vec<EntryPort>,
    pub location: ServiceLocation,
    pub resolution: Resolution,
    pub endpoints: Vec<WorkloadEntry>,
    pub workload_selector: Option<Labels>,
    /// Names that the servers' certificates must have.
    pub subject_alt_names: Vec<String>,
    pub export_to: ExportTo,
}

/// A port of a ServiceEntry.
#[derive(Clone, Debug)]
pub struct EntryPort {
    pub number: u16,
    pub name: String,
    /// Lower case.
    pub protocol: String,
    /// `None`: the same number.
    pub target: Option<u16>,
}

impl EntryPort {
    /// The port of endpoints that name none of their own.
    pub fn target_number(&self) -> u16 {
        self.target.unwrap_or(self.number)
    }
}

/// Whether the service's workloads are in the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceLocation {
    External,
    Internal,
}

/// How endpoints are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The connection's own destination.
    None,
    Static,
    /// All addresses that a name has.
    Dns,
    /// One address that a name has, at each new connection.
    DnsRoundRobin,
    /// The addresses of the name that the request itself asks for.
    DynamicDns,
}

/// A workload outside of Kubernetes, or an endpoint of a ServiceEntry.
#[derive(Clone, Debug, Default)]
pub struct WorkloadEntry {
    /// An IP address or a host name; empty when only its network is known.
    pub address: String,
    /// Port names to numbers.
    pub ports: BTreeMap<String, u16>,
    pub labels: Labels,
    /// `default` when it is not said.
    pub service_account: String,
    /// It says its service account: a proxy of the mesh runs beside it.
    pub says_service_account: bool,
    pub network: String,
    pub locality: String,
    pub weight: Option<u32>,
}

const PROTOCOLS: [(&str, &str); 11] = [
    ("HTTP", "http"),
    ("HTTPS", "https"),
    ("GRPC", "grpc"),
    ("HTTP2", "http2"),
    ("GRPC-WEB", "grpc-web"),
    ("TLS", "tls"),
    ("TCP", "tcp"),
    ("UDP", "udp"),
    ("MONGO", "mongo"),
    ("MYSQL", "mysql"),
    ("REDIS", "redis"),
];

const LOCATIONS: [(&str, ServiceLocation); 2] =
    [("MESH_EXTERNAL", ServiceLocation::External), ("MESH_INTERNAL", ServiceLocation::Internal)];

const RESOLUTIONS: [(&str, Resolution); 5] = [
    ("NONE", Resolution::None),
    ("STATIC", Resolution::Static),
    ("DNS", Resolution::Dns),
    ("DNS_ROUND_ROBIN", Resolution::DnsRoundRobin),
    ("DYNAMIC_DNS", Resolution::DynamicDns),
];

pub(crate) fn read_entry(spec: Fields<'_>) -> Option<ServiceEntry> {
    let hosts = spec.require("hosts").map(|hosts| hosts.list()).unwrap_or_default();
    if hosts.is_empty() && spec.has("hosts") {
        spec.report("hosts is empty", "name what the service is called");
    }
    let location = spec.take("location").and_then(|location| location.word(&LOCATIONS));
    let resolution = spec.take("resolution").and_then(|resolution| resolution.word(&RESOLUTIONS));
    let entry = ServiceEntry {
        hosts: hosts.iter().filter_map(host).collect(),
        addresses: spec.list("addresses").iter().filter_map(subnet).collect(),
        ports: spec.list("ports").iter().filter_map(port).collect(),
        location: location.unwrap_or(ServiceLocation::External),
        resolution: resolution.unwrap_or(Resolution::None),
        endpoints: spec.list("endpoints").iter().filter_map(|endpoint| read_workload(endpoint.fields()?)).collect(),
        workload_selector: workload_selector(&spec),
        subject_alt_names: spec.texts("subjectAltNames").into_iter().map(|name| name.value).collect(),
        export_to: export_to(&spec),
    };
    check_ports(&spec, &entry);
    check_resolution(&spec, &entry);
    spec.finish(&[
        "hosts",
        "addresses",
        "ports",
        "location",
        "resolution",
        "endpoints",
        "workloadSelector",
        "exportTo",
        "subjectAltNames",
    ]);
    Some(entry)
}

fn host(reader: &Reader<'_>) -> Option<Located<String>> {
    let host = reader.located_text()?;
    let inner = host.value.strip_prefix("*.").unwrap_or(&host.value);
    if inner.is_empty() || inner.contains(['*', '/', ':', ' ']) {
        reader
            .report(format!("{:?} is no host of a service", host.value), "write a full name, or *. and the end of one");
        return None;
    }
    Some(host)
}

fn check_ports(spec: &Fields<'_>, entry: &ServiceEntry) {
    for (at, port) in entry.ports.iter().enumerate() {
        let before = entry.ports.get(..at).unwrap_or_default();
        if before.iter().any(|other| other.number == port.number) {
            spec.report(format!("there are two ports {}", port.number), "numbers of ports are unique in a service");
        }
        if before.iter().any(|other| other.name == port.name) {
            spec.report(format!("there are two ports named {:?}", port.name), "names of ports are unique in a service");
        }
    }
}

/// What a way to find endpoints asks of them.
fn check_resolution(spec: &Fields<'_>, entry: &ServiceEntry) {
    let wildcard = entry.hosts.iter().any(|host| host.value.starts_with('*'));
    if entry.workload_selector.is_some() && !entry.endpoints.is_empty() {
        spec.report("endpoints and workloadSelector exclude each other", "");
    }
    match entry.resolution {
        Resolution::None => {
            if !entry.endpoints.is_empty() {
                spec.report("with resolution NONE there are no endpoints", "use STATIC for addresses, DNS for names");
            }
        }
        Resolution::Static => {
            if entry.endpoints.iter().any(|one| !one.address.is_empty() && one.address.parse::<IpAddr>().is_err()) {
                spec.report(
                    "endpoints of a ServiceEntry with resolution STATIC need IP addresses",
                    "use resolution DNS for host names",
                );
            }
        }
        Resolution::Dns | Resolution::DnsRoundRobin => {
            if wildcard && entry.endpoints.is_empty() && entry.workload_selector.is_none() {
                spec.report("a wildcard host has no addresses in DNS", "give endpoints, or use resolution DYNAMIC_DNS");
            }
            if entry.resolution == Resolution::DnsRoundRobin && entry.endpoints.len() > 1 {
                spec.report("with resolution DNS_ROUND_ROBIN there is at most one endpoint", "use resolution DNS");
            }
        }
        Resolution::DynamicDns => {
            if entry.hosts.iter().any(|host| !host.value.starts_with('*')) {
                spec.report("resolution DYNAMIC_DNS is for wildcard hosts only", "use resolution DNS for one name");
            }
            if !entry.endpoints.is_empty() || entry.workload_selector.is_some() {
                spec.report("with resolution DYNAMIC_DNS there are no endpoints", "each request names its own");
            }
        }
    }
}

fn port(reader: &Reader<'_>) -> Option<EntryPort> {
    let fields = reader.fields()?;
    let number = fields.require("number")?.number(1, 65_535).and_then(|number| u16::try_from(number).ok());
    let name = fields.require("name").and_then(|name| name.text()).unwrap_or_default();
    let protocol = fields.take("protocol").and_then(|protocol| {
        let text = protocol.text()?;
        if text.is_empty() {
            return None;
        }
        let found = PROTOCOLS.iter().find(|(known, _)| known.eq_ignore_ascii_case(&text)).map(|(_, word)| *word);
        if found.is_none() {
            let known: Vec<&str> = PROTOCOLS.iter().map(|(known, _)| *known).collect();
            protocol.report(format!("{text:?} is not one of {}", known.join(", ")), "");
        }
        found
    });
    let target = fields.port("targetPort");
    fields.finish(&["number", "name", "protocol", "targetPort"]);
    Some(EntryPort { number: number?, name, protocol: protocol.unwrap_or("tcp").to_owned(), target })
}

pub(crate) fn read_workload(spec: Fields<'_>) -> Option<WorkloadEntry> {
    let workload = workload(&spec);
    if workload.address.is_empty() && workload.network.is_empty() {
        spec.report("the field address is missing", "");
    }
    spec.finish(&WORKLOAD_FIELDS);
    Some(workload)
}

/// What WorkloadEntries of a group have in common: everything but who they are.
pub(crate) fn workload_template(reader: &Reader<'_>) -> Option<WorkloadEntry> {
    let spec = reader.fields()?;
    for name in ["address", "labels"] {
        if let Some(reader) = spec.take(name) {
            reader.report(format!("a template has no {name}"), "labels of the group are in metadata");
        }
    }
    let template = workload(&spec);
    spec.finish(&WORKLOAD_FIELDS);
    Some(template)
}

const WORKLOAD_FIELDS: [&str; 7] = ["address", "ports", "labels", "network", "locality", "weight", "serviceAccount"];

fn workload(spec: &Fields<'_>) -> WorkloadEntry {
    let address = spec.take("address").and_then(|reader| {
        let text = reader.text()?;
        if text.starts_with("unix://") {
            reader.report("Unix domain sockets are not supported yet", "let the workload listen on an IP address");
        }
        Some(text)
    });
    let service_account = spec.text("serviceAccount").filter(|name| !name.is_empty());
    WorkloadEntry {
        address: address.unwrap_or_default(),
        ports: spec.take("ports").map(|reader| workload_ports(&reader)).unwrap_or_default(),
        labels: Labels(spec.text_map("labels")),
        says_service_account: service_account.is_some(),
        service_account: service_account.unwrap_or_else(|| "default".to_owned()),
        network: spec.text("network").unwrap_or_default(),
        locality: spec.text("locality").unwrap_or_default(),
        weight: spec.count("weight"),
    }
}

fn workload_ports(reader: &Reader<'_>) -> BTreeMap<String, u16> {
    let number = |value: &Reader<'_>| u16::try_from(value.number(1, 65_535)?).ok();
    reader.entries().into_iter().filter_map(|(name, value)| Some((name, number(&value)?))).collect()
}
