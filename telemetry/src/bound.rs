//! Binding every address first, then serving all of them until told to stop.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::config::Config;
use crate::error::BuildError;
use crate::intake;
use crate::shared::Shared;

/// How long requests may take to finish after the end was asked for.
const DRAIN: Duration = Duration::from_secs(3);

/// An aggregator that has its addresses and waits to serve.
#[derive(Debug)]
pub struct Bound {
    shared: Arc<Shared>,
    listeners: Vec<(&'static str, TcpListener)>,
}

/// Binds all addresses of the configuration.
pub async fn build(config: Config) -> Result<Bound, BuildError> {
    let listen = config.listen;
    let wanted = [
        ("otlp-grpc", listen.otlp_grpc),
        ("otlp-http", listen.otlp_http),
        ("query", listen.query),
        ("tracing", listen.tracing),
        ("ui", listen.ui),
    ];
    let mut listeners = Vec::new();
    for (name, address) in wanted {
        let bound = TcpListener::bind(address).await;
        listeners.push((name, bound.map_err(|source| BuildError::Listen { name, address, source })?));
    }
    Ok(Bound { shared: Shared::new(config), listeners })
}

impl Bound {
    /// Every address, by name: `otlp-grpc`, `otlp-http`, `query`, `tracing`, `ui`.
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let address = |(name, listener): &(&'static str, TcpListener)| Some((*name, listener.local_addr().ok()?));
        self.listeners.iter().filter_map(address).collect()
    }

    /// Serves until `shutdown`, then lets requests finish.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), BuildError> {
        let mut servers = JoinSet::new();
        servers.spawn({
            let sweep = self.shared.clone().sweep();
            async move {
                sweep.await;
                ("sweep", Ok(()))
            }
        });
        for (name, listener) in self.listeners {
            let stop = shutdown.clone().cancelled_owned();
            match name {
                "otlp-grpc" => {
                    let server = intake::grpc::server(&self.shared);
                    let incoming = TcpListenerStream::new(listener);
                    servers.spawn(async move {
                        (
                            name,
                            server
                                .serve_with_incoming_shutdown(incoming, stop)
                                .await
                                .map_err(|error| error.to_string()),
                        )
                    });
                }
                "otlp-http" => spawn_http(&mut servers, name, listener, intake::http::router(&self.shared), stop),
                "query" => spawn_http(&mut servers, name, listener, api::query(&self.shared), stop),
                "tracing" => spawn_http(&mut servers, name, listener, api::tracing(&self.shared), stop),
                _ => spawn_http(&mut servers, name, listener, api::ui(&self.shared), stop),
            }
        }
        let ended = tokio::select! {
            // Servers end by the same token: that it was cancelled is looked at first.
            biased;
            () = shutdown.cancelled() => None,
            ended = servers.join_next() => ended,
        };
        self.shared.closing.cancel();
        if let Some(ended) = ended {
            let (name, reason) = match ended {
                Ok((name, Ok(()))) => (name, "without a reason".to_owned()),
                Ok((name, Err(reason))) => (name, reason),
                Err(error) => ("unknown", error.to_string()),
            };
            return Err(BuildError::Ended { name, reason });
        }
        let drained = async { while servers.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::info!("telemetry: connections still open after {}s are closed", DRAIN.as_secs());
        }
        Ok(())
    }
}

fn spawn_http(
    servers: &mut JoinSet<(&'static str, Result<(), String>)>,
    name: &'static str,
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    servers.spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(stop).await;
        (name, served.map_err(|error| error.to_string()))
    });
}
