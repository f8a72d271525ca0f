//! Certificates and authorities that cases ask for by name: of the Gateway API's suite by the names that it uses, and of
//! anybody by what the name says.
//!
//! `ConfigMap ns/x` and a `Secret` are an authority and what it signed; which authority signs is in the table.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde_json::{Value, json};

use crate::case::ObjectRef;

/// What was made so far.
#[derive(Default)]
pub(crate) struct Secrets {
    authorities: BTreeMap<String, CertifiedIssuer<'static, KeyPair>>,
    pairs: BTreeMap<ObjectRef, Pair>,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").field("pairs", &self.pairs.keys()).finish_non_exhaustive()
    }
}

/// How a certificate is made.
struct Recipe {
    /// `None`: it signs itself.
    authority: Option<&'static str>,
    names: &'static [&'static str],
    client: bool,
}

/// Those of the Gateway API's suite.
fn recipe(name: &str) -> Option<Recipe> {
    let server = |authority, names| Some(Recipe { authority, names, client: false });
    let client = |authority| Some(Recipe { authority: Some(authority), names: &[], client: true });
    match name {
        "certificate" => server(None, &["*"]),
        "tls-validity-checks-certificate" => server(None, &["*", "*.org", "*.wildcard.org"]),
        "tls-validity-checks-client-certificate" => client("tls-validity-checks-ca-certificate"),
        "tls-validity-checks-per-port-client-certificate" => client("tls-validity-checks-per-port-ca-certificate"),
        "tls-checks-certificate" => server(
            Some("tls-checks-ca-certificate"),
            &["abc.example.com", "spiffe://abc.example.com/test-identity", "other.example.com"],
        ),
        "tls-checks-client-certificate" => client("tls-checks-ca-certificate"),
        "tls-passthrough-checks-certificate" => server(Some("tls-checks-ca-certificate"), &["abc.example.com"]),
        "tls-terminate-checks-certificate" => server(Some("tls-checks-ca-certificate"), &["tls.example.com"]),
        _ => None,
    }
}

impl Secrets {
    /// The object of this name. Names that are in no table: `Secret ns/HOST.cert` for a host, signed by `authority`;
    /// `Secret ns/NAME.client`, a client's; any ConfigMap is an authority.
    pub(crate) fn object(&mut self, key: &ObjectRef) -> Result<Value, String> {
        let metadata = json!({ "name": key.name, "namespace": key.namespace });
        match key.kind.as_str() {
            "ConfigMap" => {
                let pem = self.authority(&key.name).pem();
                Ok(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": { "ca.crt": pem } }))
            }
            "Secret" => {
                let pair = self.pair(key)?;
                Ok(json!({
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "type": "kubernetes.io/tls",
                    "metadata": metadata,
                    "data": { "tls.crt": STANDARD.encode(&pair.certificate), "tls.key": STANDARD.encode(&pair.key) },
                }))
            }
            other => Err(format!("{key}: no {other} can be made, only Secrets and ConfigMaps")),
        }
    }

    fn pair(&mut self, key: &ObjectRef) -> Result<Pair, String> {
        if let Some(pair) = self.pairs.get(key) {
            return Ok(pair.clone());
        }
        let made = match (recipe(&key.name), key.name.strip_suffix(".cert"), key.name.strip_suffix(".client")) {
            (Some(recipe), _, _) => self.make(recipe.authority, recipe.names, recipe.client),
            (None, Some(host), _) => self.make(Some("authority"), &[host], false),
            (None, None, Some(_)) => self.make(Some("authority"), &[], true),
            (None, None, None) => Err(format!("nobody says how {key} is made: end its name with .cert or .client")),
        }?;
        self.pairs.insert(key.clone(), made.clone());
        Ok(made)
    }

    fn make(&mut self, authority: Option<&str>, names: &[&str], client: bool) -> Result<Pair, String> {
        let wrong = |error: rcgen::Error| format!("cannot make a certificate: {error}");
        let key = KeyPair::generate().map_err(wrong)?;
        let mut params = CertificateParams::default();
        for name in names {
            let san = match name.starts_with("spiffe://") {
                true => SanType::URI((*name).try_into().map_err(wrong)?),
                false => SanType::DnsName((*name).try_into().map_err(wrong)?),
            };
            params.subject_alt_names.push(san);
        }
        params.distinguished_name.push(DnType::CommonName, *names.first().unwrap_or(&"client"));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages =
            vec![if client { ExtendedKeyUsagePurpose::ClientAuth } else { ExtendedKeyUsagePurpose::ServerAuth }];
        let certificate = match authority {
            Some(name) => params.signed_by(&key, self.authority(name)),
            None => params.self_signed(&key),
        };
        Ok(Pair { certificate: certificate.map_err(wrong)?.pem(), key: key.serialize_pem() })
    }

    fn authority(&mut self, name: &str) -> &CertifiedIssuer<'static, KeyPair> {
        self.authorities.entry(name.to_owned()).or_insert_with(|| {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            params.distinguished_name.push(DnType::CommonName, name);
            let key = KeyPair::generate().expect("a key can be made");
            CertifiedIssuer::self_signed(params, key).expect("an authority can sign itself")
        })
    }
}

/// The certificate of an application that was given none; made once.
pub(crate) fn self_signed() -> Result<Pair, String> {
    static MADE: OnceLock<Result<Pair, String>> = OnceLock::new();
    MADE.get_or_init(|| Secrets::default().make(None, &["application.invalid"], false)).clone()
}
