//! SPIFFE identities of workloads: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
//!
//! It knows how to read one out of a certificate, not whether that certificate is trusted.

use std::fmt;
use std::str::FromStr;

use rustls_pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;

use crate::error::{Error, Result};

/// Longest part of an identity, in bytes (RFC 1123 subdomain).
const LONGEST_PART: usize = 253;

/// Who a workload is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    trust_domain: String,
    namespace: String,
    service_account: String,
}

impl Identity {
    /// An identity from its parts; each must be a non-empty DNS-like name.
    pub fn new(trust_domain: &str, namespace: &str, service_account: &str) -> Result<Self> {
        for (what, part) in
            [("trust domain", trust_domain), ("namespace", namespace), ("service account", service_account)]
        {
            check_part(what, part)?;
        }
        Ok(Self {
            trust_domain: trust_domain.to_owned(),
            namespace: namespace.to_owned(),
            service_account: service_account.to_owned(),
        })
    }

    /// The identity that a certificate carries: exactly one URI name, in SPIFFE form (X509-SVID §2).
    pub fn from_certificate(certificate: &CertificateDer<'_>) -> Result<Self> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
            .map_err(|error| Error::Identity(format!("certificate cannot be parsed: {error}")))?;
        let names = parsed
            .subject_alternative_name()
            .map_err(|error| Error::Identity(format!("certificate's names cannot be parsed: {error}")))?
            .ok_or_else(|| Error::Identity("certificate has no subject alternative name".to_owned()))?;
        let mut uris = names.value.general_names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
        match (uris.next(), uris.next()) {
            (Some(uri), None) => uri.parse(),
            (None, _) => Err(Error::Identity("certificate has no URI name".to_owned())),
            (Some(_), Some(_)) => Err(Error::Identity("certificate has more than one URI name".to_owned())),
        }
    }

    /// The trust domain, such as `cluster.local`.
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// The Kubernetes namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The service account.
    pub fn service_account(&self) -> &str {
        &self.service_account
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/ns/{}/sa/{}", self.trust_domain, self.namespace, self.service_account)
    }
}

impl FromStr for Identity {
    type Err = Error;

    fn from_str(uri: &str) -> Result<Self> {
        let malformed = || {
            let shown: String = uri.chars().take(100).collect();
            Error::Identity(format!("{shown:?} is not spiffe://<trust domain>/ns/<namespace>/sa/<service account>"))
        };
        let rest = uri.strip_prefix("spiffe://").ok_or_else(malformed)?;
        let parts: Vec<&str> = rest.splitn(6, '/').collect();
        match parts.as_slice() {
            [trust_domain, "ns", namespace, "sa", service_account] => {
                Self::new(trust_domain, namespace, service_account)
            }
            _ => Err(malformed()),
        }
    }
}

fn check_part(what: &str, part: &str) -> Result<()> {
    if part.is_empty() {
        return Err(Error::Identity(format!("{what} is empty")));
    }
    if part.len() > LONGEST_PART {
        return Err(Error::Identity(format!("{what} has {} bytes, at most {LONGEST_PART} are allowed", part.len())));
    }
    let bad = part.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')));
    match bad {
        Some(c) => Err(Error::Identity(format!(
            "{what} has the character {c:?}; letters, digits, '-', '.' and '_' are allowed"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uri_round_trip() {
        let identity = Identity::new("cluster.local", "default", "bookinfo-reviews").unwrap();
        assert_eq!(identity.to_string(), "spiffe://cluster.local/ns/default/sa/bookinfo-reviews");
        assert_eq!(identity.to_string().parse::<Identity>().unwrap(), identity);
    }

    #[test]
    fn malformed_uris_are_refused() {
        for uri in [
            "",
            "https://cluster.local/ns/a/sa/b",
            "spiffe://cluster.local",
            "spiffe://cluster.local/ns/a/sa/",
            "spiffe:///ns/a/sa/b",
            "spiffe://cluster.local/ns/a/sa/b/c",
            "spiffe://cluster.local/sa/a/ns/b",
            "spiffe://cluster.local/ns/a b/sa/c",
            "spiffe://cluster.local/ns/\u{e4}/sa/c",
        ] {
            assert!(uri.parse::<Identity>().is_err(), "{uri}");
        }
    }
}
