//! Istio's Gateway: what a gateway proxy listens for.

use crate::problem::Located;
use crate::reader::{Fields, Reader};
use crate::selector::Labels;

/// A Gateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Of the gateway's pods.
    pub selector: Labels,
    pub servers: Vec<Server>,
}

/// One port that is listened on for some hosts.
#[derive(Clone, Debug)]
pub struct Server {
    pub port: u16,
    /// Upper case: HTTP, HTTPS, HTTP2, GRPC, TLS, TCP.
    pub protocol: &'static str,
    /// Without their namespace part.
    pub hosts: Vec<Located<String>>,
    pub tls: Option<ServerTls>,
}

/// How TLS is ended.
#[derive(Clone, Debug)]
pub struct ServerTls {
    pub mode: ServerTlsMode,
    pub credential_name: String,
    pub https_redirect: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerTlsMode {
    /// Not ended here.
    Passthrough,
    Simple,
    /// With a certificate of the client.
    Mutual,
    /// With the mesh's own certificates.
    IstioMutual,
}

const PROTOCOLS: [(&str, &str); 6] =
    [("HTTP", "HTTP"), ("HTTPS", "HTTPS"), ("HTTP2", "HTTP2"), ("GRPC", "GRPC"), ("TLS", "TLS"), ("TCP", "TCP")];

pub(crate) fn read(spec: Fields<'_>) -> Option<Gateway> {
    let selector = Labels(spec.text_map("selector"));
    let servers: Vec<Server> = match spec.require("servers") {
        Some(servers) => servers.list().iter().filter_map(server).collect(),
        None => Vec::new(),
    };
    spec.finish(&["selector", "servers"]);
    Some(Gateway { selector, servers })
}

fn server(reader: &Reader<'_>) -> Option<Server> {
    let fields = reader.fields()?;
    let port = fields.require("port").and_then(|port| server_port(&port));
    let hosts = match fields.require("hosts") {
        Some(hosts) => hosts.list().iter().filter_map(Reader::located_text).map(without_namespace).collect(),
        None => Vec::new(),
    };
    let tls = fields.take("tls").and_then(|tls| server_tls(&tls));
    fields.take("name");
    fields.not_supported(&["bind", "defaultEndpoint"]);
    fields.finish(&["port", "hosts", "tls", "name", "bind", "defaultEndpoint"]);
    let (port, protocol) = port?;
    Some(Server { port, protocol, hosts, tls })
}

/// `namespace/host`: hosts of all namespaces are bound here.
fn without_namespace(host: Located<String>) -> Located<String> {
    match host.value.split_once('/') {
        Some((_, name)) => Located { value: name.to_owned(), place: host.place },
        None => host,
    }
}

fn server_port(reader: &Reader<'_>) -> Option<(u16, &'static str)> {
    let fields = reader.fields()?;
    let number = fields.require("number").and_then(|n| n.number(1, 65_535)).and_then(|n| u16::try_from(n).ok());
    let protocol = fields.require("protocol").and_then(|protocol| protocol.word(&PROTOCOLS));
    fields.take("name");
    fields.take("targetPort");
    fields.finish(&["number", "name", "protocol", "targetPort"]);
    Some((number?, protocol?))
}

fn server_tls(reader: &Reader<'_>) -> Option<ServerTls> {
    let fields = reader.fields()?;
    let mode = fields.take("mode").and_then(|mode| {
        mode.word(&[
            ("PASSTHROUGH", ServerTlsMode::Passthrough),
            ("SIMPLE", ServerTlsMode::Simple),
            ("MUTUAL", ServerTlsMode::Mutual),
            ("ISTIO_MUTUAL", ServerTlsMode::IstioMutual),
        ])
    });
    let mode = mode.unwrap_or(ServerTlsMode::Simple);
    if let Some(unsupported) =
        fields.take("mode").filter(|_| matches!(mode, ServerTlsMode::Simple | ServerTlsMode::Mutual))
    {
        unsupported.report(
            "certificates of gateways are not supported yet",
            "use ISTIO_MUTUAL, or end TLS in front of the gateway",
        );
    }
    fields.not_supported(&[
        "serverCertificate",
        "privateKey",
        "caCertificates",
        "subjectAltNames",
        "verifyCertificateSpki",
        "verifyCertificateHash",
        "minProtocolVersion",
        "maxProtocolVersion",
        "cipherSuites",
    ]);
    let tls = ServerTls {
        mode,
        credential_name: fields.text("credentialName").unwrap_or_default(),
        https_redirect: fields.take("httpsRedirect").and_then(|redirect| redirect.flag()).unwrap_or(false),
    };
    fields.finish(&["mode", "credentialName", "httpsRedirect"]);
    Some(tls)
}
