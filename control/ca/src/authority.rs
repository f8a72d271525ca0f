//! Issuing: workload certificates (SPIFFE X509-SVID) and the control plane's own server certificate.
//!
//! Pure but for the random serial number. Who may have which identity is decided by the caller.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::csr::SigningRequest;
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::root::{BACKDATE, Root, calendar, random_serial};

/// How long certificates live.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Life of a certificate whose request names none.
    pub default: Duration,
    /// Longest life that a request gets.
    pub longest: Duration,
    /// Shortest life that a request gets.
    pub shortest: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 3600);
        Self { default: day, longest: day, shortest: Duration::from_secs(60) }
    }
}

/// A certificate for a workload.
#[derive(Debug, Clone)]
pub struct Issued {
    /// PEM certificates: the leaf first, the root last.
    pub chain: Vec<String>,
    /// When the leaf ends.
    pub not_after: SystemTime,
}

/// A certificate with its key, for a server of ours.
#[derive(Debug)]
pub struct ServerCertificate {
    /// The leaf; the root is known to whoever verifies it.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key (PKCS #8).
    pub key: PrivateKeyDer<'static>,
    /// When the certificate ends.
    pub not_after: SystemTime,
}

/// The authority of one trust domain.
#[derive(Debug)]
pub struct Authority {
    root: Root,
    trust_domain: String,
    limits: Limits,
}

impl Authority {
    /// An authority that signs with `root`.
    pub fn new(root: Root, trust_domain: impl Into<String>, limits: Limits) -> Self {
        Self { root, trust_domain: trust_domain.into(), limits }
    }

    /// The root that everybody trusts.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The trust domain of every identity that is issued here.
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// Signs a request for an identity. `validity` is the wish of the request; it is kept within the limits and the root's life.
    pub fn issue(
        &self,
        request: &SigningRequest,
        identity: &Identity,
        validity: Option<Duration>,
        now: SystemTime,
    ) -> Result<Issued> {
        if identity.trust_domain() != self.trust_domain {
            return Err(Error::Identity(format!(
                "trust domain {} is not {}, the only one that is issued here",
                identity.trust_domain(),
                self.trust_domain
            )));
        }
        let life = validity.map_or(self.limits.default, |wish| wish.clamp(self.limits.shortest, self.limits.longest));
        let not_after = (now + life).min(self.root.not_after());
        let uri = identity.to_string().try_into()?;
        let mut params = leaf(now, not_after)?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&request.key, &self.root.issuer)?;
        Ok(Issued { chain: vec![certificate.pem(), self.root.pem().to_owned()], not_after })
    }

    /// A new key and certificate for a server with these names.
    pub fn server_certificate(
        &self,
        dns_names: &[&str],
        addresses: &[IpAddr],
        now: SystemTime,
    ) -> Result<ServerCertificate> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let not_after = (now + self.limits.default).min(self.root.not_after());
        let mut params = leaf(now, not_after)?;
        for name in dns_names {
            params.subject_alt_names.push(SanType::DnsName((*name).try_into()?));
        }
        params.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.root.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(ServerCertificate { chain: vec![certificate.der().clone()], key, not_after })
    }
}

fn leaf(now: SystemTime, not_after: SystemTime) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_before = calendar(now - BACKDATE);
    params.not_after = calendar(not_after);
    params.serial_number = Some(random_serial()?);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

#[cfg(test)]
mod tests;
