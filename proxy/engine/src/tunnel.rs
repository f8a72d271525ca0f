//! Connections that stop being HTTP: WebSocket upgrades and CONNECT.
//!
//! Nothing that the client sends after its head reaches the upstream before the upstream has agreed.

use std::rc::Rc;

use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use orrery_emit::flags::ResponseFlags;
use orrery_net::copy::{Broken, Progress, both_ways};
use orrery_net::stream::Stream;

use crate::attempt::{Call, Head, attempt, open as open_connection};
use crate::body::RequestBody;
use crate::connection::Connection;
use crate::exchange::{DownBody, Exchange, Lease, Limits};
use crate::headers;
use crate::live::{InFlight, Slot};
use crate::normalise::{Tunnel, strip_hops};
use crate::record::Record;
use crate::reject::Reject;
use crate::secrets::Wire;
use crate::send::pick;

/// An upstream that agreed, or the answer with which it did not.
pub(crate) enum Opened {
    WebSocket { client: OnUpgrade, upstream: OnUpgrade, headers: HeaderMap, guard: Guard },
    Connect { client: OnUpgrade, upstream: Box<Stream>, guard: Guard },
    Declined(Box<(Response<hyper::body::Incoming>, Exchange)>),
}

/// What counts a tunnel as a request in flight.
pub(crate) struct Guard {
    _in_flight: InFlight,
    _slot: Slot,
    /// What counts the connection under it.
    _connection: Counted,
}

/// An upgraded connection keeps what counted it; one of its own is counted here.
enum Counted {
    Leased { _lease: Lease },
    Own { _slot: Slot },
}

/// Asks the upstream.
pub(crate) async fn open(call: &Call<'_>, tunnel: Tunnel, parts: Parts, record: &mut Record) -> Result<Opened, Reject> {
    let mut request = Request::from_parts(parts, ());
    let client = hyper::upgrade::on(&mut request);
    let (parts, ()) = request.into_parts();
    let endpoint = pick(call, &[]).ok_or(Reject::NoEndpoint)?;
    record.set_endpoint(&endpoint);
    let slot = call.cluster.gauges.request(call.cluster.config.limits.max_requests).ok_or(Reject::Overflow)?;
    let in_flight = endpoint.begin();
    if tunnel == Tunnel::Connect {
        let own = call.cluster.gauges.connection(call.cluster.config.limits.max_connections).ok_or(Reject::Overflow)?;
        let guard = Guard { _in_flight: in_flight, _slot: slot, _connection: Counted::Own { _slot: own } };
        let from = &call.connection.downstream.addresses;
        let connected =
            open_connection(&call.connection.worker, call.view, call.cluster, &endpoint, Wire::Opaque, from);
        let connected = connected.await.map_err(|failure| failure.reject())?;
        record.set_facts(&Rc::new(connected.facts));
        return Ok(Opened::Connect { client, upstream: Box::new(connected.stream), guard });
    }
    let (mut head, body) = (Head::new(parts, false), RequestBody::absent());
    let attempting = attempt(call, &endpoint, &mut head, &body, 1, record);
    let (mut response, lease) = attempting.await.map_err(|failure| failure.reject())?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Opened::Declined(Box::new((response, Exchange { lease, in_flight, slot, request: body }))));
    }
    let upstream = hyper::upgrade::on(&mut response);
    let guard = Guard { _in_flight: in_flight, _slot: slot, _connection: Counted::Leased { _lease: lease } };
    Ok(Opened::WebSocket { client, upstream, headers: std::mem::take(response.headers_mut()), guard })
}

impl Opened {
    /// Answers the client and moves bytes until either side ends.
    pub(crate) fn start(self, connection: &Connection, mut record: Box<Record>) -> Response<DownBody> {
        match self {
            Self::Declined(declined) => {
                let (response, exchange) = *declined;
                let (mut head, incoming) = response.into_parts();
                strip_hops(&mut head.headers);
                headers::finish(&mut head.headers, connection, 0);
                record.answered_by_upstream(0);
                record.head(head.status, &head.headers);
                Response::from_parts(head, DownBody::upstream(incoming, Box::new(exchange), record, Limits::default()))
            }
            Self::WebSocket { client, upstream, headers, guard } => {
                record.answered_by_upstream(0);
                record.head(StatusCode::SWITCHING_PROTOCOLS, &headers);
                tokio::task::spawn_local(async move {
                    let _guard = guard;
                    if let (Ok(client), Ok(upstream)) = tokio::join!(client, upstream) {
                        let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
                        carry(&mut client, &mut upstream, record).await;
                    }
                });
                let mut response = Response::new(DownBody::empty());
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                *response.headers_mut() = headers;
                response
            }
            Self::Connect { client, mut upstream, guard } => {
                record.answered_by_upstream(0);
                record.head(StatusCode::OK, &HeaderMap::new());
                tokio::task::spawn_local(async move {
                    let _guard = guard;
                    if let Ok(client) = client.await {
                        carry(&mut TokioIo::new(client), &mut upstream, record).await;
                    }
                });
                Response::new(DownBody::empty())
            }
        }
    }
}

async fn carry<U>(client: &mut TokioIo<Upgraded>, upstream: &mut U, mut record: Box<Record>)
where
    U: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let progress = Progress::default();
    let copied = both_ways(client, upstream, &progress).await;
    record.carried(progress.back.get());
    match copied {
        Ok(()) => {}
        Err(Broken::First(_)) => record.broken(ResponseFlags::DC, "downstream_remote_disconnect"),
        Err(Broken::Second(_)) => {
            record.broken(ResponseFlags::UC, "upstream_reset_after_response_started{connection_termination}");
        }
    }
    record.finish();
}
