//! The simulate file: configuration, calls, and what is expected of them. `README.md` beside this file is its reference.
//!
//! Types and their reading only; what they mean is played in `cluster`, by a subject, and judged in `check`.

mod status;
mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

pub(crate) use status::{Conditions, ParentExpectation, StatusExpectation};
pub(crate) use words::{From, Name, ObjectRef, OneOrMany, Text};

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// One sentence on what is shown.
    pub(crate) about: String,
    /// Applied in order before the first step.
    #[serde(default)]
    pub(crate) configuration: Vec<Source>,
    /// Certificates and authorities that are made for this case.
    #[serde(default)]
    pub(crate) secrets: Vec<ObjectRef>,
    /// Fields of MeshConfig.
    #[serde(default)]
    pub(crate) mesh: Map<String, Value>,
    #[serde(default)]
    steps: Vec<Step>,
    #[serde(default)]
    calls: Vec<Call>,
    #[serde(default)]
    status: Vec<StatusExpectation>,
    #[serde(default)]
    refused: Vec<ObjectRef>,
}

/// Where configuration is.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Source {
    /// A file of the corpus.
    #[serde(rename_all = "camelCase")]
    Corpus { corpus: String },
    /// A file of `configuration/`, which several cases stand on.
    #[serde(rename_all = "camelCase")]
    Shared { shared: String },
    /// Documents.
    Inline(String),
}

/// A change, and what holds after it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// Documents that are added or replaced.
    pub(crate) apply: Option<String>,
    #[serde(default)]
    pub(crate) delete: Vec<ObjectRef>,
    /// Objects that the control plane must refuse; any other refusal fails the case.
    #[serde(default)]
    pub(crate) refused: Vec<ObjectRef>,
    #[serde(default)]
    pub(crate) calls: Vec<Call>,
    #[serde(default)]
    pub(crate) status: Vec<StatusExpectation>,
}

/// A request, connection or datagram, `count` times.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    pub(crate) from: From,
    pub(crate) request: Option<Request>,
    pub(crate) tcp: Option<Tcp>,
    pub(crate) udp: Option<Udp>,
    #[serde(default = "once")]
    pub(crate) count: u32,
    #[serde(default)]
    pub(crate) application: Application,
    #[serde(default)]
    pub(crate) expect: Expect,
}

/// What a client asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    pub(crate) method: Option<String>,
    #[serde(default)]
    pub(crate) scheme: Scheme,
    /// With its port, if the client sends it; `None`: the address that is called.
    pub(crate) host: Option<String>,
    /// `None`: the host's, else the scheme's.
    pub(crate) port: Option<u16>,
    /// With the query; `None`: `/`.
    pub(crate) path: Option<String>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, OneOrMany<Text>>,
    #[serde(default)]
    pub(crate) protocol: Protocol,
    #[serde(default)]
    pub(crate) tls: Tls,
    /// The name or address that is called, where it is not the host's.
    pub(crate) to: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scheme {
    #[default]
    Http,
    Https,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    #[default]
    Http1,
    H2,
    Grpc,
    Websocket,
}

/// A connection whose bytes nobody looks into, in TLS if `tls` or `sni` is given.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tcp {
    pub(crate) port: u16,
    pub(crate) sni: Option<String>,
    pub(crate) tls: Option<Tls>,
    pub(crate) to: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Udp {
    pub(crate) port: u16,
}

/// How a client speaks TLS.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    pub(crate) sni: Option<String>,
    #[serde(default)]
    pub(crate) alpn: Vec<String>,
    pub(crate) certificate: Option<ObjectRef>,
    /// `None`: the server's certificate is not checked.
    pub(crate) roots: Option<ObjectRef>,
}

/// How the application answers: after `delay`, with `status` or by `outcome`; with `failures`, only the first so many
/// attempts of each call do that, and the next is answered well at once.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Application {
    #[serde(default, deserialize_with = "words::duration")]
    pub(crate) delay: Option<Duration>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, OneOrMany<Text>>,
    pub(crate) failures: Option<u32>,
    pub(crate) status: Option<u16>,
    pub(crate) outcome: Option<Outcome>,
    /// Of a gRPC call.
    pub(crate) grpc: Option<u32>,
}

