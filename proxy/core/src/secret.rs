//! Certificates and roots by name, as SDS gives them. Private keys never show in `Debug`.

use std::fmt;
use std::sync::Arc;

use crate::names::SecretName;

/// One secret.
#[derive(Clone, Debug)]
pub struct Secret {
    pub name: SecretName,
    pub content: SecretContent,
}

/// What a secret holds, as PEM.
#[derive(Clone, Debug)]
pub enum SecretContent {
    Certificate {
        chain: Arc<str>,
        key: PrivateKeyPem,
    },
    /// `revoked`: lists of certificates that are not valid any more.
    Roots {
        bundle: Arc<str>,
        revoked: Option<Arc<str>>,
    },
}

/// A private key in PEM; `Debug` says only that there is one.
#[derive(Clone)]
pub struct PrivateKeyPem(Arc<str>);

impl PrivateKeyPem {
    pub fn new(pem: impl Into<Arc<str>>) -> Self {
        Self(pem.into())
    }

    /// The PEM text: hand it to the TLS library only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateKeyPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKeyPem(..)")
    }
}
