//! What can go wrong in the authority. It knows nothing of tokens, whose refusals are [`crate::TokenError`].

use std::path::PathBuf;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure of the authority. Variants that start with `Request` are the caller's fault.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the state directory cannot be read or written.
    #[error("{path}: cannot {action}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What was tried, such as "read".
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file of the state directory holds something else than it should.
    #[error("{path}: {reason}; restore the file from a backup, or move it away to begin with new material")]
    Material {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The root cannot be used.
    #[error("root certificate: {0}")]
    Root(String),
    /// The signing request is larger than any honest one.
    #[error("certificate signing request has {size} bytes, at most {limit} are accepted")]
    RequestTooLarge {
        /// Size of the request in bytes.
        size: usize,
        /// Largest size that is accepted, in bytes.
        limit: usize,
    },
    /// The signing request is not a PKCS #10 request in PEM.
    #[error("certificate signing request cannot be parsed: {0}")]
    RequestSyntax(String),
    /// The request is not signed by the key that it holds.
    #[error("certificate signing request is not signed by its own key")]
    RequestSignature,
    /// The key is of a kind or size that is not accepted.
    #[error("certificate signing request has {0}; use ECDSA P-256 or P-384, Ed25519, or RSA with 2048 to 4096 bits")]
    RequestKey(String),
    /// An identity has an empty or malformed part.
    #[error("identity: {0}")]
    Identity(String),
    /// The signature over a new certificate could not be made.
    #[error("cannot sign the certificate: {0}")]
    Sign(#[from] rcgen::Error),
    /// The operating system's random source failed.
    #[error("the operating system gave no random bytes")]
    Random,
}
