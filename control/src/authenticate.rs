//! Who calls: bearer tokens of workloads on gRPC, and the administrator's token on HTTP.
//!
//! Certificates were looked at when the connection was accepted; a token, if there is one, goes first.

use std::time::SystemTime;

use orrery_ca::TokenKey;
use orrery_serve::Peer;
use ring::hmac;
use ring::rand::SystemRandom;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Status};

const SCHEME: &str = "Bearer ";

/// The peer of a call: by its token if it has one, else by its connection.
pub(crate) fn peer(metadata: &MetadataMap, extensions: &Extensions, tokens: &TokenKey) -> Result<Peer, Status> {
    let connection = extensions.get::<Peer>().cloned().unwrap_or(Peer::Anonymous);
    let Some(value) = metadata.get("authorization") else { return Ok(connection) };
    let token = value.to_str().ok().and_then(|value| value.strip_prefix(SCHEME));
    let token = token.ok_or_else(|| Status::unauthenticated("authorization is not \"Bearer <token>\""))?;
    let claims = tokens.verify(token, SystemTime::now()).map_err(|error| Status::unauthenticated(error.to_string()))?;
    Ok(Peer::Workload { namespace: claims.namespace, service_account: claims.service_account })
}

/// The administrator's token, compared in constant time.
pub(crate) struct AdminToken {
    key: hmac::Key,
    expected: hmac::Tag,
}

impl AdminToken {
    /// Remembers a token; fails when the system has no randomness, or the token is too short to be secret.
    pub(crate) fn new(token: &str) -> anyhow::Result<Self> {
        anyhow::ensure!(token.len() >= 16, "the admin token has {} characters, at least 16 are needed", token.len());
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| anyhow::anyhow!("the operating system gave no random bytes"))?;
        let expected = hmac::sign(&key, token.as_bytes());
        Ok(Self { key, expected })
    }

    /// Whether an `authorization` header holds the token.
    pub(crate) fn accepts(&self, header: Option<&str>) -> bool {
        let presented = header.and_then(|value| value.strip_prefix(SCHEME));
        presented.is_some_and(|token| hmac::verify(&self.key, token.as_bytes(), self.expected.as_ref()).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_token() {
        let token = AdminToken::new("0123456789abcdef").unwrap();
        for (header, expect) in [
            (Some("Bearer 0123456789abcdef"), true),
            (Some("Bearer 0123456789abcdeF"), false),
            (Some("Bearer 0123456789abcde"), false),
            (Some("Bearer "), false),
            (Some("0123456789abcdef"), false),
            (None, false),
        ] {
            assert_eq!(token.accepts(header), expect, "{header:?}");
        }
        assert!(AdminToken::new("short").is_err());
    }
}
