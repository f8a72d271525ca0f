//! Beginning TLS to a server whose identity is a SPIFFE name rather than a host name.
//!
//! Does not know clusters; who may answer is a list of names.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Identity, Roots, TlsError, provider};

/// A name that a server's certificate may carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectName {
    Uri(Box<str>),
    UriPrefix(Box<str>),
    Dns(Box<str>),
}

/// Settings of a client side.
#[derive(Clone, Debug)]
pub struct ClientSettings<'a> {
    pub identity: Option<&'a Identity>,
    /// `None`: the server's certificate is not checked at all.
    pub roots: Option<&'a Roots>,
    /// One of these must be in the server's certificate; empty: any certificate of the roots will do.
    pub names: &'a [SubjectName],
    /// Sent as SNI if it is a host name.
    pub sni: Option<&'a str>,
    /// Offered protocols, most wanted first.
    pub alpn: &'a [&'a str],
}

/// Begins TLS.
#[derive(Clone, Debug)]
pub struct Connector {
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
}

impl Connector {
    pub fn new(settings: &ClientSettings<'_>) -> Result<Self, TlsError> {
        if settings.roots.is_some_and(|roots| !roots.revoked.is_empty()) {
            return Err(TlsError::RevokedServers);
        }
        let algorithms = provider().signature_verification_algorithms;
        let trust = settings.roots.map(|roots| Trust { roots: roots.clone(), names: settings.names.to_vec() });
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier { trust, algorithms }));
        let mut config = match settings.identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(OneCertificate(identity.key.clone()))),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        config.alpn_protocols = settings.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = settings.sni.and_then(|sni| ServerName::try_from(sni.to_owned()).ok());
        Ok(Self { config: Arc::new(config), name })
    }

    /// The handshake. Without a configured server name none is sent.
    pub async fn connect(&self, stream: TcpStream, address: IpAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let name = self.name.clone().unwrap_or_else(|| ServerName::IpAddress(address.into()));
        TlsConnector::from(self.config.clone()).connect(name, stream).await
    }
}

#[derive(Debug)]
struct OneCertificate(Arc<CertifiedKey>);

impl ResolvesClientCert for OneCertificate {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct Trust {
    roots: Roots,
    names: Vec<SubjectName>,
}

#[derive(Debug)]
struct Verifier {
    trust: Option<Trust>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(trust) = &self.trust else { return Ok(ServerCertVerified::assertion()) };
        let parsed = ParsedCertificate::try_from(leaf)?;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &trust.roots.store,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        if trust.names.is_empty() || has_name(leaf, &parsed, &trust.names) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::NotValidForName.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

pub(super) fn has_name(leaf: &CertificateDer<'_>, parsed: &ParsedCertificate<'_>, names: &[SubjectName]) -> bool {
    let Ok(certificate) = webpki::EndEntityCert::try_from(leaf) else { return false };
    names.iter().any(|name| match name {
        SubjectName::Uri(wanted) => certificate.valid_uri_names().any(|uri| uri == &**wanted),
        SubjectName::UriPrefix(prefix) => certificate.valid_uri_names().any(|uri| uri.starts_with(&**prefix)),
        SubjectName::Dns(host) => {
            ServerName::try_from(&**host).is_ok_and(|host| verify_server_name(parsed, &host).is_ok())
        }
    })
}
