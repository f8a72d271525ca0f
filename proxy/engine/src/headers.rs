//! Headers that the proxy itself adds or changes on requests and answers.
//!
//! Not those of metadata exchange (`peer`) and of tracing (`trace`).

use http::header::SERVER;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use orrery_core::edge::{self, Arrival};
use orrery_core::listener::HttpConnectionManager;

use crate::connection::Connection;
use crate::trace::hex_into;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const ATTEMPT_COUNT: HeaderName = HeaderName::from_static("x-envoy-attempt-count");
const SERVICE_TIME: HeaderName = HeaderName::from_static("x-envoy-upstream-service-time");
const UPSTREAM_SERVICE: HeaderName = HeaderName::from_static("x-envoy-decorator-operation");

/// Everything before routing: what is not to be believed goes, forwarding headers and the request id come.
pub(crate) fn prepare(parts: &mut Parts, connection: &Connection) {
    let manager: &HttpConnectionManager = &connection.manager;
    let downstream = &connection.downstream;
    let arrival = Arrival { peer: downstream.addresses.peer.ip(), tls: downstream.tls.is_some() };
    edge::clean(&mut parts.headers, manager.forwarded_for, arrival);
    let headers = &mut parts.headers;
    if manager.generate_request_id && !headers.contains_key(REQUEST_ID) {
        headers.insert(REQUEST_ID, request_id(connection.worker.random(), connection.worker.random()));
    }
}

/// `http` or `https`, as the client came to us.
pub(crate) fn scheme(connection: &Connection) -> &'static str {
    if connection.downstream.tls.is_some() { "https" } else { "http" }
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
