//! Sidecar: what a workload's proxy listens for, and which part of the mesh it is told of.

use std::net::{IpAddr, SocketAddr};

use crate::destination_rule::{ConnectionPool, connection_pool};
use crate::problem::Located;
use crate::reader::{Fields, Reader};
use crate::selector::{Labels, workload_selector};
use crate::virtual_service::{Destination, destination};

/// A Sidecar. Without a selector it holds for its namespace, in the root namespace for the mesh.
#[derive(Clone, Debug)]
pub struct Sidecar {
    pub workload_selector: Option<Labels>,
    /// Empty: a listener for each port of the workload's services.
    pub ingress: Vec<IngressListener>,
    /// Empty: everything that the namespace sees.
    pub egress: Vec<EgressListener>,
    /// Limits of all inbound ports.
    pub inbound_connection_pool: Option<ConnectionPool>,
    /// `None`: as the mesh says.
    pub outbound_policy: Option<OutboundPolicy>,
}

/// What becomes of calls to what nobody knows.
#[derive(Clone, Debug)]
pub enum OutboundPolicy {
    RegistryOnly,
    AllowAny {
        /// Takes such calls instead of the address that was called.
        egress_proxy: Option<Destination>,
    },
}

/// One inbound port.
#[derive(Clone, Debug)]
pub struct IngressListener {
    pub port: SidecarPort,
    pub bind: Option<IpAddr>,
    pub capture: CaptureMode,
    /// `None`: the port itself, at the workload.
    pub default_endpoint: Option<LocalEndpoint>,
    pub connection_pool: Option<ConnectionPool>,
}

/// Where the application listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalEndpoint {
    /// `127.0.0.1:PORT` or `[::1]:PORT`.
    Loopback(SocketAddr),
    /// `0.0.0.0:PORT`, `[::]:PORT` or `:PORT`: the workload's own address.
    Workload(u16),
}

/// One listener for outgoing calls, and what is behind it.
#[derive(Clone, Debug)]
pub struct EgressListener {
    /// `None`: every port of the imported services.
    pub port: Option<SidecarPort>,
    pub bind: Option<IpAddr>,
    pub capture: CaptureMode,
    pub hosts: Vec<HostImport>,
}

/// `namespace/dnsName` of an egress listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostImport {
    /// `~` in front: what it names is left out.
    pub excluded: bool,
    pub namespace: ImportNamespace,
    /// Lower case: a name, `*.` and its end, or `*`.
    pub host: String,
}

/// Namespaces of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportNamespace {
    Any,
    /// That of the proxy.
    Own,
    Named(String),
}

/// A port of a Sidecar's listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SidecarPort {
    pub number: u16,
    /// Lower case, such as `http`.
    pub protocol: String,
}

/// How traffic gets to a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureMode {
    /// As the proxy's interception is.
    Default,
    Redirected,
    /// The port is bound, and callers must call it.
    None,
}

const PROTOCOLS: [&str; 12] =
    ["HTTP", "HTTPS", "GRPC", "GRPC-WEB", "HTTP2", "MONGO", "MYSQL", "REDIS", "TCP", "TLS", "UDP", "HTTP_PROXY"];

pub(crate) fn read(spec: Fields<'_>) -> Option<Sidecar> {
    let sidecar = Sidecar {
        workload_selector: workload_selector(&spec),
        ingress: spec.list("ingress").iter().filter_map(ingress).collect(),
        egress: spec.list("egress").iter().filter_map(egress).collect(),
        inbound_connection_pool: spec.take("inboundConnectionPool").and_then(|one| connection_pool(&one)),
        outbound_policy: spec.take("outboundTrafficPolicy").and_then(|one| outbound_policy(&one)),
    };
    if !["ingress", "egress", "inboundConnectionPool", "outboundTrafficPolicy"].iter().any(|name| spec.has(name)) {
        spec.report("it says nothing", "give it ingress, egress, inboundConnectionPool or outboundTrafficPolicy");
    }
    unique_ports(&spec, sidecar.ingress.iter().map(|one| &one.port));
    unique_ports(&spec, sidecar.egress.iter().filter_map(|one| one.port.as_ref()));
    if sidecar.egress.iter().rev().skip(1).any(|one| one.port.is_none()) {
        spec.report(
            "an egress listener without a port is not the last one",
            "it takes all ports that are left: put it last",
        );
    }
    spec.finish(&["workloadSelector", "ingress", "egress", "inboundConnectionPool", "outboundTrafficPolicy"]);
    Some(sidecar)
}

