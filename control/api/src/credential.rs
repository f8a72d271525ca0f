//! Certificates, keys and roots as Secrets and ConfigMaps hold them, checked without a clock: whether they can be read,
//! and whether key and certificate belong together. Whether a certificate has expired is for those who present it.

use std::fmt;

use rustls::RootCertStore;
use rustls::SignatureAlgorithm;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;

use crate::secret::Hidden;

/// Names of the entries for certificate, key and revocations: Istio's own, then Kubernetes'.
const KEY_PAIRS: [[&str; 3]; 2] = [["cert", "key", "crl"], ["tls.crt", "tls.key", "ca.crl"]];
/// Names of the entries for roots and revocations.
const ROOTS: [[&str; 2]; 2] = [["cacert", "crl"], ["ca.crt", "ca.crl"]];

/// A certificate chain and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// PEM, the own certificate first.
    pub certificates: Vec<u8>,
    /// PEM.
    pub key: Hidden,
}

/// Certificates of authorities that are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// PEM.
    pub certificates: Vec<u8>,
    /// Certificates that are not valid any more, PEM.
    pub revoked: Option<Vec<u8>>,
}

/// Why an object has no credential of the kind that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialError {
    /// There are no entries for it.
    Missing {
        wanted: &'static str,
    },
    Empty {
        entry: &'static str,
    },
    /// The entry is no PEM, or has none of what it should have.
    Pem {
        entry: &'static str,
        wanted: &'static str,
    },
    /// A certificate cannot be read.
    Certificate {
        entry: &'static str,
        why: String,
    },
    /// The key is broken, or of a kind that proxies do not have.
    Key {
        entry: &'static str,
    },
    /// The key is not the certificate's.
    Mismatch {
        certificate: &'static str,
        key: &'static str,
    },
}

impl KeyPair {
    /// From the entries of an object.
    pub(crate) fn of<'a>(entry: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Self, CredentialError> {
        let filled = |name: &str| entry(name).is_some_and(|value| !value.is_empty());
        let names = KEY_PAIRS.into_iter().find(|[certificate, key, _]| filled(certificate) && filled(key));
        let Some([certificate, key, _]) = names else {
            let there = KEY_PAIRS
                .into_iter()
                .find(|[certificate, key, _]| entry(certificate).is_some() && entry(key).is_some());
            return Err(match there {
                Some([certificate, key, _]) => {
                    CredentialError::Empty { entry: if filled(certificate) { key } else { certificate } }
                }
                None => CredentialError::Missing { wanted: "tls.crt and tls.key, or cert and key" },
            });
        };
        let (certificates, secret) = (entry(certificate).unwrap_or_default(), entry(key).unwrap_or_default());
        check_pair(certificate, certificates, key, secret)?;
        Ok(Self { certificates: certificates.to_vec(), key: Hidden::new(secret.to_vec()) })
    }
}

fn check_pair(
    certificate: &'static str,
    certificates: &[u8],
    key: &'static str,
    secret: &[u8],
) -> Result<(), CredentialError> {
    let chain = chain(certificate, certificates)?;
    for one in &chain {
        ParsedCertificate::try_from(one).map_err(|error| unreadable(certificate, &error))?;
    }
    let text = std::str::from_utf8(secret).unwrap_or_default();
    let secret = PrivateKeyDer::from_pem_slice(text.as_bytes())
        .map_err(|_| CredentialError::Pem { entry: key, wanted: "private key" })?;
    let signer = rustls::crypto::ring::sign::any_supported_type(&secret).ok();
    // Envoy has no Ed25519.
    let signer = signer.filter(|signer| signer.algorithm() != SignatureAlgorithm::ED25519);
    let signer = signer.ok_or(CredentialError::Key { entry: key })?;
    CertifiedKey::new(chain, signer).keys_match().map_err(|_| CredentialError::Mismatch { certificate, key })
}

impl Roots {
    /// From the entries of an object.
    pub(crate) fn of<'a>(entry: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Self, CredentialError> {
        let filled = |name: &str| entry(name).filter(|value| !value.is_empty());
        let found = ROOTS.into_iter().find_map(|[name, crl]| Some((name, filled(name)?, crl)));
        let Some((name, certificates, crl)) = found else {
            let there = ROOTS.into_iter().find(|[name, _]| entry(name).is_some());
            return Err(match there {
                Some([name, _]) => CredentialError::Empty { entry: name },
                None => CredentialError::Missing { wanted: "ca.crt or cacert" },
            });
        };
        let mut store = RootCertStore::empty();
        for one in chain(name, certificates)? {
            store.add(one).map_err(|error| unreadable(name, &error))?;
        }
        let revoked = filled(crl);
        if let Some(revoked) = revoked {
            let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(revoked).collect();
            if !lists.is_ok_and(|lists| !lists.is_empty()) {
                return Err(CredentialError::Pem { entry: crl, wanted: "revocation list" });
            }
        }
        Ok(Self { certificates: certificates.to_vec(), revoked: revoked.map(<[u8]>::to_vec) })
    }
}

fn chain(entry: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CredentialError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        // What stands around the certificates is passed on with them, so it has to be text too.
        Ok(chain) if !chain.is_empty() && std::str::from_utf8(pem).is_ok() => Ok(chain),
        Ok(_) | Err(_) => Err(CredentialError::Pem { entry, wanted: "certificate" }),
    }
}

fn unreadable(entry: &'static str, error: &rustls::Error) -> CredentialError {
    CredentialError::Certificate { entry, why: error.to_string() }
}

impl std::error::Error for CredentialError {}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { wanted } => write!(f, "it has no entry {wanted}"),
            Self::Empty { entry } => write!(f, "its entry {entry} is empty"),
            Self::Pem { entry, wanted } => write!(f, "its entry {entry} has no {wanted} in PEM"),
            Self::Certificate { entry, why } => write!(f, "a certificate in its entry {entry} cannot be read: {why}"),
            Self::Key { entry } => {
                write!(f, "the key in its entry {entry} is none of RSA from 2048 bits on, ECDSA P-256 or P-384")
            }
            Self::Mismatch { certificate, key } => {
                write!(f, "the key in its entry {key} does not belong to the certificate in {certificate}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
