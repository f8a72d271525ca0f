//! Every metric family of the data plane, declared once: name, kind, unit, help, labels.
//!
//! Registry, exposition, OTLP push, dashboards and documentation all read this list.

/// Upper bounds that Istio's histograms have, for milliseconds and for bytes alike; `+Inf` follows.
pub const ISTIO_BUCKETS: [f64; 19] = [
    0.5,
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1_000.0,
    2_500.0,
    5_000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];

/// A metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    Build,
    ProcessCpuSecondsTotal,
    ProcessOpenFds,
    ProcessResidentMemoryBytes,
    ProcessStartTimeSeconds,
    RefusedSeriesTotal,
    RequestBytes,
    RequestDurationMilliseconds,
    RequestMessagesTotal,
    RequestsTotal,
    ResponseBytes,
    ResponseMessagesTotal,
    TcpConnectionsClosedTotal,
    TcpConnectionsOpenedTotal,
    TcpReceivedBytesTotal,
    TcpSentBytesTotal,
    UdpDroppedDatagramsTotal,
    UdpReceivedBytesTotal,
    UdpSentBytesTotal,
    UdpSessionsClosedTotal,
    UdpSessionsOpenedTotal,
}

/// How a family's values behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

const ENDS: [&str; 20] = [
    "reporter",
    "source_workload",
    "source_canonical_service",
    "source_canonical_revision",
    "source_workload_namespace",
    "source_principal",
    "source_app",
    "source_version",
    "source_cluster",
    "destination_workload",
    "destination_workload_namespace",
    "destination_principal",
    "destination_app",
    "destination_version",
    "destination_service",
    "destination_canonical_service",
    "destination_canonical_revision",
    "destination_service_name",
    "destination_service_namespace",
    "destination_cluster",
];
const HTTP: [&str; 25] = with_ends([
    "request_protocol",
    "response_code",
    "grpc_response_status",
    "response_flags",
    "connection_security_policy",
]);
const TCP: [&str; 23] = with_ends(["request_protocol", "response_flags", "connection_security_policy"]);

