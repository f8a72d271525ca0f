//! Istio's Gateway: what a gateway proxy listens for.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::problem::Located;
use crate::reader::{Fields, Reader};
use crate::selector::Labels;

mod tls;

pub use tls::{ServerTls, ServerTlsMode, TlsVersion};

/// Most servers of one Gateway.
const MOST_SERVERS: usize = 1_000;

/// A Gateway.
#[derive(Clone, Debug, Default)]
pub struct Gateway {
    /// Of the gateway's pods.
    pub selector: Labels,
    pub servers: Vec<Server>,
    pub origin: GatewayOrigin,
}

/// Whose rules a Gateway follows where Istio and Gateway API differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GatewayOrigin {
    /// Written as Istio's kind. Credentials are those of the proxy's own namespace.
    #[default]
    Istio,
    /// Translated from a Gateway API listener. Requests reach only the listener whose hostname fits best.
    GatewayApi {
        /// Credentials, as servers name them, that the listener may use wherever they are: in the Gateway's own
        /// namespace, or granted by a ReferenceGrant.
        granted: BTreeSet<String>,
        /// Which proxies serve it: any of these; the selector has no part in it.
        workloads: Vec<GatewayWorkloads>,
    },
}

/// Proxies of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayWorkloads {
    pub namespace: String,
    pub labels: Labels,
}

/// One port that is listened on for some hosts.
#[derive(Clone, Debug)]
pub struct Server {
    /// Of the server; may be empty.
    pub name: String,
    /// Of the gateway's Service, or of its pods where no Service has it.
    pub port: u16,
    pub port_name: String,
    pub protocol: ServerProtocol,
    /// The only address to listen on.
    pub bind: Option<IpAddr>,
    pub hosts: Vec<ServerHost>,
    pub tls: Option<ServerTls>,
}

/// A host that a server takes requests or connections for.
#[derive(Clone, Debug)]
pub struct ServerHost {
    /// Namespace of the virtual services that may bind to it; `None`: all (`*/host`, or `host` alone).
    pub namespace: Option<String>,
    /// `*`, `*.example.com` or a name, in lower case.
    pub host: Located<String>,
}

/// What is spoken on a server's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerProtocol {
    Grpc,
    Http,
    Http2,
    Https,
    Tcp,
    Tls,
    Udp,
}

const PROTOCOLS: [(&str, ServerProtocol); 11] = [
    ("GRPC", ServerProtocol::Grpc),
    ("GRPC-WEB", ServerProtocol::Http),
    ("HTTP", ServerProtocol::Http),
    ("HTTP2", ServerProtocol::Http2),
    ("HTTPS", ServerProtocol::Https),
    ("MONGO", ServerProtocol::Tcp),
    ("MYSQL", ServerProtocol::Tcp),
    ("REDIS", ServerProtocol::Tcp),
    ("TCP", ServerProtocol::Tcp),
    ("TLS", ServerProtocol::Tls),
    ("UDP", ServerProtocol::Udp),
];

impl ServerProtocol {
    /// Requests in plain text.
    pub fn is_plain_http(self) -> bool {
        match self {
            Self::Grpc | Self::Http | Self::Http2 => true,
            Self::Https | Self::Tcp | Self::Tls | Self::Udp => false,
        }
    }
}

impl Gateway {
    /// Whether a proxy with these labels, in this namespace, serves it.
    pub fn is_served_by(&self, namespace: &str, labels: &Labels) -> bool {
        match &self.origin {
            GatewayOrigin::Istio => self.selector.select(labels),
            GatewayOrigin::GatewayApi { workloads, .. } => {
                workloads.iter().any(|one| one.namespace == namespace && one.labels.select(labels))
            }
        }
    }
}

impl Server {
    /// Whether TLS ends here and requests are routed.
    pub fn ends_https(&self) -> bool {
        self.protocol == ServerProtocol::Https && !self.passes_tls()
    }

    /// Whether connections go on as they are, chosen by the server name that they ask for.
    pub fn passes_tls(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| match tls.mode {
            ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough => true,
            ServerTlsMode::Simple
            | ServerTlsMode::Mutual
            | ServerTlsMode::OptionalMutual
            | ServerTlsMode::IstioMutual => false,
        })
    }
}

