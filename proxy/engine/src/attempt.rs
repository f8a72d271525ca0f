//! One try: a ready connection to one endpoint, the request on it, the answer's head back.
//!
//! It does not choose the endpoint and does not try again, except on another pooled connection when the one it took
//! turns out to have been closed by the server before it took the request.

use std::rc::Rc;

use http::header::{HOST, HeaderName};
use http::request::Parts;
use http::{Method, Request, Response, Uri, Version};
use hyper::body::Incoming;
use orrery_core::cluster::{ProxyProtocol, TcpKeepalive, UpstreamProtocol};
use orrery_core::retry::TryOutcome;
use orrery_core::route::Forward;
use orrery_net::addr::Addresses;
use orrery_net::connect::{ConnectError, ConnectPlan, Connected, ConnectionFacts, KeepAlive, connect};
use orrery_net::http::{is_refused, open_http1, open_http2};
use orrery_net::pool::{Http1, Http2, Reserved};
use orrery_net::proxy_protocol;

use crate::body::{RequestBody, UpBody};
use crate::connection::{Connection, HttpVersion};
use crate::exchange::Lease;
use crate::live::{LiveCluster, LiveEndpoint, Slot};
use crate::record::Record;
use crate::reject::Reject;
use crate::secrets::{SecretError, Wire};
use crate::worker::{View, Worker};
use crate::{headers, peer};

/// An HTTP/1 connection that counts towards its cluster's limit.
type Pooled = Http1<UpBody, Slot>;

/// A request on its way to a cluster.
pub(crate) struct Call<'a> {
    pub(crate) connection: &'a Rc<Connection>,
    pub(crate) view: &'a Rc<View>,
    pub(crate) cluster: &'a Rc<LiveCluster>,
    pub(crate) forward: &'a Forward,
    /// Tell the upstream which try this is.
    pub(crate) count_attempts: bool,
    /// Key for consistent hashing.
    pub(crate) hash: Option<u64>,
}

/// The head that is sent; kept after sending if it may be needed again.
pub(crate) struct Head {
    parts: Option<Parts>,
    keep: bool,
}

/// Why a try brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TryFailure {
    NoEndpoint,
    Overflow,
    Connect,
    ConnectTimeout,
    Tls,
    Reset {
        sent: bool,
    },
    Refused,
    /// The answer was not HTTP.
    Protocol,
    PerTryTimeout,
    /// The client's fault: its body is malformed or broke off.
    RequestBody,
}

impl TryFailure {
    /// As retrying looks at it; `None`: trying again would not help.
    pub(crate) fn outcome(self) -> Option<TryOutcome> {
        match self {
            Self::NoEndpoint | Self::Overflow | Self::RequestBody => None,
            Self::Connect | Self::ConnectTimeout | Self::Tls => Some(TryOutcome::ConnectFailure),
            Self::Reset { sent } => Some(TryOutcome::Reset { request_sent: sent }),
            Self::Protocol => Some(TryOutcome::Reset { request_sent: true }),
            Self::Refused => Some(TryOutcome::RefusedStream),
            Self::PerTryTimeout => Some(TryOutcome::PerTryTimeout),
        }
    }

    pub(crate) fn reject(self) -> Reject {
        match self {
            Self::NoEndpoint => Reject::NoEndpoint,
            Self::Overflow => Reject::Overflow,
            Self::Connect => Reject::ConnectFailed,
            Self::ConnectTimeout => Reject::ConnectTimeout,
            Self::Tls => Reject::TlsFailed,
            Self::Reset { .. } => Reject::UpstreamReset,
            Self::Refused => Reject::UpstreamRefused,
            Self::Protocol => Reject::UpstreamProtocol,
            Self::PerTryTimeout => Reject::PerTryTimeout,
            Self::RequestBody => Reject::RequestBroken,
        }
    }
}

