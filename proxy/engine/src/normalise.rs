//! The first phase of a request: refuse what two parsers could understand differently, bring host and path into one
//! form, and take away what is meant for one hop only. Stricter than HTTP libraries, which are not proxies.
//!
//! Knows no routes: after this phase everything that decides looks at the same method, authority and path.

mod path;

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Uri, Version};
use orrery_core::listener::HttpConnectionManager;

use crate::reject::{BadRequest, Reject};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// What a request wants the connection to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tunnel {
    None,
    /// HTTP/1 `Upgrade: websocket`.
    WebSocket,
    /// `CONNECT host:port`.
    Connect,
}

/// Checks and cleans a request's head. Afterwards the authority is in the URI and in no `host` header that differs.
pub fn normalise(parts: &mut Parts, manager: &HttpConnectionManager) -> Result<Tunnel, Reject> {
    check_version(parts.version, manager)?;
    check_framing(parts)?;
    let tunnel = find_tunnel(parts, manager)?;
    settle_authority(parts)?;
    if tunnel != Tunnel::Connect {
        settle_path(parts, manager)?;
    }
    strip_request_hops(&mut parts.headers, tunnel);
    Ok(tunnel)
}

fn check_version(version: Version, manager: &HttpConnectionManager) -> Result<(), Reject> {
    match version {
        Version::HTTP_11 | Version::HTTP_2 => Ok(()),
        Version::HTTP_10 if manager.accept_http_10 => Ok(()),
        Version::HTTP_10 => Err(Reject::OldVersion),
        _ => Err(Reject::BadRequest(BadRequest::Version)),
    }
}

/// One way only to tell where the body ends (RFC 9112 section 6.3).
fn check_framing(parts: &Parts) -> Result<(), Reject> {
    let headers = &parts.headers;
    if let Some(encoding) = headers.get(TRANSFER_ENCODING) {
        let alone = headers.get_all(TRANSFER_ENCODING).iter().nth(1).is_none();
        let known = encoding.as_bytes().eq_ignore_ascii_case(b"chunked");
        if !alone || !known || parts.version != Version::HTTP_11 || headers.contains_key(CONTENT_LENGTH) {
            return Err(Reject::BadRequest(BadRequest::TransferEncoding));
        }
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    if let Some(length) = lengths.next() {
        let digits = length.as_bytes();
        let plain = !digits.is_empty() && digits.len() <= 19 && digits.iter().all(u8::is_ascii_digit);
        if !plain || lengths.next().is_some() {
            return Err(Reject::BadRequest(BadRequest::ContentLength));
        }
    }
    Ok(())
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING)
        || headers.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0")
}

fn find_tunnel(parts: &Parts, manager: &HttpConnectionManager) -> Result<Tunnel, Reject> {
    if parts.method == Method::CONNECT {
        let plain = parts.uri.path_and_query().is_none() && parts.uri.authority().is_some();
        return match (manager.upgrades.connect, plain && !has_body(&parts.headers)) {
            (false, _) => Err(Reject::MethodNotAllowed),
            (true, false) => Err(Reject::BadRequest(BadRequest::Connect)),
            (true, true) => Ok(Tunnel::Connect),
        };
    }
    let Some(wanted) = parts.headers.get(UPGRADE) else { return Ok(Tunnel::None) };
    if parts.version != Version::HTTP_11 || !wanted.as_bytes().eq_ignore_ascii_case(b"websocket") {
        return Ok(Tunnel::None);
    }
    match (manager.upgrades.websocket, parts.method == Method::GET && !has_body(&parts.headers)) {
        (false, _) => Err(Reject::UpgradeNotAllowed),
        (true, false) => Err(Reject::BadRequest(BadRequest::Upgrade)),
        (true, true) => Ok(Tunnel::WebSocket),
    }
}

