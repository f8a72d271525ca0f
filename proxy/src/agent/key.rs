//! The proxy's key and signing request. The key never leaves the process.

use orrery_core::secret::PrivateKeyPem;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};

/// A fresh P-256 key and a request signed with it, both PEM. The request names nobody: the identity in the
/// certificate is the token's, whatever a request says.
pub(crate) fn key_and_request() -> Result<(PrivateKeyPem, String), rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key)?.pem()?;
    Ok((PrivateKeyPem::new(key.serialize_pem()), request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_its_own_key() {
        let (first, request) = key_and_request().unwrap();
        let (second, _) = key_and_request().unwrap();
        assert!(request.starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
        assert!(first.reveal().contains("PRIVATE KEY") && first.reveal() != second.reveal());
    }
}