const fn with_ends<const N: usize, const M: usize>(more: [&'static str; N]) -> [&'static str; M] {
    let mut all = [""; M];
    let mut at = 0;
    while at < M {
        all[at] = if at < ENDS.len() { ENDS[at] } else { more[at - ENDS.len()] };
        at += 1;
    }
    all
}

impl Family {
    pub const ALL: [Self; 21] = [
        Self::Build,
        Self::ProcessCpuSecondsTotal,
        Self::ProcessOpenFds,
        Self::ProcessResidentMemoryBytes,
        Self::ProcessStartTimeSeconds,
        Self::RefusedSeriesTotal,
        Self::RequestBytes,
        Self::RequestDurationMilliseconds,
        Self::RequestMessagesTotal,
        Self::RequestsTotal,
        Self::ResponseBytes,
        Self::ResponseMessagesTotal,
        Self::TcpConnectionsClosedTotal,
        Self::TcpConnectionsOpenedTotal,
        Self::TcpReceivedBytesTotal,
        Self::TcpSentBytesTotal,
        Self::UdpDroppedDatagramsTotal,
        Self::UdpReceivedBytesTotal,
        Self::UdpSentBytesTotal,
        Self::UdpSessionsClosedTotal,
        Self::UdpSessionsOpenedTotal,
    ];

    /// The name in Prometheus, with `_total` for counters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Build => "istio_build",
            Self::ProcessCpuSecondsTotal => "process_cpu_seconds_total",
            Self::ProcessOpenFds => "process_open_fds",
            Self::ProcessResidentMemoryBytes => "process_resident_memory_bytes",
            Self::ProcessStartTimeSeconds => "process_start_time_seconds",
            Self::RefusedSeriesTotal => "orrery_refused_series_total",
            Self::RequestBytes => "istio_request_bytes",
            Self::RequestDurationMilliseconds => "istio_request_duration_milliseconds",
            Self::RequestMessagesTotal => "istio_request_messages_total",
            Self::RequestsTotal => "istio_requests_total",
            Self::ResponseBytes => "istio_response_bytes",
            Self::ResponseMessagesTotal => "istio_response_messages_total",
            Self::TcpConnectionsClosedTotal => "istio_tcp_connections_closed_total",
            Self::TcpConnectionsOpenedTotal => "istio_tcp_connections_opened_total",
            Self::TcpReceivedBytesTotal => "istio_tcp_received_bytes_total",
            Self::TcpSentBytesTotal => "istio_tcp_sent_bytes_total",
            Self::UdpDroppedDatagramsTotal => "orrery_udp_dropped_datagrams_total",
            Self::UdpReceivedBytesTotal => "orrery_udp_received_bytes_total",
            Self::UdpSentBytesTotal => "orrery_udp_sent_bytes_total",
            Self::UdpSessionsClosedTotal => "orrery_udp_sessions_closed_total",
            Self::UdpSessionsOpenedTotal => "orrery_udp_sessions_opened_total",
        }
    }

    pub fn help(self) -> &'static str {
        match self {
            Self::Build => "Version of the component; always 1.",
            Self::ProcessCpuSecondsTotal => "User and system CPU time of the process in seconds.",
            Self::ProcessOpenFds => "Open file descriptors of the process.",
            Self::ProcessResidentMemoryBytes => "Resident memory of the process in bytes.",
            Self::ProcessStartTimeSeconds => "Start of the process in seconds since 1970.",
            Self::RefusedSeriesTotal => "Label sets that were not kept because the registry was full.",
            Self::RequestBytes => "Size of requests, head and body, in bytes.",
            Self::RequestDurationMilliseconds => {
                "Time from a request's first byte to its answer's last in milliseconds."
            }
            Self::RequestMessagesTotal => "gRPC messages from client to server.",
            Self::RequestsTotal => "Requests that have ended.",
            Self::ResponseBytes => "Size of answers, head and body, in bytes.",
            Self::ResponseMessagesTotal => "gRPC messages from server to client.",
            Self::TcpConnectionsClosedTotal => "TCP connections closed.",
            Self::TcpConnectionsOpenedTotal => "TCP connections opened.",
            Self::TcpReceivedBytesTotal => "Bytes from client to server over TCP connections.",
            Self::TcpSentBytesTotal => "Bytes from server to client over TCP connections.",
            Self::UdpDroppedDatagramsTotal => "UDP datagrams that were not passed on.",
            Self::UdpReceivedBytesTotal => "Bytes from client to server over UDP.",
            Self::UdpSentBytesTotal => "Bytes from server to client over UDP.",
            Self::UdpSessionsClosedTotal => "UDP sessions that are over.",
            Self::UdpSessionsOpenedTotal => "UDP sessions begun.",
        }
    }

    pub fn kind(self) -> Kind {
        match self {
            Self::Build | Self::ProcessOpenFds | Self::ProcessResidentMemoryBytes | Self::ProcessStartTimeSeconds => {
                Kind::Gauge
            }
            Self::RequestBytes | Self::RequestDurationMilliseconds | Self::ResponseBytes => Kind::Histogram,
            Self::ProcessCpuSecondsTotal
            | Self::RefusedSeriesTotal
            | Self::RequestMessagesTotal
            | Self::RequestsTotal
            | Self::ResponseMessagesTotal
            | Self::TcpConnectionsClosedTotal
            | Self::TcpConnectionsOpenedTotal
            | Self::TcpReceivedBytesTotal
            | Self::TcpSentBytesTotal
            | Self::UdpDroppedDatagramsTotal
            | Self::UdpReceivedBytesTotal
            | Self::UdpSentBytesTotal
            | Self::UdpSessionsClosedTotal
            | Self::UdpSessionsOpenedTotal => Kind::Counter,
        }
    }

    /// The unit in OpenTelemetry's spelling (UCUM).
    pub fn unit(self) -> &'static str {
        match self {
            Self::RequestDurationMilliseconds => "ms",
            Self::ProcessCpuSecondsTotal | Self::ProcessStartTimeSeconds => "s",
            Self::ProcessResidentMemoryBytes
            | Self::RequestBytes
            | Self::ResponseBytes
            | Self::TcpReceivedBytesTotal
            | Self::TcpSentBytesTotal
            | Self::UdpReceivedBytesTotal
            | Self::UdpSentBytesTotal => "By",
            Self::Build
            | Self::ProcessOpenFds
            | Self::RefusedSeriesTotal
            | Self::RequestMessagesTotal
            | Self::RequestsTotal
            | Self::ResponseMessagesTotal
            | Self::TcpConnectionsClosedTotal
            | Self::TcpConnectionsOpenedTotal
            | Self::UdpDroppedDatagramsTotal
            | Self::UdpSessionsClosedTotal
            | Self::UdpSessionsOpenedTotal => "1",
        }
    }

    /// Label names in the order of exposition.
    pub fn labels(self) -> &'static [&'static str] {
        match self {
            Self::RequestBytes | Self::RequestDurationMilliseconds | Self::RequestsTotal | Self::ResponseBytes => &HTTP,
            Self::TcpConnectionsClosedTotal
            | Self::TcpConnectionsOpenedTotal
            | Self::TcpReceivedBytesTotal
            | Self::TcpSentBytesTotal => &TCP,
            Self::RequestMessagesTotal | Self::ResponseMessagesTotal => &ENDS,
            Self::Build => &["component", "tag"],
            Self::ProcessCpuSecondsTotal
            | Self::ProcessOpenFds
            | Self::ProcessResidentMemoryBytes
            | Self::ProcessStartTimeSeconds
            | Self::RefusedSeriesTotal
            | Self::UdpDroppedDatagramsTotal
            | Self::UdpReceivedBytesTotal
            | Self::UdpSentBytesTotal
            | Self::UdpSessionsClosedTotal
            | Self::UdpSessionsOpenedTotal => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_prometheus() {
        for family in Family::ALL {
            assert_eq!(family.kind() == Kind::Counter, family.name().ends_with("_total"), "{}", family.name());
            assert!(family.help().ends_with('.'), "{}", family.name());
        }
    }

    #[test]
    fn buckets_ascend() {
        assert!(ISTIO_BUCKETS.windows(2).all(|two| two[0] < two[1]));
    }
}