/// What has to come of it. What is not given is not looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    pub(crate) status: Option<OneOrMany<u16>>,
    /// Shares of statuses, over all calls.
    #[serde(default)]
    pub(crate) statuses: BTreeMap<String, f64>,
    pub(crate) outcome: Option<OneOrMany<Outcome>>,
    pub(crate) grpc: Option<OneOrMany<u32>>,
    pub(crate) backend: Option<Name>,
    #[serde(default)]
    pub(crate) backends: BTreeMap<Name, f64>,
    /// How many different pods or hosts answered.
    pub(crate) distinct: Option<usize>,
    pub(crate) request: Option<Seen>,
    #[serde(default)]
    pub(crate) requests: BTreeMap<Name, Seen>,
    pub(crate) response: Option<Seen>,
    pub(crate) mirrors: Option<Mirrors>,
    pub(crate) attempts: Option<u32>,
    pub(crate) upstream: Option<Upstream>,
    /// The answer takes at least so long (an injected delay).
    #[serde(default, deserialize_with = "words::duration")]
    pub(crate) delay: Option<Duration>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// No connection.
    Refused,
    /// The connection ended without an answer.
    Reset,
    /// The TLS handshake failed.
    TlsError,
    Timeout,
}

/// A head as someone saw it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seen {
    pub(crate) method: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) path: Option<String>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, OneOrMany<Text>>,
    /// Names that are there, with whatever value.
    #[serde(default)]
    pub(crate) present: Vec<String>,
    #[serde(default)]
    pub(crate) absent: Vec<String>,
    pub(crate) body: Option<String>,
}

/// Who gets copies.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Mirrors {
    /// One of each call.
    All(Vec<Name>),
    Shares(BTreeMap<Name, f64>),
}

/// How the backend was spoken to.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Upstream {
    Plain(Plain),
    #[serde(rename_all = "camelCase")]
    Tls {
        sni: Option<String>,
        certificate: Option<ObjectRef>,
    },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Plain {
    Plaintext,
}

impl Case {
    /// The steps; a file with one step may have what belongs to it at the top.
    pub(crate) fn take_steps(&mut self) -> Vec<Step> {
        let mut steps = std::mem::take(&mut self.steps);
        if !self.calls.is_empty() || !self.status.is_empty() || !self.refused.is_empty() || steps.is_empty() {
            let first = Step {
                calls: std::mem::take(&mut self.calls),
                status: std::mem::take(&mut self.status),
                refused: std::mem::take(&mut self.refused),
                ..Step::default()
            };
            steps.insert(0, first);
        }
        steps
    }
}

fn once() -> u32 {
    1
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.path.as_deref().unwrap_or("/")
    }

    pub(crate) fn method(&self) -> &str {
        match (&self.method, self.protocol) {
            (Some(method), _) => method,
            (None, Protocol::Grpc) => "POST",
            (None, Protocol::Http1 | Protocol::H2 | Protocol::Websocket) => "GET",
        }
    }

    /// The port that is called.
    pub(crate) fn port(&self) -> u16 {
        let of_host = || self.host.as_deref()?.rsplit_once(':')?.1.parse().ok();
        self.port.or_else(of_host).unwrap_or(match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        })
    }

    /// What the client says in `host` when it calls this address.
    pub(crate) fn authority(&self, address: std::net::IpAddr) -> String {
        match (&self.host, self.scheme, self.port()) {
            (Some(host), _, _) => host.clone(),
            (None, Scheme::Http, 80) | (None, Scheme::Https, 443) => address.to_string(),
            (None, Scheme::Http | Scheme::Https, port) => format!("{address}:{port}"),
        }
    }

    /// The name that the client looks up.
    pub(crate) fn target(&self) -> Option<&str> {
        let host = self.to.as_deref().or(self.host.as_deref())?;
        Some(match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.contains(':') => name,
            _ => host,
        })
    }
}