fn unique_ports<'p>(spec: &Fields<'_>, ports: impl Iterator<Item = &'p SidecarPort>) {
    let mut seen = Vec::new();
    for port in ports {
        if seen.contains(&port.number) {
            spec.report(format!("there are two listeners for port {}", port.number), "ports of listeners are unique");
        }
        seen.push(port.number);
    }
}

fn ingress(reader: &Reader<'_>) -> Option<IngressListener> {
    let fields = reader.fields()?;
    let port = fields.require("port").and_then(|port| sidecar_port(&port));
    if let Some(tls) = fields.take("tls") {
        tls.report(
            "certificates from files of the workload are not supported yet",
            "leave it out: mutual TLS of the mesh is there without it",
        );
    }
    let listener = IngressListener {
        bind: fields.take("bind").and_then(|bind| address(&bind)),
        capture: capture(&fields),
        default_endpoint: fields.take("defaultEndpoint").and_then(|one| local_endpoint(&one)),
        connection_pool: fields.take("connectionPool").and_then(|one| connection_pool(&one)),
        port: port?,
    };
    fields.finish(&["port", "bind", "captureMode", "defaultEndpoint", "connectionPool", "tls"]);
    Some(listener)
}

fn egress(reader: &Reader<'_>) -> Option<EgressListener> {
    let fields = reader.fields()?;
    let hosts = fields.require("hosts").map(|hosts| hosts.list()).unwrap_or_default();
    if hosts.is_empty() {
        fields.report("an egress listener needs at least one host", "write */* for everything, ~/* for nothing");
    }
    let listener = EgressListener {
        port: fields.take("port").and_then(|port| sidecar_port(&port)),
        bind: fields.take("bind").and_then(|bind| address(&bind)),
        capture: capture(&fields),
        hosts: hosts.iter().filter_map(host_import).collect(),
    };
    if listener.bind.is_some() && listener.port.is_none() {
        fields.report("bind needs a port", "add port.number and port.protocol");
    }
    fields.finish(&["port", "bind", "captureMode", "hosts"]);
    Some(listener)
}

fn host_import(reader: &Reader<'_>) -> Option<HostImport> {
    let text = reader.text()?;
    let parts: Vec<&str> = text.split('/').collect();
    let [namespace, host] = parts.as_slice() else {
        reader.report(format!("{text:?} is not of the form namespace/dnsName"), "such as ./*, */api.example.com, ~/*");
        return None;
    };
    if host.is_empty() || host.get(1..).is_some_and(|rest| rest.contains('*')) {
        reader.report(format!("{host:?} is no host"), "write a full name, *. and the end of one, or *");
        return None;
    }
    let (excluded, namespace) = match namespace.strip_prefix('~') {
        Some(rest) => (true, rest),
        None => (false, *namespace),
    };
    let namespace = match namespace {
        "*" => ImportNamespace::Any,
        "" if excluded => ImportNamespace::Any,
        "." => ImportNamespace::Own,
        "" => {
            reader.report("the namespace is missing", "write . for the Sidecar's own, * for all");
            return None;
        }
        name => ImportNamespace::Named(name.to_owned()),
    };
    Some(HostImport { excluded, namespace, host: host.to_ascii_lowercase() })
}

fn sidecar_port(reader: &Reader<'_>) -> Option<SidecarPort> {
    let fields = reader.fields()?;
    let number = fields.require("number").and_then(|number| match number.number(0, 65_535) {
        Some(0) => {
            number.report("port 0 is for Unix domain sockets, which are not supported yet", "use a TCP port");
            None
        }
        other => other,
    });
    let protocol = fields.require("protocol").and_then(|protocol| {
        let text = protocol.text()?;
        let known = PROTOCOLS.iter().find(|known| known.eq_ignore_ascii_case(&text));
        if known.is_none() {
            protocol.report(format!("{text:?} is not one of {}", PROTOCOLS.join(", ")), "");
        }
        known.map(|known| known.to_ascii_lowercase())
    });
    fields.take("name");
    fields.not_supported(&["targetPort"]);
    fields.finish(&["number", "protocol", "name"]);
    Some(SidecarPort { number: u16::try_from(number?).ok()?, protocol: protocol? })
}

