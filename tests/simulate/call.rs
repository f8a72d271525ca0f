//! What a client sends for a call, the same for every subject.

use std::collections::BTreeMap;

use http::header::{CONNECTION, CONTENT_TYPE, HOST, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

use crate::case::{OneOrMany, Protocol, Request, Tcp, Text, Tls};

/// The head of a request.
///
/// # Errors
/// When the file asks for something that no client can send.
pub(crate) fn head(wanted: &Request, authority: &str, encrypted: bool) -> Result<Parts, String> {
    let wrong = |what: &str, error: &dyn std::fmt::Display| format!("the call's {what} cannot be sent: {error}");
    let method = Method::from_bytes(wanted.method().as_bytes()).map_err(|error| wrong("method", &error))?;
    let mut builder = http::Request::builder().method(method);
    builder = match wanted.protocol {
        Protocol::Http1 | Protocol::Websocket => builder.uri(wanted.path()).header(HOST, authority),
        Protocol::H2 | Protocol::Grpc => {
            let scheme = if encrypted { "https" } else { "http" };
            let target = Uri::builder().scheme(scheme).authority(authority).path_and_query(wanted.path());
            builder.version(Version::HTTP_2).uri(target.build().map_err(|error| wrong("target", &error))?)
        }
    };
    let (mut parts, ()) = builder.body(()).map_err(|error| wrong("target", &error))?.into_parts();
    add(&mut parts.headers, &wanted.headers)?;
    match wanted.protocol {
        Protocol::Grpc => {
            parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        }
        Protocol::Websocket => {
            parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            parts.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        }
        Protocol::Http1 | Protocol::H2 => {}
    }
    Ok(parts)
}

/// Adds the headers that a file names.
///
/// # Errors
/// When one is no header.
pub(crate) fn add(headers: &mut HeaderMap, named: &BTreeMap<String, OneOrMany<Text>>) -> Result<(), String> {
    for (name, values) in named {
        let name = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes())
            .map_err(|error| format!("{name:?} is no header: {error}"))?;
        for value in values.as_slice() {
            let value = HeaderValue::from_str(&value.0).map_err(|error| format!("{name}: {error}"))?;
            headers.append(name.clone(), value);
        }
    }
    Ok(())
}

/// A client's TLS: the host is its server name, and HTTP its protocol, unless it says otherwise.
pub(crate) fn http_tls(request: &Request) -> Tls {
    let mut tls = request.tls.clone();
    tls.sni = tls.sni.or_else(|| request.target().map(str::to_owned));
    if tls.alpn.is_empty() {
        tls.alpn = match request.protocol {
            Protocol::Http1 | Protocol::Websocket => vec!["http/1.1".to_owned()],
            Protocol::H2 | Protocol::Grpc => vec!["h2".to_owned()],
        };
    }
    tls
}

/// The TLS of a connection whose bytes nobody looks into, if it speaks any.
pub(crate) fn tcp_tls(tcp: &Tcp) -> Option<Tls> {
    tcp.tls.clone().or_else(|| tcp.sni.clone().map(|sni| Tls { sni: Some(sni), ..Tls::default() }))
}
