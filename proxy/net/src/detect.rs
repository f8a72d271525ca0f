//! Finds out what a client speaks from its first bytes: TLS (with server name and ALPN), HTTP/1, HTTP/2 or none of these.
//!
//! It decides nothing: which filter chain takes the connection is the engine's business.

mod client_hello;
#[cfg(test)]
mod tests;

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::stream::Replay;

pub use client_hello::ClientHello;

/// More than this is never read to find out: a client hello or request line that is longer counts by how it begins.
const MOST: usize = 16 * 1024;
/// The connection preface of HTTP/2 (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub tls: bool,
    pub http: bool,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Tls(ClientHello),
    Http1,
    Http2,
    /// Something else, nothing within the time, or nothing was looked for.
    Opaque,
}

/// The present answer to the bytes so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    More,
    Is(Found),
}

/// Reads until it is clear what the client speaks. Server-first protocols say nothing: after `patience` the connection
/// counts as opaque. `None`: the client closed before its first byte.
pub async fn detect(tcp: TcpStream, wanted: Wanted, patience: Duration) -> io::Result<Option<(Found, Replay)>> {
    Replay::new(Bytes::new(), tcp).detect(wanted, patience).await
}

impl Replay {
    /// The same for a connection of which something was read already.
    pub async fn detect(self, wanted: Wanted, patience: Duration) -> io::Result<Option<(Found, Self)>> {
        if !wanted.tls && !wanted.http {
            return Ok(Some((Found::Opaque, self)));
        }
        let (first, mut tcp) = self.into_parts();
        let mut first = BytesMut::from(&*first);
        let reading = async {
            loop {
                if let Verdict::Is(found) = inspect(&first, wanted) {
                    return Ok::<_, io::Error>(Some(found));
                }
                if tcp.read_buf(&mut first).await? == 0 {
                    return Ok(None);
                }
            }
        };
        let found = match tokio::time::timeout(patience, reading).await {
            Ok(found) => found?,
            Err(_late) => Some(Found::Opaque),
        };
        match found {
            Some(found) => Ok(Some((found, Self::new(first.freeze(), tcp)))),
            None if first.is_empty() => Ok(None),
            None => Ok(Some((Found::Opaque, Self::new(first.freeze(), tcp)))),
        }
    }
}

/// What these first bytes are, if they say enough.
pub fn inspect(first: &[u8], wanted: Wanted) -> Verdict {
    if first.is_empty() {
        return Verdict::More;
    }
    if wanted.tls && client_hello::may_be(first) {
        return match client_hello::parse(first) {
            client_hello::Parsed::Whole(hello) => Verdict::Is(Found::Tls(hello)),
            client_hello::Parsed::Partial if first.len() < MOST => Verdict::More,
            client_hello::Parsed::Partial => Verdict::Is(Found::Tls(ClientHello::default())),
            client_hello::Parsed::Other => Verdict::Is(Found::Opaque),
        };
    }
    if !wanted.http {
        return Verdict::Is(Found::Opaque);
    }
    let compared = first.len().min(PREFACE.len());
    if first[..compared] == PREFACE[..compared] {
        return if compared == PREFACE.len() { Verdict::Is(Found::Http2) } else { Verdict::More };
    }
    request_line(first)
}

/// HTTP/1 if the first line ends in an HTTP/1 version, or begins with a method that no other protocol uses.
fn request_line(first: &[u8]) -> Verdict {
    const SURE: [&[u8]; 9] =
        [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"TRACE "];
    if SURE.iter().any(|method| first.starts_with(method)) {
        return Verdict::Is(Found::Http1);
    }
    let line_end = first.iter().position(|b| *b == b'\n');
    let line = &first[..line_end.unwrap_or(first.len())];
    if !line.iter().take_while(|b| **b != b' ').all(|b| is_token(*b)) {
        return Verdict::Is(Found::Opaque);
    }
    match line_end {
        Some(_) if line.trim_ascii_end().windows(8).last().is_some_and(|end| end.starts_with(b"HTTP/1.")) => {
            Verdict::Is(Found::Http1)
        }
        Some(_) => Verdict::Is(Found::Opaque),
        None if first.len() < MOST => Verdict::More,
        None => Verdict::Is(Found::Opaque),
    }
}

/// A `tchar` of RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