pub(crate) fn read(spec: Fields<'_>, namespace: &str) -> Option<Gateway> {
    let selector = Labels(spec.text_map("selector"));
    let readers = spec.require("servers").map(|servers| servers.list()).unwrap_or_default();
    if readers.len() > MOST_SERVERS {
        spec.report(format!("{} servers; at most {MOST_SERVERS} are taken", readers.len()), "");
        return None;
    }
    let servers = readers.iter().filter_map(|reader| server(reader, namespace)).collect();
    spec.finish(&["selector", "servers"]);
    Some(Gateway { selector, servers, origin: GatewayOrigin::Istio })
}

fn server(reader: &Reader<'_>, namespace: &str) -> Option<Server> {
    let fields = reader.fields()?;
    let port = fields.require("port").and_then(|port| server_port(&port));
    let hosts: Vec<ServerHost> = match fields.require("hosts") {
        Some(hosts) => hosts.list().iter().filter_map(|one| host(one, namespace)).collect(),
        None => Vec::new(),
    };
    let tls = fields.take("tls").and_then(|reader| tls::read(&reader));
    let name = fields.text("name").unwrap_or_default();
    let bind = fields.take("bind").filter(|bind| !is_empty(bind)).and_then(|bind| ip(&bind));
    // Istio has it in its schema, and no meaning for it.
    fields.not_supported(&["defaultEndpoint"]);
    let (port, port_name, protocol) = port?;
    match (protocol, &tls) {
        (ServerProtocol::Https | ServerProtocol::Tls, None) => {
            fields.report("a server for HTTPS or TLS needs tls settings", "add tls with a mode");
        }
        (ServerProtocol::Grpc | ServerProtocol::Http | ServerProtocol::Http2, Some(tls)) if !tls.https_redirect => {
            fields.report("a server for plain HTTP has no TLS", "use the protocol HTTPS, or httpsRedirect");
        }
        (ServerProtocol::Udp, Some(_)) => fields.report("a server for UDP has no TLS", ""),
        _ => {}
    }
    fields.finish(&["port", "hosts", "tls", "name", "bind", "defaultEndpoint"]);
    Some(Server { name, port, port_name, protocol, bind, hosts, tls })
}

/// `host`, `namespace/host`, `./host` or `*/host`.
fn host(reader: &Reader<'_>, own: &str) -> Option<ServerHost> {
    let mut host = reader.located_text()?;
    let text = std::mem::take(&mut host.value);
    let (namespace, name) = match text.split_once('/') {
        None | Some(("*", _)) => (None, text.rsplit('/').next().unwrap_or_default()),
        Some((".", name)) => (Some(own.to_owned()), name),
        Some((namespace, name)) => (Some(namespace.to_owned()), name),
    };
    let labels = name.strip_prefix("*.").unwrap_or(name);
    let fine = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    if name.len() > 253 || (name != "*" && !labels.split('.').all(fine)) {
        reader.report(
            format!("{name:?} is no host"),
            "write a name such as shop.example.com, *.example.com, or * for all",
        );
        return None;
    }
    host.value = name.to_ascii_lowercase();
    Some(ServerHost { namespace, host })
}

fn server_port(reader: &Reader<'_>) -> Option<(u16, String, ServerProtocol)> {
    let fields = reader.fields()?;
    let number = fields.require("number").and_then(|n| n.number(1, 65_535)).and_then(|n| u16::try_from(n).ok());
    let protocol = fields.require("protocol").and_then(|protocol| protocol.word(&PROTOCOLS));
    let name = fields.text("name").unwrap_or_default();
    // Without meaning in Istio, too: the gateway's Service says which port of the pods it is.
    fields.take("targetPort");
    fields.finish(&["number", "name", "protocol", "targetPort"]);
    Some((number?, name, protocol?))
}

fn is_empty(reader: &Reader<'_>) -> bool {
    matches!(&reader.node.value, crate::yaml::Value::Text(text) if text.is_empty())
}

fn ip(reader: &Reader<'_>) -> Option<IpAddr> {
    let text = reader.text()?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        reader.report(format!("{text:?} is no IP address"), "");
    }
    parsed
}

#[cfg(test)]
mod tests;
