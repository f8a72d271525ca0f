//! How a call was secured.

use std::sync::Arc;

/// What a reporter says about the connection that a call came over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// Whether it was mutual TLS; `None` where the reporter cannot know (the source never does).
    pub mutual_tls: Option<bool>,
    /// The caller's SPIFFE id, if it has one.
    pub source: Option<Arc<str>>,
    /// The callee's SPIFFE id, if it has one.
    pub destination: Option<Arc<str>>,
}

/// Traffic of an edge, by how it was secured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SecuredShare {
    mutual: f64,
    other: f64,
}

impl Security {
    /// Reads `connection_security_policy` and the principals.
    pub fn from_labels<'a>(label: impl Fn(&str) -> Option<&'a Arc<str>>) -> Self {
        let principal = |name: &str| label(name).filter(|value| value.starts_with("spiffe://")).cloned();
        let mutual_tls = match label("connection_security_policy").map(|value| &**value) {
            Some("mutual_tls") => Some(true),
            Some("none") => Some(false),
            Some(_) | None => None,
        };
        Self { mutual_tls, source: principal("source_principal"), destination: principal("destination_principal") }
    }
}

impl SecuredShare {
    /// Adds traffic; what nobody can judge does not count.
    pub fn add(&mut self, rate: f64, security: &Security) {
        match security.mutual_tls {
            Some(true) => self.mutual += rate,
            Some(false) => self.other += rate,
            None => {}
        }
    }

    /// Adds another's traffic.
    pub fn merge(&mut self, other: &Self) {
        self.mutual += other.mutual;
        self.other += other.other;
    }

    /// Per cent of the traffic that came over mutual TLS; `None` if nobody could judge any.
    pub fn percent(&self) -> Option<f64> {
        let total = self.mutual + self.other;
        (total > 0.0).then(|| self.mutual / total * 100.0)
    }
}
