//! Headers that the proxy itself adds or changes on requests and answers.
//!
//! Not those of metadata exchange (`peer`) and of tracing (`trace`).

use std::net::IpAddr;

use http::header::SERVER;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use orrery_core::listener::{ForwardedFor, HttpConnectionManager};

use crate::connection::Connection;
use crate::trace::hex_into;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const ATTEMPT_COUNT: HeaderName = HeaderName::from_static("x-envoy-attempt-count");
const SERVICE_TIME: HeaderName = HeaderName::from_static("x-envoy-upstream-service-time");
const UPSTREAM_SERVICE: HeaderName = HeaderName::from_static("x-envoy-decorator-operation");

/// Headers with which a client outside the mesh could steer proxies or pretend to be one.
const INTERNAL: [&str; 12] = [
    "x-envoy-peer-metadata",
    "x-envoy-peer-metadata-id",
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-internal",
    "x-envoy-external-address",
    "x-envoy-retry-on",
    "x-envoy-retry-grpc-on",
    "x-envoy-max-retries",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-rq-per-try-timeout-ms",
];

/// Who calls, as far as headers tell of it.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub address: IpAddr,
    /// It came to us in TLS.
    pub encrypted: bool,
}

/// Everything before routing: request id, forwarding headers, and at an edge the removal of internal ones. `random`
/// gives a fresh number at each call.
pub fn prepare(parts: &mut Parts, manager: &HttpConnectionManager, client: Client, mut random: impl FnMut() -> u64) {
    let headers = &mut parts.headers;
    match manager.forwarded_for {
        ForwardedFor::Trust => {
            if !headers.contains_key(FORWARDED_PROTO) {
                headers.insert(FORWARDED_PROTO, HeaderValue::from_static(client.scheme()));
            }
        }
        ForwardedFor::UseRemoteAddress => {
            for name in INTERNAL {
                headers.remove(name);
            }
            append_client(headers, client.address);
            headers.insert(FORWARDED_PROTO, HeaderValue::from_static(client.scheme()));
        }
    }
    if manager.generate_request_id && !headers.contains_key(REQUEST_ID) {
        headers.insert(REQUEST_ID, request_id(random(), random()));
    }
}

impl Client {
    /// `http` or `https`, as it came to us.
    pub fn scheme(self) -> &'static str {
        if self.encrypted { "https" } else { "http" }
    }
}

/// Who calls on a connection.
pub(crate) fn client(connection: &Connection) -> Client {
    let downstream = &connection.downstream;
    Client { address: downstream.addresses.peer.ip(), encrypted: downstream.tls.is_some() }
}

/// `http` or `https`, as the client came to us.
pub(crate) fn scheme(connection: &Connection) -> &'static str {
    client(connection).scheme()
}

fn append_client(headers: &mut HeaderMap, client: IpAddr) {
    let client = client.to_string();
    let all = match headers.get(FORWARDED_FOR).and_then(|before| before.to_str().ok()) {
        Some(before) => format!("{before},{client}"),
        None => client,
    };
    if let Ok(value) = HeaderValue::from_str(&all) {
        headers.insert(FORWARDED_FOR, value);
    }
}

/// A random UUID (RFC 9562 version 4).
fn request_id(high: u64, low: u64) -> HeaderValue {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&high.to_be_bytes());
    bytes[8..].copy_from_slice(&low.to_be_bytes());
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut digits = [0; 32];
    hex_into(&bytes, &mut digits);
    let mut text = [b'-'; 36];
    for (to, from) in [(0..8, 0..8), (9..13, 8..12), (14..18, 12..16), (19..23, 16..20), (24..36, 20..32)] {
        text[to].copy_from_slice(&digits[from]);
    }
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("-"))
}

/// Which try this is.
pub(crate) fn set_attempt(headers: &mut HeaderMap, number: u32) {
    let value = if number == 1 { HeaderValue::from_static("1") } else { HeaderValue::from(number) };
    headers.insert(ATTEMPT_COUNT, value);
}

/// What every answer of an upstream gets: how long it took, and the proxy's name in `server`.
pub(crate) fn finish(headers: &mut HeaderMap, connection: &Connection, service_ms: u64) {
    headers.insert(SERVICE_TIME, small_number(service_ms));
    headers.remove(UPSTREAM_SERVICE);
    set_server(headers, connection);
}

/// The proxy's name in `server`.
pub(crate) fn set_server(headers: &mut HeaderMap, connection: &Connection) {
    if let Some(server) = &connection.server {
        headers.insert(SERVER, server.clone());
    }
}

/// A number without allocation when it is one digit, as most service times are.
fn small_number(number: u64) -> HeaderValue {
    const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let digit = usize::try_from(number).ok().and_then(|number| DIGITS.get(number));
    digit.map_or_else(|| HeaderValue::from(number), |digit| HeaderValue::from_static(digit))
}

/// Bytes of a head as they would be on the wire in HTTP/1: names, values, separators and line ends.
pub(crate) fn head_size(headers: &HeaderMap) -> u64 {
    headers.iter().map(|(name, value)| (name.as_str().len() + value.len() + 4) as u64).sum()
}
