//! Certificates of Istio's Gateways: missing or invalid secrets, and one certificate on several gateways.

use std::time::UNIX_EPOCH;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use x509_parser::pem::Pem;

use super::gateway::report_missing;
use crate::code::Code;
use crate::finding::Report;
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::{Labels, Look, selects};

pub(super) fn check_secrets(snapshot: &Snapshot, report: &mut Report) {
    let since = snapshot.now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    for gateway in snapshot.gateways() {
        let selector = gateway.spec().labels("/selector");
        let Some(namespace) = snapshot.pods_with(&selector).next().map(|pod| pod.namespace.as_str()) else {
            report_missing(gateway, &selector, report);
            continue;
        };
        for (index, server) in gateway.spec().list("/servers").iter().enumerate() {
            let name = server.text("/tls/credentialName");
            if name.is_empty() {
                continue;
            }
            let pointer = format!("/spec/servers/{index}/tls/credentialName");
            match snapshot.all("Secret").find(|secret| secret.namespace == namespace && secret.name == name) {
                None => report.add(
                    Code::ReferencedResourceNotFound,
                    gateway,
                    &pointer,
                    format!("servers[{index}]: the gateway's namespace {namespace} has no secret {name}"),
                ),
                Some(secret) => {
                    if let Err(why) = check_secret(secret, now) {
                        report.add(
                            Code::InvalidGatewayCredential,
                            gateway,
                            &pointer,
                            format!(
                                "servers[{index}]: the secret {namespace}/{name} is no certificate with its key: {why}"
                            ),
                        );
                    }
                }
            }
        }
    }
}

/// `now` in seconds since 1970.
fn check_secret(secret: &Resource, now: i64) -> Result<(), &'static str> {
    let pairs = [("cert", "key"), ("tls.crt", "tls.key")];
    let (certificate, key) = pairs
        .into_iter()
        .find_map(|(certificate, key)| Some((value_of(secret, certificate)?, value_of(secret, key)?)))
        .ok_or("it has neither tls.crt and tls.key nor cert and key")?;
    let mut certificates = 0;
    for block in Pem::iter_from_buffer(&certificate) {
        let block = block.map_err(|_| "the certificate is no PEM")?;
        let certificate = block.parse_x509().map_err(|_| "the certificate cannot be read")?;
        let validity = &certificate.validity;
        if !(validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&now) {
            return Err("the certificate is expired or not valid yet");
        }
        certificates += 1;
    }
    if certificates == 0 {
        return Err("the certificate is no PEM");
    }
    let keys = Pem::iter_from_buffer(&key).filter_map(Result::ok).filter(|block| block.label.ends_with("PRIVATE KEY"));
    if keys.count() == 0 { Err("the key is no PEM") } else { Ok(()) }
}

fn value_of(secret: &Resource, key: &str) -> Option<Vec<u8>> {
    let key = key.replace('/', "~1");
    let data = secret.body.text(&format!("/data/{key}"));
    let plain = secret.body.text(&format!("/stringData/{key}"));
    match (data.is_empty(), plain.is_empty()) {
        (_, false) => Some(plain.as_bytes().to_vec()),
        (false, true) => STANDARD.decode(data).ok(),
        (true, true) => None,
    }
}

pub(super) fn check_duplicates(snapshot: &Snapshot, report: &mut Report) {
    let gateways: Vec<(&Resource, Labels)> =
        snapshot.gateways().map(|gateway| (gateway, gateway.spec().labels("/selector"))).collect();
    for (gateway, selector) in &gateways {
        // Workloads of the other are workloads of this one too.
        let narrower = gateways.iter().filter(|(other, labels)| !other.is(gateway) && selects(selector, labels));
        for (other, _) in narrower.filter(|(other, _)| share_certificate(gateway, other)) {
            let message = format!("the same certificate is used by {}", other.path());
            report.add(Code::GatewayDuplicateCertificate, gateway, "/metadata/name", message);
        }
    }
}

fn share_certificate(one: &Resource, other: &Resource) -> bool {
    let settings = |gateway: &'_ Resource| -> Vec<Value> {
        gateway.spec().list("/servers").iter().map(|server| server.at("/tls").clone()).collect()
    };
    let others = settings(other);
    settings(one).iter().any(|one| others.iter().any(|other| is_same_certificate(one, other)))
}

/// By the credential if both have one, by the files if neither has.
fn is_same_certificate(one: &Value, other: &Value) -> bool {
    let same = |field: &str| !one.text(field).is_empty() && one.text(field) == other.text(field);
    let named = |tls: &Value| !tls.text("/credentialName").is_empty();
    match (named(one), named(other)) {
        (true, true) => same("/credentialName"),
        (false, false) => same("/serverCertificate") && same("/privateKey"),
        (true, false) | (false, true) => false,
    }
}
