//! `connectionPool`: limits of connections and requests.

use std::time::Duration;

use crate::reader::{Fields, Reader};

/// `connectionPool`. Numbers of 0 say nothing, as in Istio, and are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionPool {
    pub max_connections: Option<u32>,
    pub connect_timeout: Option<Duration>,
    pub keepalive: Option<TcpKeepalive>,
    pub max_connection_duration: Option<Duration>,
    /// Of `tcp`; that of `http` comes before it.
    pub tcp_idle_timeout: Option<Duration>,
    pub max_pending_requests: Option<u32>,
    pub max_requests: Option<u32>,
    pub max_requests_per_connection: Option<u32>,
    pub max_retries: Option<u32>,
    pub http_idle_timeout: Option<Duration>,
    pub h2_upgrade: H2Upgrade,
    /// HTTP is spoken as the client speaks it.
    pub use_client_protocol: bool,
    /// Requests at the same time on one HTTP/2 connection.
    pub max_concurrent_streams: Option<u32>,
    pub http2_keepalive: Option<Keepalive>,
}

/// Probes of the kernel on idle connections; `None` is the system's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpKeepalive {
    pub time: Option<Duration>,
    pub probes: Option<u32>,
    pub interval: Option<Duration>,
}

/// Pings on HTTP/2 connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    pub interval: Option<Duration>,
    pub timeout: Option<Duration>,
}

/// `h2UpgradePolicy`: whether HTTP/1 of clients becomes HTTP/2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum H2Upgrade {
    /// As the mesh says.
    #[default]
    Default,
    No,
    Yes,
}

pub(crate) fn read(reader: &Reader<'_>) -> Option<ConnectionPool> {
    let fields = reader.fields()?;
    let mut pool = ConnectionPool::default();
    if let Some(tcp) = fields.fields("tcp") {
        read_tcp(&tcp, &mut pool);
        tcp.finish(&["maxConnections", "connectTimeout", "tcpKeepalive", "maxConnectionDuration", "idleTimeout"]);
    }
    if let Some(http) = fields.fields("http") {
        read_http(&http, &mut pool);
        http.finish(&[
            "http1MaxPendingRequests",
            "http2MaxRequests",
            "maxRequestsPerConnection",
            "maxRetries",
            "idleTimeout",
            "h2UpgradePolicy",
            "useClientProtocol",
            "maxConcurrentStreams",
            "http2KeepAlive",
        ]);
    }
    fields.finish(&["tcp", "http"]);
    Some(pool)
}

fn read_tcp(tcp: &Fields<'_>, pool: &mut ConnectionPool) {
    pool.max_connections = limit(tcp, "maxConnections");
    pool.connect_timeout = tcp.take("connectTimeout").and_then(|timeout| {
        let read = timeout.duration()?;
        if read < Duration::from_millis(1) {
            timeout.report("it must be at least 1ms", "");
        }
        Some(read)
    });
    pool.keepalive = tcp.take("tcpKeepalive").and_then(|one| keepalive(&one));
    pool.max_connection_duration = tcp.duration("maxConnectionDuration");
    pool.tcp_idle_timeout = tcp.duration("idleTimeout");
}

fn read_http(http: &Fields<'_>, pool: &mut ConnectionPool) {
    pool.max_pending_requests = limit(http, "http1MaxPendingRequests");
    pool.max_requests = limit(http, "http2MaxRequests");
    pool.max_requests_per_connection = limit(http, "maxRequestsPerConnection");
    pool.max_retries = limit(http, "maxRetries");
    pool.http_idle_timeout = http.duration("idleTimeout");
    let words = [("DEFAULT", H2Upgrade::Default), ("DO_NOT_UPGRADE", H2Upgrade::No), ("UPGRADE", H2Upgrade::Yes)];
    pool.h2_upgrade = http.take("h2UpgradePolicy").and_then(|policy| policy.word(&words)).unwrap_or_default();
    pool.use_client_protocol = http.take("useClientProtocol").and_then(|flag| flag.flag()).unwrap_or(false);
    pool.max_concurrent_streams = limit(http, "maxConcurrentStreams");
    pool.http2_keepalive = http.fields("http2KeepAlive").map(|one| {
        let read = Keepalive { interval: one.duration("interval"), timeout: one.duration("timeout") };
        one.finish(&["interval", "timeout"]);
        read
    });
}

/// A number that means nothing when it is 0.
fn limit(fields: &Fields<'_>, name: &str) -> Option<u32> {
    let number = fields.take(name)?.number(0, i64::from(i32::MAX))?;
    u32::try_from(number).ok().filter(|number| *number > 0)
}

/// `tcpKeepalive`, of a rule or of the mesh.
pub(crate) fn keepalive(reader: &Reader<'_>) -> Option<TcpKeepalive> {
    let fields = reader.fields()?;
    let keepalive = TcpKeepalive {
        time: fields.duration("time"),
        probes: limit(&fields, "probes"),
        interval: fields.duration("interval"),
    };
    fields.finish(&["time", "probes", "interval"]);
    Some(keepalive)
}