impl From<ConnectError> for TryFailure {
    fn from(error: ConnectError) -> Self {
        tracing::debug!(%error, "cannot reach an upstream");
        match error {
            ConnectError::Timeout { .. } => Self::ConnectTimeout,
            ConnectError::Tcp { .. } => Self::Connect,
            ConnectError::Tls { .. } => Self::Tls,
        }
    }
}

impl From<SecretError> for TryFailure {
    fn from(error: SecretError) -> Self {
        tracing::warn!(%error, "cannot speak TLS with an upstream");
        Self::Tls
    }
}

impl Head {
    pub(crate) fn new(parts: Parts, keep: bool) -> Self {
        Self { parts: Some(parts), keep }
    }

    /// Whether another try is possible.
    pub(crate) fn is_there(&self) -> bool {
        self.parts.is_some()
    }

    /// The host that is asked for.
    pub(crate) fn host(&self) -> Option<&str> {
        self.parts.as_ref()?.headers.get(HOST)?.to_str().ok()
    }

    fn take(&mut self, keep_too: bool) -> Option<Parts> {
        if self.keep || keep_too { self.parts.clone() } else { self.parts.take() }
    }

    /// Whether sending it twice does no harm (RFC 9110 section 9.2.2).
    fn is_idempotent(&self) -> bool {
        self.parts.as_ref().is_some_and(|parts| parts.method.is_idempotent())
    }
}

/// What will be spoken to the cluster's endpoints.
pub(crate) fn wire(call: &Call<'_>) -> Wire {
    match (call.cluster.config.protocol, call.connection.version) {
        (UpstreamProtocol::Http1, _) | (UpstreamProtocol::SameAsDownstream, HttpVersion::Http1) => Wire::Http1,
        (UpstreamProtocol::Http2, _) | (UpstreamProtocol::SameAsDownstream, HttpVersion::Http2) => Wire::Http2,
    }
}

/// Connects to an endpoint; its name is resolved first if it has one.
pub(crate) async fn open(
    worker: &Worker,
    view: &View,
    cluster: &LiveCluster,
    endpoint: &LiveEndpoint,
    wire: Wire,
    client: &Addresses,
) -> Result<Connected, TryFailure> {
    let mut address = endpoint.config.address;
    if let Some(host) = &endpoint.config.host {
        let resolving =
            tokio::time::timeout(cluster.config.connect_timeout, tokio::net::lookup_host((&**host, address.port())));
        let mut found =
            resolving.await.map_err(|_late| TryFailure::ConnectTimeout)?.map_err(|_error| TryFailure::Connect)?;
        address = found.next().ok_or(TryFailure::Connect)?;
    }
    let tls = endpoint.tls.as_ref().map(|tls| worker.tls.connector(&view.snapshot, tls, wire)).transpose()?;
    let preamble = endpoint.proxy_protocol.map(|version| {
        let (from, to) = (client.peer.0, client.original.0);
        match version {
            ProxyProtocol::V1 => proxy_protocol::version1(from, to),
            ProxyProtocol::V2 => proxy_protocol::version2(from, to),
        }
    });
    let plan = ConnectPlan {
        address,
        source: cluster.config.source,
        limit: cluster.config.connect_timeout,
        tls: tls.as_ref().map(|built| &*built.value),
        keep_alive: cluster.config.tcp_keepalive.map(keep_alive),
        preamble: preamble.as_deref(),
    };
    let mut connected = connect(&plan).await?;
    connected.facts.own = tls.and_then(|built| built.own);
    Ok(connected)
}

fn keep_alive(settings: TcpKeepalive) -> KeepAlive {
    KeepAlive { time: settings.time, interval: settings.interval, probes: settings.probes }
}

