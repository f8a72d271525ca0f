//! From an accepted socket to what serves it: original destination, detection, filter chain, TLS, HTTP or TCP.
//!
//! Does not look into requests; that begins in `request`.

use std::cell::RefCell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use hyper::service::service_fn;
use orrery_core::chain::{FirstBytes, chain_for};
use orrery_core::listener::{
    Codec, Direction, FilterChain, HttpConnectionManager, Listener, NetworkFilter, OriginalDst,
};
use orrery_emit::series::{HttpSeries, MessageSeries};
use orrery_net::activity::Activity;
use orrery_net::addr::Addresses;
use orrery_net::detect::{Found, Wanted, detect};
use orrery_net::http::{ServerLimits, serve_http1, serve_http2};
use orrery_net::listener::{Redirected, addresses};
use orrery_net::stream::{Replay, Stream};
use orrery_net::tls::{PeerIdentity, peer_identity};
use tokio::net::TcpStream;

use crate::peer::Peer;
use crate::series::SeriesCache;
use crate::tcp;
use crate::worker::{Patience, View, Worker};
use crate::{request, secrets};

/// A TLS handshake must be over within this.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a plain connection without an inspector may keep us waiting to say which HTTP version it speaks.
const CODEC_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a connection was closed before anything was served on it.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("no filter chain takes this connection; a client without mesh TLS is refused where it is required")]
    NoChain,
    #[error("TLS cannot be ended here: {0}")]
    Secret(#[from] secrets::SecretError),
    #[error("the TLS handshake failed: {0}")]
    Handshake(std::io::Error),
    #[error("the TLS handshake took longer than {HANDSHAKE_TIMEOUT:?}")]
    HandshakeTimeout,
    #[error("too many TLS handshakes are under way")]
    TooManyHandshakes,
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
}

/// What is known of a connection once it is accepted.
#[derive(Debug)]
pub(crate) struct Downstream {
    pub(crate) listener: Arc<Listener>,
    pub(crate) addresses: Addresses,
    pub(crate) tls: Option<DownstreamTlsFacts>,
    pub(crate) server_name: Option<Box<str>>,
}

/// What a TLS handshake told.
#[derive(Debug)]
pub(crate) struct DownstreamTlsFacts {
    /// The client's SPIFFE name.
    pub(crate) peer: Option<Arc<str>>,
    /// Ours.
    pub(crate) own: Option<Arc<str>>,
    pub(crate) alpn: Option<Vec<u8>>,
}

/// Which HTTP a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HttpVersion {
    Http1,
    Http2,
}

/// An HTTP connection while it is served.
pub(crate) struct Connection {
    pub(crate) worker: Rc<Worker>,
    pub(crate) downstream: Downstream,
    pub(crate) manager: Arc<HttpConnectionManager>,
    pub(crate) version: HttpVersion,
    pub(crate) activity: Arc<Activity>,
    pub(crate) series: SeriesCache<HttpSeries>,
    /// Of gRPC messages.
    pub(crate) messages: SeriesCache<MessageSeries>,
    /// The `server` header of answers.
    pub(crate) server: Option<HeaderValue>,
    /// The peer's metadata as it came last, and what it means.
    peer: RefCell<Option<(HeaderValue, Rc<Peer>)>>,
}

impl Connection {
    /// The peer that sent this metadata; on one connection it is nearly always the same.
    pub(crate) fn peer(&self, value: &HeaderValue) -> Option<Rc<Peer>> {
        if let Some((known, peer)) = &*self.peer.borrow()
            && known == value
        {
            return Some(peer.clone());
        }
        let peer = self.worker.peers.find(value)?;
        let own = HeaderValue::from_bytes(value.as_bytes()).ok()?;
        *self.peer.borrow_mut() = Some((own, peer.clone()));
        Some(peer)
    }

    /// Which side of the workload this connection is on.
    pub(crate) fn direction(&self) -> Direction {
        self.downstream.listener.direction
    }
}

/// Serves an accepted connection to its end.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    view: Rc<View>,
    listener: Arc<Listener>,
    tcp: TcpStream,
    peer: SocketAddr,
) {
    let name = listener.name.clone();
    if let Err(refused) = serve_or_refuse(worker, view, listener, tcp, peer).await {
        tracing::debug!(listener = %name, %peer, reason = %refused, "connection closed");
    }
}

async fn serve_or_refuse(
    worker: Rc<Worker>,
    view: Rc<View>,
    listener: Arc<Listener>,
    tcp: TcpStream,
    peer: SocketAddr,
) -> Result<(), Refused> {
    let redirected = match listener.original_dst {
        OriginalDst::Restored | OriginalDst::HandedOver => Redirected::Maybe,
        OriginalDst::Ignored => Redirected::No,
    };
    let addresses = addresses(&tcp, peer, redirected)?;
    let listener = match listener.original_dst {
        OriginalDst::HandedOver => view.listener_for(addresses.original.0).unwrap_or(&listener).clone(),
        OriginalDst::Restored | OriginalDst::Ignored => listener,
    };
    let inspection = listener.inspection;
    let wanted = Wanted { tls: inspection.tls, http: inspection.http };
    let Some((found, stream)) = detect(tcp, wanted, inspection.timeout).await? else { return Ok(()) };
    let chain = choose_chain(&listener, &addresses, &found).ok_or(Refused::NoChain)?;
    let server_name = match &found {
        Found::Tls(hello) => hello.server_name.clone(),
        Found::Http1 | Found::Http2 | Found::Opaque => None,
    };
    let (stream, tls) = match &chain.tls {
        None => (Stream::Plain(stream), None),
        Some(_) => {
            let (stream, facts) = Box::pin(end_tls(&worker, &view, &chain, stream)).await?;
            (stream, Some(facts))
        }
    };
    let downstream = Downstream { listener, addresses, tls, server_name };
    match &chain.filter {
        NetworkFilter::Http(manager) => serve_http(worker, downstream, manager.clone(), found, stream).await,
        NetworkFilter::Tcp(proxy) => {
            Box::pin(tcp::proxy(worker, view, downstream, proxy.clone(), stream)).await;
            Ok(())
        }
    }
}

