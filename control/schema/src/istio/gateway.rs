//! `networking.istio.io` Gateway.

use super::common::PORT;
use crate::rules::{has, items, text};
use crate::shape::{FLAG, LABELS, NAME, Object, Shape, TEXT, TEXTS, field, list, object, required, rule, ruled, some};

const PROTOCOLS: [&str; 11] =
    ["HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB", "GRPC-WEB-TLS", "TCP", "TLS", "MONGO", "REDIS", "MYSQL"];

pub(super) const SPEC: Object = ruled(
    &[field("servers", list(&Shape::Object(&SERVER))), field("selector", LABELS)],
    &[rule("port names in servers must be unique", |value| {
        let mut seen = std::collections::HashSet::new();
        let ports = items(value, "servers").iter().filter_map(|server| server.get("port"));
        ports.map(|port| text(port, "name")).filter(|name| !name.is_empty()).all(|name| seen.insert(name))
    })],
);

const SERVER: Object = ruled(
    &[
        required("port", Shape::Object(&PORT)),
        field("bind", TEXT),
        required("hosts", some(&NAME)),
        field("tls", Shape::Object(&TLS)),
        field("defaultEndpoint", TEXT),
        field("name", TEXT),
    ],
    &[
        rule("server must have TLS settings for HTTPS/TLS protocols", |value| {
            let protocol =
                value.get("port").map(|port| text(port, "protocol").to_ascii_uppercase()).unwrap_or_default();
            !matches!(protocol.as_str(), "HTTPS" | "TLS") || has(value, "tls")
        }),
        rule("server cannot have TLS settings for plain text HTTP ports", |value| {
            let protocol =
                value.get("port").map(|port| text(port, "protocol").to_ascii_uppercase()).unwrap_or_default();
            let redirects = value.get("tls").is_none_or(|tls| tls.get("mode").is_none_or(|mode| mode == "PASSTHROUGH"));
            !matches!(protocol.as_str(), "HTTP" | "HTTP2" | "GRPC") || redirects
        }),
        rule("unsupported protocol", |value| {
            let protocol =
                value.get("port").map(|port| text(port, "protocol").to_ascii_uppercase()).unwrap_or_default();
            protocol.is_empty() || PROTOCOLS.contains(&protocol.as_str())
        }),
    ],
);

const VERSIONS: Shape = Shape::Word(&["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"]);

const TLS: Object = ruled(
    &[
        field("httpsRedirect", FLAG),
        field(
            "mode",
            Shape::Word(&["PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"]),
        ),
        field("serverCertificate", TEXT),
        field("privateKey", TEXT),
        field("caCertificates", TEXT),
        field("caCrl", TEXT),
        field("credentialName", TEXT),
        field("caCertCredentialName", TEXT),
        field("credentialNames", TEXTS),
        field("tlsCertificates", list(&Shape::Object(&CERTIFICATE))),
        field("subjectAltNames", TEXTS),
        field("verifyCertificateSpki", TEXTS),
        field("verifyCertificateHash", TEXTS),
        field("minProtocolVersion", VERSIONS),
        field("maxProtocolVersion", VERSIONS),
        field("cipherSuites", TEXTS),
    ],
    &[rule("SIMPLE TLS requires a server certificate and a private key", |value| {
        let named = ["credentialName", "credentialNames", "tlsCertificates"].iter().any(|field| has(value, field));
        let files = has(value, "serverCertificate") && has(value, "privateKey");
        !matches!(text(value, "mode"), "SIMPLE" | "MUTUAL" | "OPTIONAL_MUTUAL")
            || named
            || files
            || has(value, "httpsRedirect")
    })],
);

const CERTIFICATE: Object =
    object(&[field("serverCertificate", TEXT), field("privateKey", TEXT), field("caCertificates", TEXT)]);
