//! The gRPC service `istio.v1.auth.IstioCertificateService`: signs certificates for workloads.
//!
//! The identity in the certificate is the caller's, by token or by the certificate that it renews;
//! nothing in the request can change it.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use orrery_ca::{Authority, Error, Identity, SigningRequest, TokenKey};
use orrery_serve::Peer;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::authenticate;
use crate::metrics::{Family, Metrics};

/// The method that the service has.
const METHOD: &str = "/istio.v1.auth.IstioCertificateService/CreateCertificate";
/// Largest request in bytes.
const LARGEST: usize = 64 * 1024;

/// `istio.v1.auth.IstioCertificateRequest`; its metadata is not used here.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CertificateRequest {
    /// The signing request in PEM.
    #[prost(string, tag = "1")]
    pub csr: String,
    /// Wished life in seconds; 0 leaves it to the authority.
    #[prost(int64, tag = "3")]
    pub validity_duration: i64,
}

/// `istio.v1.auth.IstioCertificateResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CertificateResponse {
    /// PEM certificates, the workload's first and the root last.
    #[prost(string, repeated, tag = "1")]
    pub cert_chain: Vec<String>,
}

/// The service; cheap to clone.
#[derive(Clone)]
pub(crate) struct CertificateService {
    inner: Arc<Inner>,
}

struct Inner {
    authority: Arc<Authority>,
    tokens: Arc<TokenKey>,
    metrics: Metrics,
}

impl CertificateService {
    pub(crate) fn new(authority: Arc<Authority>, tokens: Arc<TokenKey>, metrics: Metrics) -> Self {
        Self { inner: Arc::new(Inner { authority, tokens, metrics }) }
    }
}

impl Inner {
    fn create(&self, request: &Request<CertificateRequest>) -> Result<CertificateResponse, Status> {
        self.metrics.add(Family::CsrCount, &[]);
        let caller = self.caller(request).inspect_err(|_| self.metrics.add(Family::AuthenticationFailures, &[]))?;
        let identity = Identity::new(self.authority.trust_domain(), &caller.0, &caller.1).map_err(|error| {
            self.metrics.add(Family::IdExtractionErrors, &[]);
            Status::invalid_argument(error.to_string())
        })?;
        let message = request.get_ref();
        let csr = SigningRequest::from_pem(&message.csr).map_err(|error| {
            self.metrics.add(Family::CsrParsingErrors, &[]);
            status_of(&error)
        })?;
        let wish = u64::try_from(message.validity_duration).ok().filter(|seconds| *seconds > 0);
        let issued = self.authority.issue(&csr, &identity, wish.map(Duration::from_secs), SystemTime::now()).map_err(
            |error| {
                self.metrics.add(Family::CsrSignErrors, &[("error", "CA_ERROR")]);
                status_of(&error)
            },
        )?;
        self.metrics.add(Family::Issued, &[]);
        tracing::info!(%identity, "certificate issued");
        Ok(CertificateResponse { cert_chain: issued.chain })
    }

    fn caller(&self, request: &Request<CertificateRequest>) -> Result<(String, String), Status> {
        match authenticate::peer(request.metadata(), request.extensions(), &self.tokens)? {
            Peer::Workload { namespace, service_account } => Ok((namespace, service_account)),
            Peer::Plaintext | Peer::Anonymous => Err(Status::unauthenticated(
                "a certificate needs a bearer token of the workload's service account, or a certificate to renew",
            )),
        }
    }
}

/// Whose fault it is, in gRPC's words.
fn status_of(error: &Error) -> Status {
    match error {
        Error::RequestTooLarge { .. }
        | Error::RequestSyntax(_)
        | Error::RequestSignature
        | Error::RequestKey(_)
        | Error::Identity(_) => Status::invalid_argument(error.to_string()),
        Error::File { .. } | Error::Material { .. } | Error::Root(_) | Error::Sign(_) | Error::Random => {
            tracing::error!(%error, "cannot issue a certificate");
            Status::internal("the authority cannot sign now; see the control plane's log")
        }
    }
}

impl NamedService for CertificateService {
    const NAME: &'static str = "istio.v1.auth.IstioCertificateService";
}

impl UnaryService<CertificateRequest> for CertificateService {
    type Response = CertificateResponse;
    type Future = Ready<Result<Response<CertificateResponse>, Status>>;

    fn call(&mut self, request: Request<CertificateRequest>) -> Self::Future {
        ready(self.inner.create(&request).map(Response::new))
    }
}

impl tonic::codegen::Service<http::Request<Body>> for CertificateService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            if request.uri().path() != METHOD {
                return Ok(Status::unimplemented(format!("only {METHOD} is served")).into_http());
            }
            let codec: ProstCodec<CertificateResponse, CertificateRequest> = ProstCodec::default();
            let mut grpc = Grpc::new(codec).max_decoding_message_size(LARGEST);
            Ok(grpc.unary(service, request).await)
        })
    }
}
