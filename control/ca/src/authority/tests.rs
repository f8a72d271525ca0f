//! Issued certificates, looked at with a parser that did not write them.

use std::time::UNIX_EPOCH;

use rustls_pki_types::pem::PemObject;

use super::*;

fn noon() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn authority() -> Authority {
    let key = Root::generate_key().unwrap();
    let certificate = Root::self_sign(&key, "cluster.local", noon()).unwrap();
    Authority::new(Root::from_pem(&certificate, &key, noon()).unwrap(), "cluster.local", Limits::default())
}

fn request() -> SigningRequest {
    let key = KeyPair::generate().unwrap();
    let wish = CertificateParams::new(vec!["spoofed.example".to_owned()]).unwrap();
    SigningRequest::from_pem(&wish.serialize_request(&key).unwrap().pem().unwrap()).unwrap()
}

#[test]
fn a_leaf_holds_the_identity_and_nothing_that_the_request_asked_for() {
    let identity = Identity::new("cluster.local", "default", "reviews").unwrap();
    let authority = authority();
    let issued = authority.issue(&request(), &identity, None, noon()).unwrap();
    assert_eq!(issued.chain.len(), 2);
    assert_eq!(issued.chain[1], authority.root().pem());
    let der = CertificateDer::from_pem_slice(issued.chain[0].as_bytes()).unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    let names = parsed.subject_alternative_name().unwrap().unwrap();
    assert!(names.critical, "critical, since the subject is empty");
    assert_eq!(names.value.general_names.len(), 1);
    assert_eq!(Identity::from_certificate(&der).unwrap(), identity);
    assert!(!parsed.is_ca());
    assert!(parsed.validity().not_before.timestamp() < 1_800_000_000);
    assert_eq!(parsed.validity().not_after.timestamp(), 1_800_000_000 + 24 * 3600);
    let (_, root) = x509_parser::parse_x509_certificate(authority.root().der()).unwrap();
    parsed.verify_signature(Some(root.public_key())).unwrap();
}

#[test]
fn the_life_of_a_certificate_is_kept_within_limits() {
    let identity = Identity::new("cluster.local", "default", "reviews").unwrap();
    let authority = authority();
    let hour = Duration::from_secs(3600);
    for (wish, at, expect) in [
        (Some(hour), noon(), noon() + hour),
        (Some(Duration::ZERO), noon(), noon() + Duration::from_secs(60)),
        (Some(hour * 1000), noon(), noon() + hour * 24),
        (None, authority.root().not_after() - hour, authority.root().not_after()),
    ] {
        assert_eq!(authority.issue(&request(), &identity, wish, at).unwrap().not_after, expect);
    }
}

#[test]
fn another_trust_domain_is_refused() {
    let identity = Identity::new("other.example", "default", "reviews").unwrap();
    let error = authority().issue(&request(), &identity, None, noon()).unwrap_err();
    assert!(error.to_string().contains("other.example"), "{error}");
}

#[test]
fn two_certificates_for_one_key_have_different_serials() {
    let identity = Identity::new("cluster.local", "default", "reviews").unwrap();
    let (authority, request) = (authority(), request());
    let one = authority.issue(&request, &identity, None, noon()).unwrap();
    let two = authority.issue(&request, &identity, None, noon()).unwrap();
    assert_ne!(one.chain[0], two.chain[0]);
}

#[test]
fn a_server_certificate_has_names_and_addresses() {
    let address: IpAddr = "127.0.0.1".parse().unwrap();
    let server = authority().server_certificate(&["istiod.istio-system.svc", "localhost"], &[address], noon()).unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(&server.chain[0]).unwrap();
    assert_eq!(parsed.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 3);
}
