//! ServiceEntry and WorkloadEntry: services and workloads that Kubernetes does not know.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::problem::Located;
use crate::reader::{Fields, Reader};
use crate::selector::Labels;
use crate::visibility::{ExportTo, export_to};

/// A ServiceEntry.
#[derive(Clone, Debug)]
pub struct ServiceEntry {
    pub hosts: Vec<Located<String>>,
    /// Virtual addresses.
    pub addresses: Vec<String>,
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
    pub target: u16,
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
    Dns,
    DnsRoundRobin,
}

/// A workload outside of Kubernetes, or an endpoint of a ServiceEntry.
#[derive(Clone, Debug, Default)]
pub struct WorkloadEntry {
    /// An IP address or a host name.
    pub address: String,
    /// Port names to numbers.
    pub ports: BTreeMap<String, u16>,
    pub labels: Labels,
    pub service_account: String,
    pub locality: String,
    pub weight: Option<u32>,
}

const PROTOCOLS: [(&str, &str); 10] = [
    ("HTTP", "http"),
    ("HTTPS", "https"),
    ("GRPC", "grpc"),
    ("HTTP2", "http2"),
    ("GRPC-WEB", "grpc-web"),
    ("TLS", "tls"),
    ("TCP", "tcp"),
    ("MONGO", "mongo"),
    ("MYSQL", "mysql"),
    ("REDIS", "redis"),
];

pub(crate) fn read_entry(spec: Fields<'_>) -> Option<ServiceEntry> {
    let hosts = spec.require("hosts").map(|_| spec.texts("hosts")).unwrap_or_default();
    let entry = ServiceEntry {
        addresses: spec.texts("addresses").into_iter().map(|address| address.value).collect(),
        ports: spec.list("ports").iter().filter_map(port).collect(),
        location: spec
            .take("location")
            .and_then(|location| {
                location
                    .word(&[("MESH_EXTERNAL", ServiceLocation::External), ("MESH_INTERNAL", ServiceLocation::Internal)])
            })
            .unwrap_or(ServiceLocation::External),
        resolution: spec
            .take("resolution")
            .and_then(|resolution| {
                resolution.word(&[
                    ("NONE", Resolution::None),
                    ("STATIC", Resolution::Static),
                    ("DNS", Resolution::Dns),
                    ("DNS_ROUND_ROBIN", Resolution::DnsRoundRobin),
                ])
            })
            .unwrap_or(Resolution::None),
        endpoints: spec.list("endpoints").iter().filter_map(|endpoint| read_workload(endpoint.fields()?)).collect(),
        workload_selector: spec.fields("workloadSelector").map(|selector| {
            let labels = Labels(selector.text_map("labels"));
            selector.finish(&["labels"]);
            labels
        }),
        subject_alt_names: spec.texts("subjectAltNames").into_iter().map(|name| name.value).collect(),
        export_to: export_to(&spec),
        hosts,
    };
    if entry.resolution == Resolution::Static && entry.endpoints.iter().any(|e| e.address.parse::<IpAddr>().is_err()) {
        spec.report(
            "endpoints of a ServiceEntry with resolution STATIC need IP addresses",
            "use resolution DNS for host names",
        );
    }
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

fn port(reader: &Reader<'_>) -> Option<EntryPort> {
    let fields = reader.fields()?;
    let number = fields.require("number")?.number(1, 65_535).and_then(|number| u16::try_from(number).ok());
    let name = fields.require("name").and_then(|name| name.text()).unwrap_or_default();
    let protocol = fields.take("protocol").and_then(|protocol| protocol.word(&PROTOCOLS)).unwrap_or("tcp");
    let target = fields.port("targetPort");
    fields.finish(&["number", "name", "protocol", "targetPort"]);
    let number = number?;
    Some(EntryPort { number, name, protocol: protocol.to_owned(), target: target.unwrap_or(number) })
}

pub(crate) fn read_workload(spec: Fields<'_>) -> Option<WorkloadEntry> {
    let ports = spec.take("ports").map(|reader| workload_ports(&reader)).unwrap_or_default();
    spec.not_supported(&["network"]);
    let workload = WorkloadEntry {
        address: spec.require("address").and_then(|address| address.text()).unwrap_or_default(),
        ports,
        labels: Labels(spec.text_map("labels")),
        service_account: spec.text("serviceAccount").unwrap_or_else(|| "default".to_owned()),
        locality: spec.text("locality").unwrap_or_default(),
        weight: spec.count("weight"),
    };
    spec.finish(&["address", "ports", "labels", "network", "locality", "weight", "serviceAccount"]);
    Some(workload)
}

fn workload_ports(reader: &Reader<'_>) -> BTreeMap<String, u16> {
    let number = |value: &Reader<'_>| u16::try_from(value.number(1, 65_535)?).ok();
    reader.entries().into_iter().filter_map(|(name, value)| Some((name, number(&value)?))).collect()
}
