//! Every way in which the proxy itself answers a request for lack of an upstream's answer, in one table.
//!
//! No `_ =>` here: a new case has to say its status, its flag and its words.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use orrery_core::fault::AbortAnswer;
use orrery_emit::flags::ResponseFlags;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Why a request did not get an upstream's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    BadRequest(BadRequest),
    ConnectFailed,
    ConnectTimeout,
    FaultAbort(AbortAnswer),
    MethodNotAllowed,
    NoCluster(StatusCode),
    NoEndpoint,
    NoRoute,
    OldVersion,
    Overflow,
    PerTryTimeout,
    RequestBroken,
    StreamIdle,
    TlsFailed,
    UpgradeNotAllowed,
    UpstreamProtocol,
    UpstreamRefused,
    UpstreamReset,
    UpstreamTimeout,
}

/// What is wrong with a request that another server could read differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRequest {
    Connect,
    ContentLength,
    Host,
    Path,
    TransferEncoding,
    Upgrade,
    Version,
}

impl Reject {
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest(BadRequest::Version) => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::BadRequest(_) | Self::RequestBroken => StatusCode::BAD_REQUEST,
            Self::FaultAbort(AbortAnswer::Http(status)) => {
                StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
            }
            Self::FaultAbort(AbortAnswer::Grpc(_)) => StatusCode::OK,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoCluster(status) => status,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::OldVersion => StatusCode::UPGRADE_REQUIRED,
            Self::UpgradeNotAllowed => StatusCode::FORBIDDEN,
            Self::PerTryTimeout | Self::StreamIdle | Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::UpstreamProtocol => StatusCode::BAD_GATEWAY,
            Self::ConnectFailed
            | Self::ConnectTimeout
            | Self::NoEndpoint
            | Self::Overflow
            | Self::TlsFailed
            | Self::UpstreamRefused
            | Self::UpstreamReset => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Envoy's response flag.
    pub fn flag(self) -> ResponseFlags {
        match self {
            Self::BadRequest(_) | Self::OldVersion | Self::RequestBroken => ResponseFlags::DPE,
            Self::ConnectFailed | Self::ConnectTimeout | Self::TlsFailed => ResponseFlags::UF,
            Self::FaultAbort(_) => ResponseFlags::FI,
            Self::MethodNotAllowed | Self::UpgradeNotAllowed => ResponseFlags::NONE,
            Self::NoCluster(_) => ResponseFlags::NC,
            Self::NoEndpoint => ResponseFlags::UH,
            Self::NoRoute => ResponseFlags::NR,
            Self::Overflow => ResponseFlags::UO,
            Self::StreamIdle => ResponseFlags::SI,
            Self::PerTryTimeout | Self::UpstreamTimeout => ResponseFlags::UT,
            Self::UpstreamProtocol => ResponseFlags::UPE,
            Self::UpstreamRefused => ResponseFlags::UR,
            Self::UpstreamReset => ResponseFlags::UC,
        }
    }

