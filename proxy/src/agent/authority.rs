//! The mesh's certificate authority from a client's side: Istio's `CreateCertificate` over TLS.

use std::time::{Duration, SystemTime};

use http::uri::PathAndQuery;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tonic::client::Grpc;
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::key::key_and_request;
use super::{AgentError, Svid};
use crate::config::ControlPlane;

const METHOD: &str = "/istio.v1.auth.IstioCertificateService/CreateCertificate";
/// How long a certificate is asked for.
const LIFE: Duration = Duration::from_secs(24 * 3600);
const TIMEOUT: Duration = Duration::from_secs(5);
/// More certificates than that in an answer are refused.
const LONGEST_CHAIN: usize = 16;

/// `istio.v1.auth.IstioCertificateRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct CertificateRequest {
    #[prost(string, tag = "1")]
    csr: String,
    #[prost(int64, tag = "3")]
    validity_duration: i64,
}

/// `istio.v1.auth.IstioCertificateResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct CertificateResponse {
    /// Leaf first, root last.
    #[prost(string, repeated, tag = "1")]
    cert_chain: Vec<String>,
}

/// A certificate for a fresh key, proven by token, and by the certificate at hand if there is one.
pub(crate) async fn certificate(control: &ControlPlane, current: Option<&Svid>) -> Result<Svid, AgentError> {
    let (key, csr) = key_and_request()?;
    let channel = control_channel(control, current)?;
    let request = CertificateRequest { csr, validity_duration: i64::try_from(LIFE.as_secs()).unwrap_or(i64::MAX) };
    let mut request = Request::new(request);
    if let Some(path) = &control.token_file {
        let token = std::fs::read_to_string(path).map_err(|source| AgentError::File { path: path.clone(), source })?;
        let bearer = MetadataValue::try_from(format!("Bearer {}", token.trim()));
        request.metadata_mut().insert("authorization", bearer.map_err(|_invalid| AgentError::Token(path.clone()))?);
    }
    let answer = call(channel, request)
        .await
        .map_err(|status| AgentError::Refused { address: control.address.clone(), status })?;
    let [leaf, .., root] = answer.cert_chain.as_slice() else {
        return Err(AgentError::Answer(format!("{} certificates: leaf and root are needed", answer.cert_chain.len())));
    };
    if answer.cert_chain.len() > LONGEST_CHAIN {
        return Err(AgentError::Answer(format!("a chain of {} certificates", answer.cert_chain.len())));
    }
    let facts = facts(leaf)?;
    let chain = answer.cert_chain[..answer.cert_chain.len() - 1].concat();
    Ok(Svid {
        chain: chain.into(),
        key,
        roots: root.as_str().into(),
        spiffe_id: facts.spiffe_id,
        serial: facts.serial,
        not_before: facts.not_before,
        not_after: facts.not_after,
    })
}

async fn call(channel: Channel, request: Request<CertificateRequest>) -> Result<CertificateResponse, Status> {
    let mut client = Grpc::new(channel);
    client.ready().await.map_err(|error| Status::unavailable(error_chain(&error)))?;
    let codec = ProstCodec::<CertificateRequest, CertificateResponse>::default();
    client.unary(request, PathAndQuery::from_static(METHOD), codec).await.map(tonic::Response::into_inner)
}

/// A connection to the control plane that opens when it is used; with our certificate once we have one.
pub(crate) fn control_channel(control: &ControlPlane, svid: Option<&Svid>) -> Result<Channel, AgentError> {
    let path = &control.root_certificate;
    let roots = std::fs::read(path).map_err(|source| AgentError::File { path: path.clone(), source })?;
    let address = |source| AgentError::Address { address: control.address.clone(), source };
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(roots)).domain_name(&control.server_name);
    if let Some(svid) = svid {
        tls = tls.identity(Identity::from_pem(svid.chain.as_bytes(), svid.key.reveal()));
    }
    let endpoint = Endpoint::from_shared(format!("https://{}", control.address)).map_err(address)?;
    let endpoint = endpoint
        .connect_timeout(TIMEOUT)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true);
    Ok(endpoint.tls_config(tls).map_err(address)?.connect_lazy())
}

struct Facts {
    spiffe_id: String,
    serial: String,
    not_before: SystemTime,
    not_after: SystemTime,
}

fn facts(leaf: &str) -> Result<Facts, AgentError> {
    let answer = |what: String| AgentError::Answer(what);
    let der =
        CertificateDer::from_pem_slice(leaf.as_bytes()).map_err(|e| answer(format!("the leaf is no PEM: {e}")))?;
    let (_, certificate) =
        X509Certificate::from_der(&der).map_err(|e| answer(format!("the leaf is no certificate: {e}")))?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let spiffe_id = names.iter().flat_map(|names| &names.value.general_names).find_map(|name| match name {
        GeneralName::URI(uri) if uri.starts_with("spiffe://") => Some((*uri).to_owned()),
        _ => None,
    });
    let moment =
        |seconds: i64| SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    let validity = certificate.validity();
    Ok(Facts {
        spiffe_id: spiffe_id.ok_or_else(|| answer("the leaf names no SPIFFE identity".to_owned()))?,
        serial: certificate.tbs_certificate.raw_serial_as_string().replace(':', ""),
        not_before: moment(validity.not_before.timestamp()),
        not_after: moment(validity.not_after.timestamp()),
    })
}

/// tonic hides the cause of a failed connection behind "transport error".
fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
