//! Ending TLS on accepted connections.
//!
//! Does not choose which configuration a connection gets.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Identity, Roots, TlsError, provider};
use crate::stream::Replay;

/// What is asked of clients.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    None,
    Optional(Roots),
    Required(Roots),
}

/// Settings of a server side.
#[derive(Clone, Debug)]
pub struct ServerSettings<'a> {
    pub identity: &'a Identity,
    pub client: ClientAuth,
    /// Offered protocols, most wanted first; empty: none.
    pub alpn: &'a [Box<str>],
}

/// Ends TLS on accepted connections.
#[derive(Clone, Debug)]
pub struct Acceptor {
    /// Used when the client offers one of our protocols, or offers none.
    with_alpn: Arc<ServerConfig>,
    /// Used when the client offers only protocols that we do not know: the connection goes on without one, as Envoy does.
    without_alpn: Arc<ServerConfig>,
}

impl Acceptor {
    /// Sessions are not resumed: mesh connections are long, and a resumed one would outlive a change of trust.
    pub fn new(settings: &ServerSettings<'_>) -> Result<Self, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let builder = match &settings.client {
            ClientAuth::None => builder.with_no_client_auth(),
            ClientAuth::Optional(roots) => builder.with_client_cert_verifier(verifier(roots, Asked::Optionally)?),
            ClientAuth::Required(roots) => builder.with_client_cert_verifier(verifier(roots, Asked::Always)?),
        };
        let mut config = builder.with_cert_resolver(Arc::new(OneCertificate(settings.identity.key.clone())));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        let without_alpn = Arc::new(config.clone());
        config.alpn_protocols = settings.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Self { with_alpn: Arc::new(config), without_alpn })
    }

    /// The handshake.
    pub async fn accept(&self, stream: Replay) -> std::io::Result<TlsStream<Replay>> {
        let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
        let ours = &self.with_alpn.alpn_protocols;
        let known = match start.client_hello().alpn() {
            Some(mut offered) => offered.any(|name| ours.iter().any(|own| own == name)),
            None => true,
        };
        start.into_stream(if known { self.with_alpn.clone() } else { self.without_alpn.clone() }).await
    }
}

/// Shows one certificate whatever the client asks for.
#[derive(Debug)]
struct OneCertificate(Arc<CertifiedKey>);

impl ResolvesServerCert for OneCertificate {
    fn resolve(&self, _hello: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

#[derive(Clone, Copy)]
enum Asked {
    Optionally,
    Always,
}

fn verifier(roots: &Roots, asked: Asked) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let builder = WebPkiClientVerifier::builder_with_provider(roots.0.clone(), provider());
    let chain = match asked {
        Asked::Optionally => builder.allow_unauthenticated().build()?,
        Asked::Always => builder.build()?,
    };
    Ok(Arc::new(OneName { chain }))
}

/// Verifies the chain, and that the certificate has at most one URI name: two would let it stand for two workloads.
#[derive(Debug)]
struct OneName {
    chain: Arc<dyn ClientCertVerifier>,
}

impl ClientCertVerifier for OneName {
    fn offer_client_auth(&self) -> bool {
        self.chain.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    /// No hints: they would tell every client which roots are trusted, and cost bytes.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.chain.verify_client_cert(leaf, intermediates, now)?;
        let names =
            webpki::EndEntityCert::try_from(leaf).map_or(0, |certificate| certificate.valid_uri_names().count());
        if names > 1 {
            return Err(rustls::CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
