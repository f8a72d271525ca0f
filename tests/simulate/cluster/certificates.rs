//! Certificates as Secrets and ConfigMaps hold them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

use super::{Cluster, list, pods, text};
use crate::case::ObjectRef;
use crate::secrets::{self, Pair};

impl Cluster {
    /// Certificates of the Secrets that are there, in DER.
    pub(crate) fn certificates(&self) -> BTreeMap<ObjectRef, Vec<u8>> {
        let secrets = self.of_kind("Secret").filter_map(|(key, secret)| {
            let pem = STANDARD.decode(text(secret, &["data", "tls.crt"])?).ok()?;
            let der = CertificateDer::from_pem_slice(&pem).ok()?;
            Some((key.clone(), der.to_vec()))
        });
        secrets.collect()
    }

    /// The certificates of a Secret or ConfigMap, in PEM: those of an authority, or the server's own.
    pub(crate) fn certificate_of(&self, key: &ObjectRef) -> Result<String, String> {
        let object = self.given.get(key).ok_or_else(|| format!("there is no {key}"))?;
        let found = match key.kind.as_str() {
            "ConfigMap" => text(object, &["data", "ca.crt"]).map(str::to_owned),
            _ => field(object, "ca.crt").or_else(|| field(object, "tls.crt")),
        };
        found.ok_or_else(|| format!("{key} holds no certificate"))
    }

    /// Certificate and key of a Secret.
    pub(crate) fn pair_of(&self, key: &ObjectRef) -> Result<Pair, String> {
        let object = self.given.get(key).ok_or_else(|| format!("there is no {key}"))?;
        match (field(object, "tls.crt"), field(object, "tls.key")) {
            (Some(certificate), Some(key)) => Ok(Pair { certificate, key }),
            _ => Err(format!("{key} holds no certificate with its key")),
        }
    }

    /// What an application shows: the Secret that its pod mounts, or one that nobody has asked for.
    pub(crate) fn server_pair(&self, address: IpAddr) -> Result<Pair, String> {
        let pod = self.of_kind("Pod").find(|(_, pod)| pods::address(pod) == Some(address));
        let mounted = pod.and_then(|(key, pod)| {
            let mut volumes = list(pod, &["spec", "volumes"]).iter();
            let name = volumes.find_map(|volume| text(volume, &["secret", "secretName"]))?;
            let (kind, namespace) = ("Secret".to_owned(), key.namespace.clone());
            Some(ObjectRef { kind, namespace, name: name.to_owned() })
        });
        match mounted.filter(|key| self.given.contains_key(key)) {
            Some(key) => self.pair_of(&key),
            None => secrets::self_signed(),
        }
    }
}

fn field(secret: &Value, name: &str) -> Option<String> {
    let data = secret.get("data")?.get(name)?.as_str()?;
    String::from_utf8(STANDARD.decode(data).ok()?).ok()
}
