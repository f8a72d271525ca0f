//! Traffic in numbers: rates by protocol and response, in the classes that Kiali prints.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Protocol of a call, as the `request_protocol` label has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// gRPC.
    Grpc,
    /// HTTP of any version.
    Http,
    /// Opaque bytes.
    Tcp,
}

/// What became of a request, by Kiali's classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered well; for TCP the only one.
    Success,
    /// Sent elsewhere (HTTP 3xx).
    Redirect,
    /// The caller's fault (HTTP 4xx).
    ClientError,
    /// The callee's fault (HTTP 5xx), or a gRPC status other than 0.
    ServerError,
    /// No response at all.
    NoResponse,
}

/// Traffic of one protocol: requests per second, or bytes per second for TCP.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rates {
    /// Everything.
    pub total: f64,
    /// HTTP 3xx.
    pub redirect: f64,
    /// HTTP 4xx.
    pub client_error: f64,
    /// HTTP 5xx; for gRPC every error.
    pub server_error: f64,
    /// No response.
    pub no_response: f64,
    /// By response code.
    pub codes: BTreeMap<Arc<str>, Responses>,
}

/// Traffic with one response code.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Responses {
    /// By response flags.
    pub flags: BTreeMap<Arc<str>, f64>,
    /// By host asked for.
    pub hosts: BTreeMap<Arc<str>, f64>,
}

impl Protocol {
    /// All protocols in the order in which Kiali lists them.
    pub const ALL: [Self; 3] = [Self::Grpc, Self::Http, Self::Tcp];

    /// As the label and Kiali spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
            Self::Tcp => "tcp",
        }
    }

    /// Reads the label.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name)
    }

    /// Class of a response. `code` is an HTTP status, a gRPC status, or `-` for none.
    pub fn outcome(self, code: &str) -> Outcome {
        match self {
            Self::Tcp => Outcome::Success,
            Self::Grpc | Self::Http if code == "-" => Outcome::NoResponse,
            Self::Grpc if code.len() == 3 => match code.as_bytes().first() {
                Some(b'4' | b'5') => Outcome::ServerError,
                Some(_) | None => Outcome::Success,
            },
            Self::Grpc if code == "0" => Outcome::Success,
            Self::Grpc => Outcome::ServerError,
            Self::Http => match code.as_bytes().first() {
                Some(b'3') => Outcome::Redirect,
                Some(b'4') => Outcome::ClientError,
                Some(b'5') => Outcome::ServerError,
                Some(_) | None => Outcome::Success,
            },
        }
    }
}

impl Outcome {
    /// Whether golden signals count it as an error: the callee failed, or nobody answered.
    pub fn is_failure(self) -> bool {
        match self {
            Self::Success | Self::Redirect | Self::ClientError => false,
            Self::ServerError | Self::NoResponse => true,
        }
    }
}

impl Rates {
    /// Adds traffic with one response.
    pub fn add(&mut self, protocol: Protocol, rate: f64, code: &Arc<str>, flags: &Arc<str>, host: &Arc<str>) {
        self.total += rate;
        match protocol.outcome(code) {
            Outcome::Success => {}
            Outcome::Redirect => self.redirect += rate,
            Outcome::ClientError => self.client_error += rate,
            Outcome::ServerError => self.server_error += rate,
            Outcome::NoResponse => self.no_response += rate,
        }
        let responses = self.codes.entry(code.clone()).or_default();
        *responses.flags.entry(flags.clone()).or_default() += rate;
        *responses.hosts.entry(host.clone()).or_default() += rate;
    }

    /// Adds all of another's traffic.
    pub fn merge(&mut self, other: &Self) {
        self.total += other.total;
        self.redirect += other.redirect;
        self.client_error += other.client_error;
        self.server_error += other.server_error;
        self.no_response += other.no_response;
        for (code, from) in &other.codes {
            let to = self.codes.entry(code.clone()).or_default();
            for (flags, rate) in &from.flags {
                *to.flags.entry(flags.clone()).or_default() += rate;
            }
            for (host, rate) in &from.hosts {
                *to.hosts.entry(host.clone()).or_default() += rate;
            }
        }
    }

    /// Rate of each response code.
    pub fn by_code(&self) -> impl Iterator<Item = (&Arc<str>, f64)> {
        self.codes.iter().map(|(code, responses)| (code, responses.flags.values().sum()))
    }

    /// What Kiali counts as errors: 4xx, 5xx, gRPC errors and no response.
    pub fn errors(&self) -> f64 {
        self.client_error + self.server_error + self.no_response
    }

    /// What golden signals count as errors: 5xx, gRPC errors and no response.
    pub fn failures(&self) -> f64 {
        self.server_error + self.no_response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes() {
        let table = [
            (Protocol::Http, "200", Outcome::Success),
            (Protocol::Http, "301", Outcome::Redirect),
            (Protocol::Http, "404", Outcome::ClientError),
            (Protocol::Http, "503", Outcome::ServerError),
            (Protocol::Http, "-", Outcome::NoResponse),
            (Protocol::Grpc, "0", Outcome::Success),
            (Protocol::Grpc, "14", Outcome::ServerError),
            (Protocol::Grpc, "503", Outcome::ServerError),
            (Protocol::Grpc, "200", Outcome::Success),
            (Protocol::Grpc, "-", Outcome::NoResponse),
            (Protocol::Tcp, "-", Outcome::Success),
        ];
        for (protocol, code, expected) in table {
            assert_eq!(protocol.outcome(code), expected, "{protocol:?} {code}");
        }
    }
}