fn choose_chain(listener: &Listener, addresses: &Addresses, found: &Found) -> Option<Arc<FilterChain>> {
    let first = match found {
        Found::Tls(hello) => FirstBytes::Tls { server_name: hello.server_name.as_deref(), alpn: &hello.alpn },
        Found::Http1 => FirstBytes::Http1,
        Found::Http2 => FirstBytes::Http2,
        Found::Opaque => FirstBytes::Opaque,
    };
    chain_for(listener, addresses.original.0, first).cloned()
}

async fn end_tls(
    worker: &Worker,
    view: &View,
    chain: &Arc<FilterChain>,
    stream: Replay,
) -> Result<(Stream, DownstreamTlsFacts), Refused> {
    let Some(settings) = &chain.tls else { return Err(Refused::NoChain) };
    let ending = worker.tls.acceptor(&view.snapshot, chain, settings)?;
    let _counted = ending.handshakes.begin().ok_or(Refused::TooManyHandshakes)?;
    let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, ending.acceptor.accept(stream));
    let stream = handshake.await.map_err(|_late| Refused::HandshakeTimeout)?.map_err(Refused::Handshake)?;
    let session = stream.get_ref().1;
    let peer = match peer_identity(session.peer_certificates()) {
        Some(PeerIdentity::Spiffe(name)) => Some(name),
        Some(PeerIdentity::Unnamed) | None => None,
    };
    let facts = DownstreamTlsFacts { peer, own: ending.own, alpn: session.alpn_protocol().map(<[u8]>::to_vec) };
    Ok((Stream::Accepted(Box::new(stream)), facts))
}

async fn serve_http(
    worker: Rc<Worker>,
    downstream: Downstream,
    manager: Arc<HttpConnectionManager>,
    found: Found,
    stream: Stream,
) -> Result<(), Refused> {
    let Some((version, stream)) = choose_codec(&downstream, &manager, found, stream).await? else { return Ok(()) };
    let activity = Activity::new();
    let patience = Patience { idle: manager.idle_timeout, head: manager.request_headers_timeout };
    let _listed = worker.list(&activity, &downstream.listener, patience);
    let limits = ServerLimits {
        max_head: manager.max_request_headers_kb as usize * 1024,
        max_streams: manager.max_concurrent_streams,
    };
    let server = manager.server_name.as_deref().and_then(|name| HeaderValue::from_str(name).ok());
    let connection = Rc::new(Connection {
        server,
        worker,
        downstream,
        manager,
        version,
        activity: activity.clone(),
        series: SeriesCache::default(),
        messages: SeriesCache::default(),
        peer: RefCell::default(),
    });
    let service = service_fn(move |request| {
        let connection = connection.clone();
        async move { Ok::<_, Infallible>(request::handle(connection, request).await) }
    });
    let served = match version {
        HttpVersion::Http1 => serve_http1(stream, activity, limits, service).await,
        HttpVersion::Http2 => Box::pin(serve_http2(stream, activity, limits, service)).await,
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a downstream connection ended");
    }
    Ok(())
}

/// Which HTTP is spoken: as configured, as ALPN says, as was detected, else as the first bytes say.
async fn choose_codec(
    downstream: &Downstream,
    manager: &HttpConnectionManager,
    found: Found,
    stream: Stream,
) -> std::io::Result<Option<(HttpVersion, Stream)>> {
    let alpn = downstream.tls.as_ref().map(|tls| tls.alpn.as_deref());
    match (manager.codec, alpn, found) {
        (Codec::Http1, _, _) => Ok(Some((HttpVersion::Http1, stream))),
        (Codec::Http2, _, _) => Ok(Some((HttpVersion::Http2, stream))),
        (Codec::Auto, Some(Some(b"h2")), _) => Ok(Some((HttpVersion::Http2, stream))),
        (Codec::Auto, Some(_), _) => Ok(Some((HttpVersion::Http1, stream))),
        (Codec::Auto, None, Found::Http1) => Ok(Some((HttpVersion::Http1, stream))),
        (Codec::Auto, None, Found::Http2) => Ok(Some((HttpVersion::Http2, stream))),
        (Codec::Auto, None, Found::Tls(_) | Found::Opaque) => match stream {
            Stream::Plain(replay) => {
                let wanted = Wanted { tls: false, http: true };
                let again = replay.detect(wanted, CODEC_TIMEOUT).await?;
                Ok(again.map(|(found, replay)| match found {
                    Found::Http2 => (HttpVersion::Http2, Stream::Plain(replay)),
                    Found::Http1 | Found::Opaque | Found::Tls(_) => (HttpVersion::Http1, Stream::Plain(replay)),
                }))
            }
            Stream::Accepted(_) | Stream::Connected(_) => Ok(Some((HttpVersion::Http1, stream))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, F>(_function: impl Fn(A) -> F) -> usize {
        size_of::<F>()
    }

    /// What each connection, and each request, holds while it waits: a reviewed number.
    #[test]
    fn futures_stay_small() {
        let serving = size_of_future(|(worker, view, listener, tcp, peer)| serve(worker, view, listener, tcp, peer));
        let handling = size_of_future(|(connection, request)| request::handle(connection, request));
        assert!(serving <= 2048, "a connection holds {serving} bytes");
        assert!(handling <= 3584, "a request holds {handling} bytes");
    }
}
