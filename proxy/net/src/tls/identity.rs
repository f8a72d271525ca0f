//! Certificates with their keys, trust roots, and the identity that a certificate states.
//!
//! Does not decide who may do what.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{TlsError, provider};

/// A certificate chain with its private key.
#[derive(Clone)]
pub struct Identity {
    pub(super) key: Arc<CertifiedKey>,
    spiffe: Option<Arc<str>>,
}

/// Certificates that others' chains must end in.
#[derive(Clone, Debug)]
pub struct Roots {
    pub(super) store: Arc<RootCertStore>,
    pub(super) revoked: Arc<[CertificateRevocationListDer<'static>]>,
}

/// What a peer's certificate says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerIdentity {
    /// `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
    Spiffe(Arc<str>),
    /// A certificate without exactly one SPIFFE name.
    Unnamed,
}

impl Identity {
    /// Parses a chain (leaf first) and its key.
    pub fn from_pem(chain: &str, key: &str) -> Result<Self, TlsError> {
        let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| TlsError::Chain(error.to_string()))?;
        let Some(leaf) = certificates.first() else {
            return Err(TlsError::Chain("it is empty".into()));
        };
        let spiffe = spiffe_of(leaf);
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| TlsError::Key(error.to_string()))?;
        let key = CertifiedKey::from_der(certificates, key, &provider())?;
        Ok(Self { key: Arc::new(key), spiffe })
    }

    /// The SPIFFE name of the leaf.
    pub fn spiffe(&self) -> Option<&Arc<str>> {
        self.spiffe.as_ref()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("spiffe", &self.spiffe).finish_non_exhaustive()
    }
}

impl Roots {
    /// Parses a bundle; certificates that cannot be trust anchors are skipped if at least one can.
    pub fn from_pem(bundle: &str) -> Result<Self, TlsError> {
        let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(bundle.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| TlsError::Roots(error.to_string()))?;
        let mut store = RootCertStore::empty();
        let (added, _skipped) = store.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(TlsError::Roots("none of its certificates can be a trust anchor".into()));
        }
        Ok(Self { store: Arc::new(store), revoked: Arc::from([]) })
    }

    /// The same roots, without the certificates that these lists (PEM) revoke.
    pub fn without(self, revoked: Option<&str>) -> Result<Self, TlsError> {
        let Some(lists) = revoked else { return Ok(self) };
        let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(lists.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| TlsError::Revoked(error.to_string()))?;
        if lists.is_empty() {
            return Err(TlsError::Revoked("there is none".into()));
        }
        Ok(Self { revoked: lists.into(), ..self })
    }
}

/// The identity in the first of a peer's (already verified) certificates.
pub fn peer_identity(certificates: Option<&[CertificateDer<'_>]>) -> Option<PeerIdentity> {
    let leaf = certificates?.first()?;
    Some(spiffe_of(leaf).map_or(PeerIdentity::Unnamed, PeerIdentity::Spiffe))
}

/// The SPIFFE name of the first certificate in a PEM chain.
pub fn spiffe_of_pem(chain: &str) -> Option<Arc<str>> {
    spiffe_of(&CertificateDer::from_pem_slice(chain.as_bytes()).ok()?)
}

/// The only URI name, if it is a plain SPIFFE name: an SVID has exactly one (SPIFFE X.509-SVID section 2).
fn spiffe_of(certificate: &CertificateDer<'_>) -> Option<Arc<str>> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let mut names = certificate.valid_uri_names();
    let name = names.next()?;
    (names.next().is_none() && is_plain_spiffe(name)).then(|| Arc::from(name))
}

fn is_plain_spiffe(name: &str) -> bool {
    name.len() <= 2048
        && name.strip_prefix("spiffe://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && name.bytes().all(|b| b.is_ascii_graphic() && !b"?#\"\\,".contains(&b))
}
