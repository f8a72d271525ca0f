//! The xDS server's own certificate: made by the authority, renewed at half its life, never on disk.
//!
//! Connections that are open keep theirs; new ones get the newest, without a restart.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use orrery_ca::{Authority, ServerCertificate};
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use tokio::time::sleep;

/// Wait after a renewal failed.
const RETRY: Duration = Duration::from_secs(30);

/// Names under which proxies may know the server.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) dns: Vec<String>,
    pub(crate) addresses: Vec<IpAddr>,
}

/// Gives TLS the newest certificate.
#[derive(Debug)]
pub(crate) struct Rotating {
    authority: Arc<Authority>,
    names: Names,
    provider: Arc<CryptoProvider>,
    current: RwLock<Current>,
}

#[derive(Debug, Clone)]
struct Current {
    key: Arc<CertifiedKey>,
    not_after: SystemTime,
}

impl Rotating {
    pub(crate) fn new(authority: Arc<Authority>, names: Names, now: SystemTime) -> anyhow::Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let current = RwLock::new(issue(&authority, &names, &provider, now)?);
        Ok(Self { authority, names, provider, current })
    }

    /// When the current certificate ends.
    pub(crate) fn not_after(&self) -> SystemTime {
        self.current().not_after
    }

    /// Renews for ever.
    pub(crate) async fn rotate(self: Arc<Self>) {
        loop {
            let left = self.not_after().duration_since(SystemTime::now()).unwrap_or_default();
            sleep((left / 2).max(Duration::from_secs(1))).await;
            match issue(&self.authority, &self.names, &self.provider, SystemTime::now()) {
                Ok(new) => *self.current.write().unwrap_or_else(PoisonError::into_inner) = new,
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "cannot renew the xDS server's certificate");
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// The TLS configuration of the xDS server: HTTP/2, and client certificates of the mesh's root, optionally.
    pub(crate) fn server_config(self: &Arc<Self>) -> anyhow::Result<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.root().der().clone()).context("root certificate")?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .allow_unauthenticated()
            .build()
            .context("client certificate verifier")?;
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Self>::clone(self);
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    fn current(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Rotating {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current().key)
    }
}

fn issue(authority: &Authority, names: &Names, provider: &CryptoProvider, now: SystemTime) -> anyhow::Result<Current> {
    let dns: Vec<&str> = names.dns.iter().map(String::as_str).collect();
    let ServerCertificate { chain, key, not_after } = authority.server_certificate(&dns, &names.addresses, now)?;
    let key = provider.key_provider.load_private_key(key).context("server key")?;
    Ok(Current { key: Arc::new(CertifiedKey::new(chain, key)), not_after })
}