/// Sends a request to an endpoint and waits for the head of the answer.
pub(crate) async fn attempt(
    call: &Call<'_>,
    endpoint: &Rc<LiveEndpoint>,
    head: &mut Head,
    body: &RequestBody,
    number: u32,
    record: &mut Record,
) -> Result<(Response<Incoming>, Lease), TryFailure> {
    match wire(call) {
        Wire::Http1 | Wire::Opaque => over_http1(call, endpoint, head, body, number, record).await,
        Wire::Http2 => Box::pin(over_http2(call, endpoint, head, body, number, record)).await,
    }
}

async fn over_http1(
    call: &Call<'_>,
    endpoint: &Rc<LiveEndpoint>,
    head: &mut Head,
    body: &RequestBody,
    number: u32,
    record: &mut Record,
) -> Result<(Response<Incoming>, Lease), TryFailure> {
    loop {
        let pooled = endpoint.shares_connections().then(|| endpoint.state().pool.take_http1()).flatten();
        let mut connection = match pooled {
            Some(connection) => connection,
            // Boxed: a handshake's state is large, and almost every request finds a connection.
            None => Box::pin(http1_with_patience(call, endpoint)).await?,
        };
        let reused = connection.served() > 0;
        if !connection.sender.is_ready() && connection.sender.ready().await.is_err() {
            if reused {
                continue;
            }
            return Err(TryFailure::Reset { sent: false });
        }
        connection.serve();
        record.set_facts(&connection.facts);
        let again_is_safe = reused && body.is_empty() && head.is_idempotent();
        let Some(mut parts) = head.take(again_is_safe) else { return Err(TryFailure::Reset { sent: true }) };
        parts.version = Version::HTTP_11;
        address(call, endpoint, &mut parts, number);
        match connection.sender.try_send_request(Request::from_parts(parts, body.reader())).await {
            Ok(response) => return Ok((response, Lease::Http1(connection))),
            Err(mut error) => {
                if body.has_failed() {
                    return Err(TryFailure::RequestBody);
                }
                if error.error().is_parse() {
                    return Err(TryFailure::Protocol);
                }
                let unsent = error.take_message();
                let sent = unsent.is_none();
                if let Some(request) = unsent {
                    head.parts = Some(request.into_parts().0);
                }
                // The server closed an idle connection just when we took it: that is not the request's failure.
                if reused && (!sent || again_is_safe) {
                    continue;
                }
                return Err(TryFailure::Reset { sent });
            }
        }
    }
}

/// A new connection, or the next that is free when there may be no more. Requests that wait are counted.
async fn http1_with_patience(call: &Call<'_>, endpoint: &Rc<LiveEndpoint>) -> Result<Pooled, TryFailure> {
    let _pending = pending(call)?;
    let pool = &endpoint.state().pool;
    loop {
        if let Some(reserved) = room(call, endpoint) {
            let client = &call.connection.downstream.addresses;
            let connected =
                open(&call.connection.worker, call.view, call.cluster, endpoint, Wire::Http1, client).await?;
            let sender = open_http1(connected.stream).await.map_err(|_error| TryFailure::Reset { sent: false })?;
            return Ok(Pooled::new(sender, connected.facts, reserved));
        }
        pool.freed().await;
        if let Some(connection) = pool.take_http1() {
            return Ok(connection);
        }
    }
}

fn pending(call: &Call<'_>) -> Result<Slot, TryFailure> {
    call.cluster.gauges.pending(call.cluster.config.limits.max_pending_requests).ok_or(TryFailure::Overflow)
}

/// Room for another connection. As in Envoy an endpoint may have one from each worker whatever the limit says: else
/// the idle connections of one worker would starve the others.
fn room(call: &Call<'_>, endpoint: &LiveEndpoint) -> Option<Box<Reserved<Slot>>> {
    let (gauges, pool) = (&call.cluster.gauges, &endpoint.state().pool);
    let within = gauges.connection(call.cluster.config.limits.max_connections);
    let slot = within.or_else(|| gauges.connection(u32::MAX).filter(|_| pool.open() == 0))?;
    Some(pool.reserve(slot))
}