/// One authority: of the URI if it has one (absolute form, HTTP/2), else of the only `host` header.
fn settle_authority(parts: &mut Parts) -> Result<(), Reject> {
    let bad = || Reject::BadRequest(BadRequest::Host);
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(bad());
    }
    match (parts.uri.authority(), host) {
        (None, None) => Err(bad()),
        (None, Some(host)) => {
            if is_plain_authority(host.as_bytes()) {
                Ok(())
            } else {
                Err(bad())
            }
        }
        (Some(authority), host) => {
            if !is_plain_authority(authority.as_str().as_bytes()) {
                return Err(bad());
            }
            let same = host.is_none_or(|host| host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()));
            if !same && parts.version == Version::HTTP_2 {
                return Err(bad());
            }
            let value = HeaderValue::from_str(authority.as_str()).map_err(|_invalid| bad())?;
            parts.headers.insert(HOST, value);
            Ok(())
        }
    }
}

/// `host` or `host:port`: no user, no list, no space, a port of 1 to 65535.
fn is_plain_authority(authority: &[u8]) -> bool {
    let host_end = match authority.first() {
        None => return false,
        Some(b'[') => match authority.iter().position(|b| *b == b']') {
            Some(end) => end + 1,
            None => return false,
        },
        Some(_) => authority.iter().position(|b| *b == b':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(host_end);
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+;=%[]:".contains(b);
    let port_is_good = match port {
        [] => true,
        [b':', digits @ ..] => {
            (1..=5).contains(&digits.len())
                && digits.iter().all(u8::is_ascii_digit)
                && std::str::from_utf8(digits).is_ok_and(|digits| digits.parse::<u16>().is_ok_and(|port| port > 0))
        }
        _ => false,
    };
    !host.is_empty() && host.iter().all(plain) && port_is_good
}

/// Origin form, with dot segments and escapes of plain characters resolved if the listener asks for it.
fn settle_path(parts: &mut Parts, manager: &HttpConnectionManager) -> Result<(), Reject> {
    let bad = || Reject::BadRequest(BadRequest::Path);
    let path = parts.uri.path();
    let is_asterisk = path == "*" && parts.method == Method::OPTIONS;
    if !path.starts_with('/') && !is_asterisk {
        return Err(bad());
    }
    let changed = if manager.normalize_path && path.starts_with('/') {
        path::normalise(path, manager.merge_slashes).map_err(|path::Hostile| bad())?
    } else {
        None
    };
    let target = match (changed, parts.uri.authority().is_some()) {
        (None, false) => return Ok(()),
        (None, true) => parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")),
        (Some(path), _) => {
            let target = match parts.uri.query() {
                Some(query) => format!("{path}?{query}"),
                None => path,
            };
            PathAndQuery::try_from(target).map_err(|_invalid| bad())?
        }
    };
    parts.uri = Uri::from(target);
    Ok(())
}

/// Headers that `Connection` may not take away: what follows decides by them, or adds them itself.
fn is_protected(name: &str) -> bool {
    const NAMES: [&str; 9] = [
        "host",
        "content-length",
        "transfer-encoding",
        "authorization",
        "cookie",
        "traceparent",
        "tracestate",
        "b3",
        "x-request-id",
    ];
    const FAMILIES: [&str; 3] = ["x-forwarded-", "x-envoy-", "x-b3-"];
    NAMES.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
}

fn strip_request_hops(headers: &mut HeaderMap, tunnel: Tunnel) {
    let trailers = headers.contains_key(TE)
        && headers.get_all(TE).iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"trailers"));
    let upgrade = headers.contains_key(UPGRADE);
    strip_hops(headers);
    if upgrade {
        headers.remove(HTTP2_SETTINGS);
    }
    headers.remove(EXPECT);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    match tunnel {
        Tunnel::WebSocket => {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        }
        Tunnel::None | Tunnel::Connect => {}
    }
}

/// Removes what belongs to one connection only (RFC 9110 section 7.6.1).
pub(crate) fn strip_hops(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let nominated: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|b| *b == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
            .filter(|name| !is_protected(name.as_str()))
            .collect();
        for name in nominated {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    headers.remove(TRANSFER_ENCODING);
    headers.remove(TE);
    headers.remove(UPGRADE);
    headers.remove(KEEP_ALIVE);
    headers.remove(PROXY_CONNECTION);
}
