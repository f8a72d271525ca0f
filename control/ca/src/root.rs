//! The root certificate and its key: made new, or read back and checked. No files here, see [`crate::store`].

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::error::{Error, Result};

/// How long a new root is valid: ten years.
const ROOT_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How far a certificate's beginning lies in the past, so that clocks may differ.
pub(crate) const BACKDATE: Duration = Duration::from_secs(120);

/// The certificate that everybody in the mesh trusts, with the key that signs for it.
pub struct Root {
    pem: String,
    der: CertificateDer<'static>,
    not_after: SystemTime,
    pub(crate) issuer: Issuer<'static, KeyPair>,
}

impl Root {
    /// A new key for a root, in PEM (PKCS #8).
    pub fn generate_key() -> Result<String> {
        Ok(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?.serialize_pem())
    }

    /// A self-signed root certificate, in PEM, for an existing key.
    pub fn self_sign(key_pem: &str, trust_domain: &str, now: SystemTime) -> Result<String> {
        let key = KeyPair::from_pem(key_pem)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, trust_domain);
        params.not_before = calendar(now - BACKDATE);
        params.not_after = calendar(now + ROOT_LIFETIME);
        params.serial_number = Some(random_serial()?);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(params.self_signed(&key)?.pem())
    }

    /// Takes a root from PEM. Refused: not an authority, past its end, or a key that is not the certificate's.
    pub fn from_pem(certificate_pem: &str, key_pem: &str, now: SystemTime) -> Result<Self> {
        let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(|error| Error::Root(format!("cannot be parsed: {error}")))?;
        let key =
            KeyPair::from_pem(key_pem).map_err(|error| Error::Root(format!("its key cannot be parsed: {error}")))?;
        let not_after = check(&der, &key, now)?;
        let issuer = Issuer::from_ca_cert_der(&der, key)?;
        Ok(Self { pem: certificate_pem.to_owned(), der, not_after, issuer })
    }

    /// The certificate in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The certificate in DER.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// When the root ends.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Root").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

fn check(der: &CertificateDer<'_>, key: &KeyPair, now: SystemTime) -> Result<SystemTime> {
    let (_, parsed) =
        x509_parser::parse_x509_certificate(der).map_err(|error| Error::Root(format!("cannot be parsed: {error}")))?;
    if !parsed.is_ca() {
        return Err(Error::Root("it is not the certificate of an authority (basic constraints)".to_owned()));
    }
    if parsed.public_key().raw != key.subject_public_key_info() {
        return Err(Error::Root("its key is another one than the key file's".to_owned()));
    }
    let end = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
    let not_after = UNIX_EPOCH + Duration::from_secs(end);
    if not_after <= now {
        return Err(Error::Root(format!("it ended on {}", parsed.validity().not_after)));
    }
    Ok(not_after)
}

/// 127 random bits, positive (RFC 5280 §4.1.2.2).
pub(crate) fn random_serial() -> Result<SerialNumber> {
    let mut bytes = [0u8; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Random)?;
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

/// The same moment in the type that certificates are written with, to the second.
pub(crate) fn calendar<T>(time: SystemTime) -> T
where
    T: From<SystemTime>,
{
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    T::from(UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    #[test]
    fn a_new_root_can_be_read_back() {
        let key = Root::generate_key().unwrap();
        let certificate = Root::self_sign(&key, "cluster.local", noon()).unwrap();
        let root = Root::from_pem(&certificate, &key, noon()).unwrap();
        assert_eq!(root.not_after(), noon() + ROOT_LIFETIME);
    }

    #[test]
    fn unusable_roots_are_refused() {
        let key = Root::generate_key().unwrap();
        let other = Root::generate_key().unwrap();
        let certificate = Root::self_sign(&key, "cluster.local", noon()).unwrap();
        let late = noon() + ROOT_LIFETIME + Duration::from_secs(1);
        let leaf = CertificateParams::new(vec!["a.example".to_owned()])
            .unwrap()
            .self_signed(&KeyPair::from_pem(&key).unwrap())
            .unwrap()
            .pem();
        for (certificate, key, now, expect) in [
            (certificate.as_str(), other.as_str(), noon(), "another one"),
            (certificate.as_str(), "junk", noon(), "key cannot be parsed"),
            ("junk", key.as_str(), noon(), "cannot be parsed"),
            (certificate.as_str(), key.as_str(), late, "it ended"),
            (leaf.as_str(), key.as_str(), noon(), "not the certificate of an authority"),
        ] {
            let error = Root::from_pem(certificate, key, now).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        }
    }
}
