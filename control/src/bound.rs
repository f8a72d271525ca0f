//! A control plane that is bound but not running yet, and how it runs.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use orrery_ca::{Authority, Limits as CaLimits, TokenKey, store};
use orrery_serve::{Hub, Limits};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::applied::Applied;
use crate::authenticate::AdminToken;
use crate::certificate::{Names, Rotating};
use crate::config::Config;
use crate::grpc::Grpc;
use crate::listen::{self, Security};
use crate::metrics::Metrics;
use crate::reconcile::{self, Handle, Reconciler};
use crate::status::Board;
use crate::{changes, configuration, debug};

/// How long open calls may take after shutdown began.
const DRAIN: Duration = Duration::from_secs(5);

/// A control plane with every listener bound.
pub struct Bound {
    config: Config,
    listeners: Listeners,
    authority: Arc<Authority>,
    tokens: Arc<TokenKey>,
    certificate: Arc<Rotating>,
    admin: Option<AdminToken>,
}

struct Listeners {
    xds: TcpListener,
    plaintext: Option<TcpListener>,
    debug: TcpListener,
}

/// Reads or makes the authority's material and binds every listener.
///
/// # Errors
/// An address that is taken, a state directory that cannot be used, or key material that does not fit.
pub async fn build(config: Config) -> anyhow::Result<Bound> {
    let now = SystemTime::now();
    let paths = store::Paths::in_directory(&config.state_dir);
    let root = store::load_or_create_root(&paths, &config.trust_domain, now)?;
    let tokens = Arc::new(store::load_or_create_token_key(&paths)?);
    let authority = Arc::new(Authority::new(root, config.trust_domain.clone(), CaLimits::default()));
    let admin = config.admin_token.as_deref().map(AdminToken::new).transpose()?;
    let addresses = &config.addresses;
    let listeners = Listeners {
        xds: listen::bind("xds", addresses.xds).await?,
        plaintext: match addresses.xds_plaintext {
            Some(address) => Some(listen::bind("xds-plaintext", address).await?),
            None => None,
        },
        debug: listen::bind("debug", addresses.debug).await?,
    };
    let names = server_names(&config, listeners.xds.local_addr()?.ip());
    let certificate = Arc::new(Rotating::new(Arc::clone(&authority), names, now)?);
    Ok(Bound { config, listeners, authority, tokens, certificate, admin })
}

fn server_names(config: &Config, bound: IpAddr) -> Names {
    let mut dns = vec!["istiod.istio-system.svc".to_owned(), "localhost".to_owned()];
    dns.extend(config.server_names.iter().cloned());
    let mut addresses = vec![IpAddr::from([127, 0, 0, 1])];
    if !bound.is_unspecified() && !addresses.contains(&bound) {
        addresses.push(bound);
    }
    Names { dns, addresses }
}

impl Bound {
    /// The addresses that were bound, by name.
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let plaintext = self.listeners.plaintext.as_ref();
        [("xds", Some(&self.listeners.xds)), ("xds-plaintext", plaintext), ("debug", Some(&self.listeners.debug))]
            .into_iter()
            .filter_map(|(name, listener)| Some((name, listener?.local_addr().ok()?)))
            .collect()
    }

    /// The mesh's root certificate in PEM, which clients of the xDS server verify it with.
    pub fn root_certificate(&self) -> &str {
        self.authority.root().pem()
    }

    /// A bootstrap token for a workload, valid for `life`.
    pub fn bootstrap_token(&self, namespace: &str, service_account: &str, life: Duration) -> String {
        let now = SystemTime::now();
        let claims = orrery_ca::Claims {
            namespace: namespace.to_owned(),
            service_account: service_account.to_owned(),
            expires: now + life,
        };
        self.tokens.issue(&claims, now)
    }

    /// Runs until `shutdown`; then tells every proxy to come back later, and ends.
    ///
    /// # Errors
    /// When the configuration directory cannot be watched, or a server breaks.
    pub async fn serve(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        // Whatever part ends first, all others end too.
        let stop = shutdown.child_token();
        let _guard = stop.clone().drop_guard();
        let metrics = Metrics::new();
        let board = Board::new(metrics.clone());
        let limits = Limits { streams: self.config.max_proxies, ..Limits::default() };
        let (hub, events) = Hub::new(limits, stop.clone());
        let changes = changes::watch(&self.config, stop.clone())?;
        let (handle, commands) = Handle::new();
        let applied = Applied::new(&self.config.config_dir);
        let reconciler = Reconciler::new(&self.config, hub.clone(), board.clone(), metrics.clone(), applied);
        let mut parts: JoinSet<anyhow::Result<()>> = JoinSet::new();
        parts.spawn(reconciler.run(reconcile::Inputs { events, changes, commands }, handle.ready_flag(), stop.clone()));
        parts.spawn(never_fails(Arc::clone(&self.certificate).rotate(), stop.clone()));
        let sources = debug::Sources {
            board,
            metrics: metrics.clone(),
            handle: handle.clone(),
            hub: hub.clone(),
            authority: Arc::clone(&self.authority),
            cluster_id: self.config.cluster_id.clone().into(),
            started: Instant::now(),
        };
        let http = debug::router(sources).merge(configuration::router(handle, metrics.clone(), self.admin));
        parts.spawn(serve_http(self.listeners.debug, http, stop.clone()));
        let limit = self.config.max_proxies.saturating_mul(2);
        let acceptor = TlsAcceptor::from(Arc::new(self.certificate.server_config()?));
        let tls = Security::Tls { acceptor, trust_domain: self.config.trust_domain.as_str().into() };
        let grpc = Grpc { hub, authority: self.authority, tokens: self.tokens, metrics };
        parts.spawn(grpc.serve(listen::incoming(self.listeners.xds, tls, limit, stop.clone()), stop.clone()));
        if let Some(listener) = self.listeners.plaintext {
            let incoming = listen::incoming(listener, Security::Plaintext, limit, stop.clone());
            parts.spawn(grpc.serve(incoming, stop.clone()));
        }
        drop(grpc);
        finish(parts, &shutdown, &stop).await
    }
}

/// Waits for the end of all parts; the first that fails, or that ends unasked, ends the others.
async fn finish(
    mut parts: JoinSet<anyhow::Result<()>>,
    shutdown: &CancellationToken,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut outcome = Ok(());
    tokio::select! {
        // Parts end when they are asked to: that is looked at first.
        biased;
        () = shutdown.cancelled() => {}
        first = parts.join_next() => outcome = match first {
            Some(Ok(Ok(()))) | None => Err(anyhow::anyhow!("a part of the control plane ended unasked")),
            Some(Ok(Err(error))) => Err(error),
            Some(Err(error)) => Err(error).context("a part of the control plane broke"),
        },
    }
    stop.cancel();
    if timeout(DRAIN, async { while parts.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!("some calls did not end within {DRAIN:?}; they are cut off");
    }
    outcome
}

async fn never_fails(work: impl Future<Output = ()>, stop: CancellationToken) -> anyhow::Result<()> {
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
    Ok(())
}

async fn serve_http(listener: TcpListener, router: axum::Router, stop: CancellationToken) -> anyhow::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await.context("debug server")
}

#[cfg(test)]
mod tests;
