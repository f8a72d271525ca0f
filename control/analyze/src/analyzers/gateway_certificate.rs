//! Certificates of Istio's Gateways: missing or invalid secrets, and one certificate on several gateways.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use x509_parser::pem::Pem;

use super::gateway::is_usual;
use crate::code::Code;
use crate::finding::Report;
use crate::resource::Resource;
use crate::snapshot::{ROOT_NAMESPACE, Snapshot};
use crate::value::{Labels, Look, selects};

pub(super) fn check_secrets(snapshot: &Snapshot, report: &mut Report) {
    for gateway in snapshot.gateways() {
        let selector = gateway.spec().labels("/selector");
        let Some(namespace) = workload_namespace(snapshot, &selector) else {
            let labels: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
            report.add(
                Code::ReferencedResourceNotFound,
                gateway,
                "/spec/selector",
                format!("no pod has the labels {}", labels.join(",")),
            );
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
                    format!("the gateway's namespace {namespace} has no secret {name}"),
                ),
                Some(secret) => {
                    if let Err(why) = check_secret(secret) {
                        report.add(
                            Code::InvalidGatewayCredential,
                            gateway,
                            &pointer,
                            format!("the secret {namespace}/{name} is no certificate with its key: {why}"),
                        );
                    }
                }
            }
        }
    }
}

/// The usual gateway runs in the control plane's namespace, whether its pods are known here or not.
fn workload_namespace<'a>(snapshot: &'a Snapshot, selector: &Labels) -> Option<&'a str> {
    let pod = snapshot.all("Pod").find(|pod| selects(selector, &pod.labels));
    pod.map(|pod| pod.namespace.as_str()).or(is_usual(selector).then_some(ROOT_NAMESPACE))
}

fn check_secret(secret: &Resource) -> Result<(), &'static str> {
    let pairs = [("tls.crt", "tls.key"), ("cert", "key")];
    let (certificate, key) = pairs
        .into_iter()
        .find_map(|(certificate, key)| Some((value_of(secret, certificate)?, value_of(secret, key)?)))
        .ok_or("it has neither tls.crt and tls.key nor cert and key")?;
    let mut certificates = 0;
    for block in Pem::iter_from_buffer(&certificate) {
        let block = block.map_err(|_| "the certificate is no PEM")?;
        block.parse_x509().map_err(|_| "the certificate cannot be read")?;
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
    let gateways: Vec<&Resource> = snapshot.gateways().collect();
    for gateway in &gateways {
        let selector = gateway.spec().labels("/selector");
        let mut others: Vec<String> = gateways
            .iter()
            .filter(|other| !other.is(gateway) && other.spec().labels("/selector") == selector)
            .filter(|other| share_certificate(gateway, other))
            .map(|other| other.path())
            .collect();
        others.sort();
        if !others.is_empty() {
            report.add(
                Code::GatewayDuplicateCertificate,
                gateway,
                "/spec/servers",
                format!("the same certificate is used by {}", others.join(", ")),
            );
        }
    }
}

fn share_certificate(one: &Resource, other: &Resource) -> bool {
    let settings = |gateway: &Resource| -> Vec<Value> {
        gateway.spec().list("/servers").iter().map(|server| server.at("/tls").clone()).collect()
    };
    let others = settings(other);
    settings(one).iter().any(|one| others.iter().any(|other| is_same_certificate(one, other)))
}

fn is_same_certificate(one: &Value, other: &Value) -> bool {
    let same = |field: &str| !one.text(field).is_empty() && one.text(field) == other.text(field);
    same("/credentialName") || (same("/serverCertificate") && same("/privateKey"))
}
