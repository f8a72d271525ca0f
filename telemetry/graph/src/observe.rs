//! What each reporter saw in a window and sees right now, read out of the labels and numbers of one series after another.

use std::sync::Arc;

use crate::durations::Durations;
use crate::flow::Reporter;
use crate::identity::Identity;
use crate::rates::Protocol;
use crate::security::Security;

/// A window of time that ends at a moment, all in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Where it ends, Unix time.
    pub end: i64,
    /// How long it is.
    pub length: i64,
    /// Length of the window for what happens right now.
    pub live: i64,
}

impl Window {
    /// Span of "right now": two pushes of a proxy, so that a flow that stops is gone from it well within 2 s.
    pub const LIVE: i64 = 1000;

    /// The window of `length` that ends at `end`.
    pub fn new(end: i64, length: i64) -> Self {
        Self { end, length, live: Self::LIVE }
    }
}

/// Traffic of one series.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Both ends.
    pub identity: Identity,
    /// Who saw it.
    pub reporter: Reporter,
    /// Protocol.
    pub protocol: Protocol,
    /// HTTP or gRPC status, `-` for none.
    pub code: Arc<str>,
    /// Envoy's response flags, `-` for none.
    pub flags: Arc<str>,
    /// How it was secured, as far as the reporter knows.
    pub security: Security,
    /// Per second over the window: requests, or bytes for TCP; rounded to thousandths.
    pub rate: f64,
    /// Per second right now.
    pub live: f64,
    /// When it last grew, Unix milliseconds.
    pub last_seen: i64,
}

/// Durations that one series observed.
#[derive(Clone, Debug)]
pub struct Latency {
    /// Both ends.
    pub identity: Identity,
    /// Who saw it.
    pub reporter: Reporter,
    /// Protocol.
    pub protocol: Protocol,
    /// Durations in the window, milliseconds.
    pub durations: Durations,
}

/// Everything that one graph is made of.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// Traffic.
    pub traffic: Vec<Observation>,
    /// Durations.
    pub latency: Vec<Latency>,
}

/// What a counter did.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Growth per second over the window.
    pub rate: f64,
    /// Growth per second right now.
    pub live: f64,
    /// When it last grew, Unix milliseconds.
    pub last_seen: i64,
}

impl Observations {
    /// Takes a series of `istio_requests_total`. A series that lacks a label that Kiali needs is left out, here as below.
    pub fn add_requests<'a>(&mut self, label: impl Fn(&str) -> Option<&'a Arc<str>>, counted: Counted) {
        let protocol = label("request_protocol").and_then(|name| Protocol::from_name(name));
        if let (Some(protocol), Some(code)) = (protocol, label("response_code").filter(|code| !code.is_empty())) {
            let code = response_code(protocol, code, label("grpc_response_status").filter(|code| !code.is_empty()));
            self.add(label, protocol, code, counted);
        }
    }

    /// Takes a series of `istio_tcp_received_bytes_total`: what went from client to server, which Kiali calls sent.
    pub fn add_tcp<'a>(&mut self, label: impl Fn(&str) -> Option<&'a Arc<str>>, counted: Counted) {
        self.add(label, Protocol::Tcp, Arc::from("-"), counted);
    }

    /// Takes a series of `istio_request_duration_milliseconds`.
    pub fn add_durations<'a>(&mut self, label: impl Fn(&str) -> Option<&'a Arc<str>>, durations: Durations) {
        let protocol = label("request_protocol").and_then(|name| Protocol::from_name(name));
        if let (Some(identity), Some(reporter), Some(protocol)) =
            (Identity::from_labels(&label), Reporter::from_labels(&label), protocol)
            && durations.count() > 0.0
        {
            self.latency.push(Latency { identity, reporter, protocol, durations });
        }
    }

    fn add<'a>(
        &mut self,
        label: impl Fn(&str) -> Option<&'a Arc<str>>,
        protocol: Protocol,
        code: Arc<str>,
        counted: Counted,
    ) {
        let flags = label("response_flags").filter(|flags| !flags.is_empty());
        if let (Some(identity), Some(reporter), Some(flags)) =
            (Identity::from_labels(&label), Reporter::from_labels(&label), flags)
        {
            self.traffic.push(Observation {
                identity,
                reporter,
                protocol,
                code,
                flags: flags.clone(),
                security: Security::from_labels(&label),
                rate: thousandths(counted.rate),
                live: counted.live,
                last_seen: counted.last_seen,
            });
        }
    }
}

/// The code to show: none for a call without response, the gRPC status for gRPC unless HTTP itself failed.
fn response_code(protocol: Protocol, code: &Arc<str>, grpc: Option<&Arc<str>>) -> Arc<str> {
    match (&**code, protocol, grpc) {
        ("0", _, _) => Arc::from("-"),
        (http, Protocol::Grpc, Some(status)) if !http.starts_with(['4', '5']) => status.clone(),
        (_, _, _) => code.clone(),
    }
}

fn thousandths(rate: f64) -> f64 {
    (rate * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        let table = [
            (Protocol::Http, "200", None, "200"),
            (Protocol::Http, "0", None, "-"),
            (Protocol::Grpc, "200", Some("14"), "14"),
            (Protocol::Grpc, "503", Some("14"), "503"),
            (Protocol::Grpc, "200", None, "200"),
            (Protocol::Grpc, "0", Some("14"), "-"),
        ];
        for (protocol, code, grpc, expected) in table {
            let grpc: Option<Arc<str>> = grpc.map(Arc::from);
            assert_eq!(&*response_code(protocol, &Arc::from(code), grpc.as_ref()), expected);
        }
    }
}