    /// Envoy's `RESPONSE_CODE_DETAILS`.
    pub fn details(self) -> &'static str {
        match self {
            Self::BadRequest(BadRequest::Connect) => "http1.invalid_connect",
            Self::BadRequest(BadRequest::ContentLength) => "http1.content_length_not_allowed",
            Self::BadRequest(BadRequest::Host) => "missing_host_header",
            Self::BadRequest(BadRequest::Path) => "path_normalization_failed",
            Self::BadRequest(BadRequest::TransferEncoding) => "http1.invalid_transfer_encoding",
            Self::BadRequest(BadRequest::Upgrade) => "upgrade_failed",
            Self::BadRequest(BadRequest::Version) | Self::OldVersion => "low_version",
            Self::ConnectFailed => "upstream_reset_before_response_started{connection_failure}",
            Self::ConnectTimeout => "upstream_reset_before_response_started{connection_timeout}",
            Self::FaultAbort(_) => "fault_filter_abort",
            Self::MethodNotAllowed => "connect_not_allowed",
            Self::NoCluster(_) => "cluster_not_found",
            Self::NoEndpoint => "no_healthy_upstream",
            Self::NoRoute => "route_not_found",
            Self::Overflow => "upstream_reset_before_response_started{overflow}",
            Self::PerTryTimeout => "upstream_per_try_timeout",
            Self::RequestBroken => "http1.codec_error",
            Self::StreamIdle => "stream_idle_timeout",
            Self::TlsFailed => "upstream_reset_before_response_started{connection_failure,TLS_error}",
            Self::UpgradeNotAllowed => "upgrade_failed",
            Self::UpstreamProtocol => "upstream_reset_before_response_started{protocol_error}",
            Self::UpstreamRefused => "upstream_reset_before_response_started{remote_refused_stream_reset}",
            Self::UpstreamReset => "upstream_reset_before_response_started{connection_termination}",
            Self::UpstreamTimeout => "response_timeout",
        }
    }

    /// What a person is told.
    pub fn text(self) -> &'static str {
        match self {
            Self::BadRequest(BadRequest::Connect) => "CONNECT needs host:port and no body",
            Self::BadRequest(BadRequest::ContentLength) => "content-length must be one decimal number",
            Self::BadRequest(BadRequest::Host) => "exactly one valid host is needed",
            Self::BadRequest(BadRequest::Path) => "the path is not acceptable",
            Self::BadRequest(BadRequest::TransferEncoding) => "transfer-encoding must be chunked, alone, in HTTP/1.1",
            Self::BadRequest(BadRequest::Upgrade) => "an upgrade needs GET and no body",
            Self::BadRequest(BadRequest::Version) => "this HTTP version is not spoken here",
            Self::ConnectFailed => "the upstream could not be connected to",
            Self::ConnectTimeout => "the upstream did not accept a connection in time",
            Self::FaultAbort(_) => "fault filter abort",
            Self::MethodNotAllowed => "CONNECT is not allowed here",
            Self::NoCluster(_) => "the route's destination does not exist",
            Self::NoEndpoint => "no healthy upstream",
            Self::NoRoute => "no route for this host and path",
            Self::OldVersion => "HTTP/1.1 or later is needed",
            Self::Overflow => "too many requests are under way to the upstream",
            Self::PerTryTimeout | Self::UpstreamTimeout => "upstream request timeout",
            Self::RequestBroken => "the request's body is malformed or incomplete",
            Self::StreamIdle => "stream timeout",
            Self::TlsFailed => "TLS with the upstream failed",
            Self::UpgradeNotAllowed => "this upgrade is not allowed here",
            Self::UpstreamProtocol => "the upstream's answer is malformed",
            Self::UpstreamRefused => "the upstream refused the request",
            Self::UpstreamReset => "the upstream ended the connection before it answered",
        }
    }

    /// The gRPC status that a gRPC client gets in place of the HTTP status.
    pub fn grpc(self) -> u32 {
        if let Self::FaultAbort(AbortAnswer::Grpc(code)) = self {
            return code;
        }
        match self.status().as_u16() {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502..=504 => 14,
            _ => 2,
        }
    }

    /// The answer's head and body.
    pub fn answer(self, grpc: bool) -> (Response<()>, Bytes) {
        let mut response = Response::new(());
        let headers: &mut HeaderMap = response.headers_mut();
        if grpc || matches!(self, Self::FaultAbort(AbortAnswer::Grpc(_))) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            headers.insert(GRPC_STATUS, HeaderValue::from(self.grpc()));
            headers.insert(GRPC_MESSAGE, HeaderValue::from_static(self.text()));
            return (response, Bytes::new());
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        if self == Self::MethodNotAllowed {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH, TRACE"));
        }
        *response.status_mut() = self.status();
        (response, Bytes::from_static(self.text().as_bytes()))
    }
}