fn capture(fields: &Fields<'_>) -> CaptureMode {
    let words = [("DEFAULT", CaptureMode::Default), ("IPTABLES", CaptureMode::Redirected), ("NONE", CaptureMode::None)];
    fields.take("captureMode").and_then(|mode| mode.word(&words)).unwrap_or(CaptureMode::Default)
}

fn address(reader: &Reader<'_>) -> Option<IpAddr> {
    let text = reader.text().filter(|text| !text.is_empty())?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        let why = if text.starts_with("unix://") { "Unix domain sockets are not supported yet" } else { "" };
        reader.report(format!("{text:?} is no IP address"), why);
    }
    parsed
}

fn local_endpoint(reader: &Reader<'_>) -> Option<LocalEndpoint> {
    let text = reader.text().filter(|text| !text.is_empty())?;
    if text.starts_with("unix://") {
        reader.report("Unix domain sockets are not supported yet", "let the application listen on 127.0.0.1");
        return None;
    }
    let own = text.strip_prefix(':').and_then(|port| port.parse().ok()).map(LocalEndpoint::Workload);
    let found = own.or_else(|| {
        let to: SocketAddr = text.parse().ok()?;
        match to.ip() {
            ip if ip.is_unspecified() => Some(LocalEndpoint::Workload(to.port())),
            ip if ip.is_loopback() => Some(LocalEndpoint::Loopback(to)),
            _ => None,
        }
    });
    let port = found.map(|found| match found {
        LocalEndpoint::Loopback(to) => to.port(),
        LocalEndpoint::Workload(port) => port,
    });
    if port.is_none_or(|port| port == 0) {
        reader.report(format!("{text:?} is no endpoint of the workload"), "write 127.0.0.1:PORT or 0.0.0.0:PORT");
        return None;
    }
    found
}

fn outbound_policy(reader: &Reader<'_>) -> Option<OutboundPolicy> {
    let fields = reader.fields()?;
    let words = [("REGISTRY_ONLY", false), ("ALLOW_ANY", true)];
    let any = fields.take("mode").and_then(|mode| mode.word(&words)).unwrap_or(false);
    let proxy = fields.take("egressProxy").and_then(|proxy| egress_proxy(&proxy, any));
    fields.finish(&["mode", "egressProxy"]);
    Some(if any { OutboundPolicy::AllowAny { egress_proxy: proxy } } else { OutboundPolicy::RegistryOnly })
}

fn egress_proxy(reader: &Reader<'_>, any: bool) -> Option<Destination> {
    let proxy = destination(reader)?;
    if !any {
        reader.report("an egress proxy takes effect with mode ALLOW_ANY only", "");
    }
    if proxy.port.is_none() {
        reader.report("the port of the egress proxy is missing", "add port.number");
    }
    Some(proxy)
}

impl EgressListener {
    /// Everything that a namespace sees.
    pub fn everything() -> Self {
        let all = HostImport { excluded: false, namespace: ImportNamespace::Any, host: "*".to_owned() };
        Self { port: None, bind: None, capture: CaptureMode::Default, hosts: vec![all] }
    }
}

/// Places are not part of what a policy says.
impl PartialEq for OutboundPolicy {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::RegistryOnly, Self::RegistryOnly) => true,
            (Self::AllowAny { egress_proxy: one }, Self::AllowAny { egress_proxy: other }) => {
                let parts = |to: &Destination| {
                    (to.host.value.clone(), to.subset.as_ref().map(|one: &Located<String>| one.value.clone()), to.port)
                };
                one.as_ref().map(parts) == other.as_ref().map(parts)
            }
            (Self::RegistryOnly | Self::AllowAny { .. }, _) => false,
        }
    }
}

impl Eq for OutboundPolicy {}
