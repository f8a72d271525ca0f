//! Certificate signing requests (RFC 2986): what is taken from one, and what is refused.
//!
//! Only the public key is taken. The subject and the extensions that the request asks for are not
//! read: the identity comes from the caller's credential, never from the caller's wish.

use rcgen::SubjectPublicKeyInfo;
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509;

use crate::error::{Error, Result};

/// Largest request in bytes of PEM; one with an RSA key of 4096 bits has about 2 KiB.
const LARGEST: usize = 16 * 1024;

/// A request whose signature was checked.
#[derive(Debug, Clone)]
pub struct SigningRequest {
    pub(crate) key: SubjectPublicKeyInfo,
}

impl SigningRequest {
    /// Reads a request in PEM, checks the key's kind and size, then that the request is signed by that key.
    pub fn from_pem(pem: &str) -> Result<Self> {
        if pem.len() > LARGEST {
            return Err(Error::RequestTooLarge { size: pem.len(), limit: LARGEST });
        }
        let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| Error::RequestSyntax(error.to_string()))?;
        let (rest, request) =
            X509CertificationRequest::from_der(&der).map_err(|error| Error::RequestSyntax(error.to_string()))?;
        if !rest.is_empty() {
            return Err(Error::RequestSyntax("bytes after the end of the request".to_owned()));
        }
        let key = &request.certification_request_info.subject_pki;
        check_key(key)?;
        request.verify_signature().map_err(|_| Error::RequestSignature)?;
        let key = SubjectPublicKeyInfo::from_der(key.raw)
            .map_err(|error| Error::RequestKey(format!("a key that cannot be certified ({error})")))?;
        Ok(Self { key })
    }
}

/// Refuses keys before any arithmetic is done with them.
fn check_key(key: &x509::SubjectPublicKeyInfo<'_>) -> Result<()> {
    const ED25519: &str = "1.3.101.112";
    let parsed = key.parsed().map_err(|error| Error::RequestSyntax(format!("public key: {error}")))?;
    match parsed {
        PublicKey::EC(point) if matches!(point.key_size(), 256 | 384) => Ok(()),
        PublicKey::EC(point) => Err(Error::RequestKey(format!("an elliptic-curve key of {} bits", point.key_size()))),
        PublicKey::RSA(rsa) if (2048..=4096).contains(&rsa.key_size()) => Ok(()),
        PublicKey::RSA(rsa) => Err(Error::RequestKey(format!("an RSA key of {} bits", rsa.key_size()))),
        _ if key.algorithm.algorithm.to_id_string() == ED25519 => Ok(()),
        _ => Err(Error::RequestKey(format!("a key of the algorithm {}", key.algorithm.algorithm.to_id_string()))),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    use super::*;

    fn request(algorithm: &'static rcgen::SignatureAlgorithm) -> String {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(vec!["whatever.example".to_owned()]).unwrap();
        params.serialize_request(&key).unwrap().pem().unwrap()
    }

    fn corrupt(pem: &str, at_from_end: usize) -> String {
        let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).unwrap();
        let mut bytes = der.to_vec();
        let at = bytes.len() - at_from_end;
        bytes[at] ^= 1;
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n")
    }

    #[test]
    fn accepted_keys() {
        for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
            SigningRequest::from_pem(&request(algorithm)).unwrap();
        }
    }

    #[test]
    fn refused_requests() {
        let good = request(&PKCS_ECDSA_P256_SHA256);
        let huge = format!("{good}{}", "x".repeat(LARGEST));
        let cases = [
            ("empty", String::new()),
            ("not PEM", "hello".to_owned()),
            ("a certificate", good.replace("CERTIFICATE REQUEST", "CERTIFICATE")),
            ("truncated", good.replace('A', "")),
            ("too large", huge),
        ];
        for (what, pem) in cases {
            assert!(SigningRequest::from_pem(&pem).is_err(), "{what}");
        }
        assert!(matches!(SigningRequest::from_pem(&corrupt(&good, 2)), Err(Error::RequestSignature)));
    }
}
