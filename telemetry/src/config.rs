//! What the aggregator can be told. Reads nothing from anywhere.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Everything that the aggregator needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: Listen,
    /// How long samples and traces are kept.
    pub retention: Duration,
    /// What may be held at most.
    pub limits: Limits,
    /// No trace shorter than this is kept longer for being slow.
    pub slow: Duration,
}

/// Addresses. Port 0 takes a free one.
#[derive(Clone, Copy, Debug)]
pub struct Listen {
    /// OTLP over gRPC.
    pub otlp_grpc: SocketAddr,
    /// OTLP over HTTP.
    pub otlp_http: SocketAddr,
    /// `/federate`, `/metrics` and service discovery for Prometheus.
    pub query: SocketAddr,
    /// Jaeger's query API.
    pub tracing: SocketAddr,
    /// Pages and their API.
    pub ui: SocketAddr,
}

/// Hard limits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time series at one time.
    pub series: usize,
    /// Samples of one series.
    pub samples: usize,
    /// Traces at one time.
    pub traces: usize,
    /// Estimated bytes of all traces.
    pub trace_bytes: usize,
    /// Bytes of one OTLP message.
    pub message_bytes: usize,
    /// Event streams at one time.
    pub streams: usize,
    /// Senders whose resource is remembered.
    pub targets: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Listen::on(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            retention: Duration::from_secs(3600),
            limits: Limits::default(),
            slow: Duration::from_millis(100),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            series: 50_000,
            samples: 4_000,
            traces: 20_000,
            trace_bytes: 64 << 20,
            message_bytes: 16 << 20,
            streams: 256,
            targets: 10_000,
        }
    }
}

impl Listen {
    /// The usual ports on one address.
    pub fn on(address: IpAddr) -> Self {
        let at = |port| SocketAddr::new(address, port);
        Self { otlp_grpc: at(4317), otlp_http: at(4318), query: at(9090), tracing: at(16686), ui: at(20001) }
    }

    /// Free ports on one address.
    pub fn free(address: IpAddr) -> Self {
        let at = SocketAddr::new(address, 0);
        Self { otlp_grpc: at, otlp_http: at, query: at, tracing: at, ui: at }
    }
}
