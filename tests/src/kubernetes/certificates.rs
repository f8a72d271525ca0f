//! What the parts of a cluster prove themselves with.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};

/// Writes `ca.crt`, `apiserver.{crt,key}`, `admin.{crt,key}` and the key pair `accounts.{pub,key}` of account tokens.
pub(super) fn write_certificates(home: &Path, address: Ipv4Addr) {
    let authority = authority();
    let put = |name: &str, text: &str| fs::write(home.join(name), text).expect("a certificate is written");
    put("ca.crt", &authority.pem());
    let mut server = named("kube-apiserver", None);
    server.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(address)));
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let mut admin = named("admin", Some("system:masters"));
    admin.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    for (name, params) in [("apiserver", server), ("admin", admin)] {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &authority).expect("a certificate");
        put(&format!("{name}.crt"), &certificate.pem());
        put(&format!("{name}.key"), &key.serialize_pem());
    }
    let accounts = KeyPair::generate().expect("a key");
    put("accounts.key", &accounts.serialize_pem());
    put("accounts.pub", &accounts.public_key_pem());
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = named("test authority", None);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

fn named(name: &str, organization: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(organization) = organization {
        params.distinguished_name.push(DnType::OrganizationName, organization);
    }
    params
}