/// As [`http1_with_patience`], for a stream of a connection.
async fn http2_with_patience(call: &Call<'_>, endpoint: &Rc<LiveEndpoint>) -> Result<Http2<UpBody>, TryFailure> {
    let _pending = pending(call)?;
    let pool = &endpoint.state().pool;
    loop {
        if let Some(reserved) = room(call, endpoint) {
            let opening = || async {
                let client = &call.connection.downstream.addresses;
                let connected =
                    open(&call.connection.worker, call.view, call.cluster, endpoint, Wire::Http2, client).await?;
                let sender = open_http2(connected.stream).await.map_err(|_error| TryFailure::Reset { sent: false })?;
                Ok::<(_, ConnectionFacts, _), TryFailure>((sender, connected.facts, reserved))
            };
            return pool.http2(opening).await;
        }
        pool.freed().await;
        if let Some(shared) = pool.share() {
            return Ok(shared);
        }
    }
}

async fn over_http2(
    call: &Call<'_>,
    endpoint: &Rc<LiveEndpoint>,
    head: &mut Head,
    body: &RequestBody,
    number: u32,
    record: &mut Record,
) -> Result<(Response<Incoming>, Lease), TryFailure> {
    let mut shared = match endpoint.shares_connections().then(|| endpoint.state().pool.share()).flatten() {
        Some(shared) => shared,
        None => Box::pin(http2_with_patience(call, endpoint)).await?,
    };
    if shared.sender.ready().await.is_err() {
        return Err(TryFailure::Reset { sent: false });
    }
    record.set_facts(&shared.facts);
    let Some(mut parts) = head.take(false) else { return Err(TryFailure::Reset { sent: true }) };
    address(call, endpoint, &mut parts, number);
    into_http2(call, endpoint, &mut parts);
    match shared.sender.try_send_request(Request::from_parts(parts, body.reader())).await {
        Ok(response) => Ok((response, Lease::Http2(shared))),
        Err(_) if body.has_failed() => Err(TryFailure::RequestBody),
        Err(mut error) => {
            let refused = is_refused(error.error());
            let unsent = error.take_message();
            let sent = unsent.is_none();
            if let Some(request) = unsent {
                head.parts = Some(from_http2(request.into_parts().0));
            }
            if refused { Err(TryFailure::Refused) } else { Err(TryFailure::Reset { sent }) }
        }
    }
}

/// What this endpoint is told beside the request.
fn address(call: &Call<'_>, endpoint: &LiveEndpoint, parts: &mut Parts, number: u32) {
    if call.count_attempts {
        headers::set_attempt(&mut parts.headers, number);
    }
    if endpoint.is_mesh_peer() {
        call.connection.worker.shared.metadata.add(&mut parts.headers);
    } else {
        peer::take(&mut parts.headers);
    }
}

/// HTTP/2 has the authority in `:authority`, not in `host`.
fn into_http2(call: &Call<'_>, endpoint: &LiveEndpoint, parts: &mut Parts) {
    parts.version = Version::HTTP_2;
    let scheme = if endpoint.tls.is_some() { "https" } else { headers::scheme(call.connection) };
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    if let Some(host) = parts.headers.remove(HOST)
        && parts.method != Method::CONNECT
        && let Ok(uri) = Uri::builder().scheme(scheme).authority(host.as_bytes()).path_and_query(target).build()
    {
        parts.uri = uri;
    }
    for name in ["connection", "upgrade"] {
        parts.headers.remove(HeaderName::from_static(name));
    }
}

/// The head as it was before [`into_http2`].
fn from_http2(mut parts: Parts) -> Parts {
    if let Some(authority) = parts.uri.authority()
        && let Ok(host) = authority.as_str().parse()
    {
        parts.headers.insert(HOST, host);
    }
    if let Some(target) = parts.uri.path_and_query().cloned() {
        parts.uri = Uri::from(target);
    }
    parts
}
