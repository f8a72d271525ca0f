//! The gRPC server of both xDS ports: discovery and certificates, on whatever accepts connections.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use orrery_ca::{Authority, TokenKey};
use orrery_serve::{AdsServer, Hub};
use tokio_util::sync::CancellationToken;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::{Request, Status};

use crate::authenticate;
use crate::certificate_service::CertificateService;
use crate::listen::Incoming;
use crate::metrics::Metrics;

/// How often an idle xDS connection is probed.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// When an unanswered probe closes it.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// What both xDS servers, encrypted and not, are made from.
pub(crate) struct Grpc {
    pub(crate) hub: Hub,
    pub(crate) authority: Arc<Authority>,
    pub(crate) tokens: Arc<TokenKey>,
    pub(crate) metrics: Metrics,
}

impl Grpc {
    /// Serves until `stop`.
    pub(crate) fn serve(
        &self,
        incoming: Incoming,
        stop: CancellationToken,
    ) -> impl Future<Output = anyhow::Result<()>> + Send + 'static {
        let tokens = Arc::clone(&self.tokens);
        let ads = InterceptedService::new(AdsServer::new(&self.hub).into_service(), move |mut call: Request<()>| {
            let peer = authenticate::peer(call.metadata(), call.extensions(), &tokens)?;
            call.extensions_mut().insert(peer);
            Ok::<_, Status>(call)
        });
        let certificates =
            CertificateService::new(Arc::clone(&self.authority), Arc::clone(&self.tokens), self.metrics.clone());
        let server = Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .add_service(ads)
            .add_service(certificates);
        async move { server.serve_with_incoming_shutdown(incoming, stop.cancelled_owned()).await.context("xDS server") }
    }
}

#[cfg(test)]
mod tests;
