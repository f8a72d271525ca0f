//! Bootstrap tokens: how a workload without a certificate proves its service account once.
//!
//! A token is a compact JWT (RFC 7519) signed with HMAC-SHA-256 (RFC 7515, `HS256`). The key never
//! leaves the control plane's state. Pure: the time is an argument.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::{Deserialize, Serialize};

/// Who issues tokens.
const ISSUER: &str = "orrery";
/// Whom they are meant for.
const AUDIENCE: &str = "orrery-ca";
/// Start of every subject; then come namespace and service account.
const SUBJECT_PREFIX: &str = "system:serviceaccount:";
/// How much clocks may differ.
const LEEWAY: Duration = Duration::from_secs(30);
/// Longest token in bytes that is looked at.
const LONGEST: usize = 8 * 1024;
/// Shortest key in bytes: the size of the hash (RFC 7518 §3.2).
pub(crate) const KEY_SIZE: usize = 32;

/// The secret that signs tokens.
pub struct TokenKey(hmac::Key);

/// Whose token it is, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Service account.
    pub service_account: String,
    /// When the token ends, to the second.
    pub expires: SystemTime,
}

/// Why a token is refused. It never repeats the token.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TokenError {
    /// Not a compact JWT of an acceptable size.
    #[error("token is malformed: {0}")]
    Malformed(&'static str),
    /// Signed with another algorithm.
    #[error("token is not signed with HS256")]
    Algorithm,
    /// Signed by another key, or changed.
    #[error("token's signature is wrong: it was issued by another control plane, or changed")]
    Signature,
    /// Issued by somebody else.
    #[error("token's issuer is not {ISSUER:?}")]
    Issuer,
    /// Meant for somebody else.
    #[error("token's audience is not {AUDIENCE:?}")]
    Audience,
    /// Past its end.
    #[error("token expired {0} s ago; ask for a new one")]
    Expired(u64),
    /// Issued in the future.
    #[error("token was issued in the future; check the clocks")]
    NotYet,
    /// The subject is not a service account.
    #[error("token's subject is not {SUBJECT_PREFIX}<namespace>:<service account>")]
    Subject,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    typ: String,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    iss: String,
    aud: Audience,
    sub: String,
    exp: u64,
    iat: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl TokenKey {
    /// A key from secret bytes; `None` when there are fewer than 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= KEY_SIZE).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// A token for these claims, issued `now`.
    pub fn issue(&self, claims: &Claims, now: SystemTime) -> String {
        let header = Header { alg: "HS256".to_owned(), typ: "JWT".to_owned() };
        let payload = Payload {
            iss: ISSUER.to_owned(),
            aud: Audience::One(AUDIENCE.to_owned()),
            sub: format!("{SUBJECT_PREFIX}{}:{}", claims.namespace, claims.service_account),
            exp: unix(claims.expires),
            iat: unix(now),
        };
        self.sign(&header, &payload)
    }

    /// The claims of a token that is ours and valid `now`.
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<Claims, TokenError> {
        if token.len() > LONGEST {
            return Err(TokenError::Malformed("too long"));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed("not three parts"))?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed("not three parts"))?;
        let header: Header = decode(header)?;
        if header.alg != "HS256" {
            return Err(TokenError::Algorithm);
        }
        let signature =
            URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Malformed("signature is not base64url"))?;
        hmac::verify(&self.0, signed.as_bytes(), &signature).map_err(|_| TokenError::Signature)?;
        claims(decode(payload)?, unix(now))
    }

    fn sign(&self, header: &Header, payload: &Payload) -> String {
        let signed = format!("{}.{}", encode(header), encode(payload));
        let signature = hmac::sign(&self.0, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey")
    }
}

fn claims(payload: Payload, now: u64) -> Result<Claims, TokenError> {
    if payload.iss != ISSUER {
        return Err(TokenError::Issuer);
    }
    let for_us = match &payload.aud {
        Audience::One(one) => one == AUDIENCE,
        Audience::Many(many) => many.iter().any(|one| one == AUDIENCE),
    };
    if !for_us {
        return Err(TokenError::Audience);
    }
    if now > payload.exp.saturating_add(LEEWAY.as_secs()) {
        return Err(TokenError::Expired(now - payload.exp));
    }
    if payload.iat > now.saturating_add(LEEWAY.as_secs()) {
        return Err(TokenError::NotYet);
    }
    let subject = payload.sub.strip_prefix(SUBJECT_PREFIX).ok_or(TokenError::Subject)?;
    match subject.split_once(':') {
        Some((namespace, account)) if !namespace.is_empty() && !account.is_empty() && !account.contains(':') => {
            let expires = UNIX_EPOCH.checked_add(Duration::from_secs(payload.exp));
            Ok(Claims {
                namespace: namespace.to_owned(),
                service_account: account.to_owned(),
                expires: expires.ok_or(TokenError::Malformed("its end is no date"))?,
            })
        }
        _ => Err(TokenError::Subject),
    }
}

fn encode<T: Serialize>(part: &T) -> String {
    // A struct of strings and numbers always has a JSON form.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).unwrap_or_default())
}

fn decode<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, TokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed("a part is not base64url"))?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed("a part is not the expected JSON"))
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
