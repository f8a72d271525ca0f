//! Ending TLS on accepted connections.
//!
//! Does not choose which configuration a connection gets.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::verify_server_name;
use rustls::crypto::ring::Ticketer;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    NoServerSessionStorage, ParsedCertificate, ProducesTickets, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{
    CipherSuite, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme, SupportedProtocolVersion,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::client::has_name;
use super::{Identity, Roots, SubjectName, TlsError, provider};
use crate::stream::Replay;

/// What is asked of clients.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    None,
    Optional(Clients),
    Required(Clients),
    /// Asked, and nothing is made of what comes.
    Untrusted,
}

/// Which clients are known.
#[derive(Clone, Debug)]
pub struct Clients {
    pub roots: Roots,
    /// The certificate must have one of these names; empty: any.
    pub names: Vec<SubjectName>,
}

/// Which versions of TLS are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    Both,
    Only12,
    Only13,
}

/// Settings of a server side.
#[derive(Clone, Debug)]
pub struct ServerSettings<'a> {
    /// At least one. The first is shown that has the server name asked for, among those that the client can verify.
    pub identities: &'a [Identity],
    pub client: ClientAuth,
    /// Offered protocols, most wanted first; empty: none.
    pub alpn: &'a [Box<str>],
    pub versions: Versions,
    /// Cipher suites of TLS 1.2; empty: all that there are.
    pub cipher_suites: &'a [CipherSuite],
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
    /// Sessions are resumed only where clients show no certificate: mesh connections are long, and a resumed session
    /// would outlive a change of trust.
    pub fn new(settings: &ServerSettings<'_>) -> Result<Self, TlsError> {
        let builder = ServerConfig::builder_with_provider(with_suites(settings.cipher_suites))
            .with_protocol_versions(&versions(settings.versions))?;
        let builder = match &settings.client {
            ClientAuth::None => builder.with_no_client_auth(),
            ClientAuth::Optional(clients) => builder.with_client_cert_verifier(verifier(clients, Asked::Optionally)?),
            ClientAuth::Required(clients) => builder.with_client_cert_verifier(verifier(clients, Asked::Always)?),
            ClientAuth::Untrusted => builder.with_client_cert_verifier(Arc::new(Anybody)),
        };
        let resolver = Certificates(settings.identities.iter().map(|identity| identity.key.clone()).collect());
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        match (&settings.client, tickets()) {
            (ClientAuth::None, Some(tickets)) => {
                config.ticketer = tickets;
                config.send_tls13_tickets = 1;
            }
            (ClientAuth::None | ClientAuth::Optional(_) | ClientAuth::Required(_) | ClientAuth::Untrusted, _) => {
                config.send_tls13_tickets = 0;
            }
        }
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

/// Keys for session tickets, which rotate by themselves; the same for all workers, so that a client may come back to
/// another one. Listeners that ask for client certificates never use them, so no ticket stands in for one.
fn tickets() -> Option<Arc<dyn ProducesTickets>> {
    static TICKETS: OnceLock<Option<Arc<dyn ProducesTickets>>> = OnceLock::new();
    TICKETS.get_or_init(|| Ticketer::new().ok()).clone()
}

fn versions(versions: Versions) -> Vec<&'static SupportedProtocolVersion> {
    match versions {
        Versions::Both => vec![&rustls::version::TLS13, &rustls::version::TLS12],
        Versions::Only12 => vec![&rustls::version::TLS12],
        Versions::Only13 => vec![&rustls::version::TLS13],
    }
}

/// The provider without the suites of TLS 1.2 that are not asked for.
fn with_suites(asked: &[CipherSuite]) -> Arc<CryptoProvider> {
    if asked.is_empty() {
        return provider();
    }
    let mut chosen = CryptoProvider::clone(&provider());
    chosen.cipher_suites.retain(|suite| suite.tls13().is_some() || asked.contains(&suite.suite()));
    Arc::new(chosen)
}

/// Shows the certificate that suits a client best.
#[derive(Debug)]
struct Certificates(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let [only] = self.0.as_slice() {
            return Some(only.clone());
        }
        let verifiable = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let named = |key: &&Arc<CertifiedKey>| name.as_ref().is_some_and(|name| is_for(key, name));
        let known = || self.0.iter().filter(verifiable);
        known().find(named).or_else(|| known().next()).or(self.0.first()).cloned()
    }
}

fn is_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let leaf = key.end_entity_cert().ok().and_then(|leaf| ParsedCertificate::try_from(leaf).ok());
    leaf.is_some_and(|leaf| verify_server_name(&leaf, name).is_ok())
}

/// Takes any certificate, and none: whoever shows one has still to have its key.
#[derive(Debug)]
struct Anybody;

impl ClientCertVerifier for Anybody {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

#[derive(Clone, Copy)]
enum Asked {
    Optionally,
    Always,
}

fn verifier(clients: &Clients, asked: Asked) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let builder = WebPkiClientVerifier::builder_with_provider(clients.roots.store.clone(), provider())
        .with_crls(clients.roots.revoked.iter().cloned())
        .allow_unknown_revocation_status();
    let chain = match asked {
        Asked::Optionally => builder.allow_unauthenticated().build()?,
        Asked::Always => builder.build()?,
    };
    Ok(Arc::new(OneName { chain, names: clients.names.clone() }))
}

/// Verifies the chain, that the certificate has at most one URI name (two would let it stand for two workloads), and one
/// of the names that are asked for.
#[derive(Debug)]
struct OneName {
    chain: Arc<dyn ClientCertVerifier>,
    names: Vec<SubjectName>,
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
        if !self.names.is_empty() && !has_name(leaf, &ParsedCertificate::try_from(leaf)?, &self.names) {
            return Err(rustls::CertificateError::NotValidForName.into());
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
