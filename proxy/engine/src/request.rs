//! The pipeline of a request, phase by phase in this order: normalise, prepare, decide, hold back, send, finish.
//! Every exit before an upstream's answer is a `Reject`. What is decided is in `orrery_core::decide`.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use orrery_core::decide::{Action, Draws, Matched, OwnAnswer, Permission, Plan, decide};
use orrery_core::forward::hash_key;
use orrery_core::listener::{Direction, ForwardedFor};
use orrery_core::matching::RequestView;
use orrery_core::route::RouteTable;
use orrery_emit::flags::ResponseFlags;

use crate::attempt::Call;
use crate::body::{Keep, RequestBody};
use crate::connection::Connection;
use crate::exchange::{DownBody, Limits};
use crate::live::LiveCluster;
use crate::normalise::{Tunnel, normalise, strip_hops};
use crate::record::Record;
use crate::reject::Reject;
use crate::send::{Answer, send};
use crate::worker::View;
use crate::{headers, mirror, peer, trace, tunnel};

/// Serves one request.
pub(crate) async fn handle(connection: Rc<Connection>, request: Request<Incoming>) -> Response<DownBody> {
    let view = connection.worker.view();
    let (parts, incoming) = request.into_parts();
    let mut record = Record::open(&connection, &parts);
    let mut granted = None;
    let mut response = match run(&connection, &view, parts, incoming, &mut record, &mut granted).await {
        Ok(outcome) => outcome.finish(&connection, record),
        Err(reject) => refuse(&connection, reject, record),
    };
    if let Some(permission) = granted {
        permission.add(response.headers_mut());
    }
    response
}

/// What the pipeline ends in.
enum Outcome {
    Answer { answer: Answer, limits: Limits },
    Own { status: StatusCode, headers: HeaderMap, body: Bytes },
    Tunnel(Box<tunnel::Opened>),
}

async fn run(
    connection: &Rc<Connection>,
    view: &Rc<View>,
    mut parts: Parts,
    incoming: Incoming,
    record: &mut Record,
    granted: &mut Option<Permission>,
) -> Result<Outcome, Reject> {
    let manager = &connection.manager;
    let tunnel = normalise(&mut parts, manager).inspect_err(|_| record.describe(&parts, None))?;
    let exchanged = meet_peer(connection, &mut parts.headers, record);
    headers::prepare(&mut parts, manager, headers::client(connection), || connection.worker.random());
    let span = match &manager.tracing {
        Some(tracing) => trace::begin(&mut parts.headers, tracing, || connection.worker.chance()),
        None => None,
    };
    record.describe(&parts, span);
    let table = view.snapshot.routes_of(manager).ok_or(Reject::NoRoute)?;
    let then = match next(connection, view, table, &parts, record, granted)? {
        Next { delay: None, then } => then,
        // Boxed: hardly any request comes here, and every connection would have to hold room for the timer.
        Next { delay: Some(delay), then } => Box::pin(hold_back(delay, then, record)).await,
    };
    let (plan, cluster) = match then.destination(record)? {
        Ok(destination) => destination,
        Err(answered) => return Ok(*answered),
    };
    let forward = plan.forward;
    let hash = hash_of(connection, &plan, &parts);
    plan.rewrite(&mut parts).map_err(|_invalid| Reject::NoRoute)?;
    let count_attempts = plan.virtual_host.include_attempt_count;
    let call = Call { connection, view, cluster: &cluster, forward, count_attempts, hash };
    if tunnel != Tunnel::None {
        return Box::pin(tunnel::open(&call, tunnel, parts, record))
            .await
            .map(|opened| Outcome::Tunnel(Box::new(opened)));
    }
    let keep = if forward.retry.is_some() || !forward.mirrors.is_empty() { Keep::WhileSmall } else { Keep::No };
    let body = RequestBody::new(incoming, keep, record.is_grpc());
    record.set_body(&body);
    if !forward.mirrors.is_empty() {
        mirror::begin(&call, &parts, &body);
    }
    let mut answer = send(&call, parts, &body, record).await?;
    take_answer(connection, &plan, &mut answer, exchanged, record);
    let pause = forward.idle_timeout.or(manager.stream_idle_timeout);
    let limits = Limits { deadline: answer.deadline, pause };
    Ok(Outcome::Answer { answer, limits })
}

/// Whether the peer sent its metadata, so that it gets ours with the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exchanged {
    No,
    Yes,
}

/// Inbound: learns who calls and keeps that from the application.
fn meet_peer(connection: &Connection, headers: &mut HeaderMap, record: &mut Record) -> Exchanged {
    if connection.direction() == Direction::Outbound {
        return Exchanged::No;
    }
    let Some(metadata) = peer::take(headers) else { return Exchanged::No };
    if let Some(peer) = connection.peer(&metadata) {
        record.set_source(peer);
    }
    Exchanged::Yes
}

fn request_view<'a>(connection: &Connection, parts: &'a Parts) -> RequestView<'a> {
    RequestView {
        method: &parts.method,
        scheme: headers::scheme(connection),
        authority: parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default(),
        path: parts.uri.path(),
        query: parts.uri.query(),
        headers: &parts.headers,
    }
}

/// What is done for a request, and how long it is held back before.
struct Next<'a> {
    delay: Option<Duration>,
    then: Then<'a>,
}

type Destination<'a> = (Plan<'a>, Rc<LiveCluster>);

enum Then<'a> {
    Forward(Plan<'a>, Rc<LiveCluster>),
    Answer(Box<OwnAnswer<'a>>),
    Refuse(Reject),
}

impl<'a> Then<'a> {
    /// Where to send the request, or the answer that it has got already.
    fn destination(self, record: &mut Record) -> Result<Result<Destination<'a>, Box<Outcome>>, Reject> {
        match self {
            Self::Forward(plan, cluster) => Ok(Ok((plan, cluster))),
            Self::Answer(own) => {
                record.answered_directly();
                let body = own.body.cloned().unwrap_or_default();
                Ok(Err(Box::new(Outcome::Own { status: own.status, headers: own.headers, body })))
            }
            Self::Refuse(reject) => Err(reject),
        }
    }
}

async fn hold_back<'a>(delay: Duration, then: Then<'a>, record: &mut Record) -> Then<'a> {
    record.flag(ResponseFlags::DI);
    tokio::time::sleep(delay).await;
    then
}

/// Decides, and tells the record what the request was matched to.
fn next<'a>(
    connection: &Connection,
    view: &View,
    table: &'a RouteTable,
    parts: &Parts,
    record: &mut Record,
    granted: &mut Option<Permission>,
) -> Result<Next<'a>, Reject> {
    let (one, other) = (connection.worker.random(), connection.worker.random());
    let draws = Draws {
        route: one as u32,
        delay: (one >> 32) as u32,
        abort: other as u32,
        cluster: connection.worker.random(),
    };
    let Ok(decided) = decide(&connection.manager, table, &request_view(connection, parts), draws) else {
        if connection.manager.forwarded_for == ForwardedFor::Trust {
            record.set_host(&parts.headers);
        }
        return Err(Reject::NoRoute);
    };
    *granted = decided.permission;
    let Matched { route, destination, .. } = decided.matched;
    record.set_route(&route.name, route.operation.as_ref());
    let cluster = destination.and_then(|to| connection.worker.cluster(view, &to.name));
    if destination.is_some() && cluster.as_ref().is_none_or(|cluster| cluster.config.service.is_none()) {
        record.set_host(&parts.headers);
    }
    if let Some(cluster) = &cluster {
        record.set_cluster(cluster);
    }
    let then = match (decided.action, cluster) {
        (Action::Forward(plan), Some(cluster)) => Then::Forward(plan, cluster),
        (Action::Forward(plan), None) => Then::Refuse(Reject::NoCluster(plan.forward.cluster_not_found)),
        (Action::Answer(own), _) => Then::Answer(own),
        (Action::Abort(answer), _) => Then::Refuse(Reject::FaultAbort(answer)),
        (Action::NoDestination, _) => Then::Refuse(Reject::NoEndpoint),
        (Action::NoAction, _) => Then::Refuse(Reject::NoRoute),
    };
    Ok(Next { delay: decided.delay, then })
}

fn hash_of(connection: &Connection, plan: &Plan<'_>, parts: &Parts) -> Option<u64> {
    if plan.forward.hash.is_empty() {
        return None;
    }
    let client = connection.downstream.addresses.peer.ip().to_string();
    hash_key(&plan.forward.hash, &request_view(connection, parts), &client)
}

/// Makes an upstream's answer ours: hop-by-hop headers out, peer metadata learnt, configured changes applied.
fn take_answer(
    connection: &Connection,
    plan: &Plan<'_>,
    answer: &mut Answer,
    exchanged: Exchanged,
    record: &mut Record,
) {
    let headers = answer.response.headers_mut();
    strip_hops(headers);
    let told = peer::take(headers);
    let endpoint = answer.exchange.in_flight.endpoint();
    if let Some(told) = told.filter(|_| endpoint.is_mesh_peer())
        && let Some(peer) = connection.worker.peers.find(&told)
    {
        endpoint.state().learn_peer(peer);
    }
    plan.change_answer(headers);
    headers::finish(headers, connection, answer.service_ms);
    if exchanged == Exchanged::Yes {
        connection.worker.shared.metadata.add(headers);
    }
    record.answered_by_upstream(answer.service_ms);
}

impl Outcome {
    fn finish(self, connection: &Connection, mut record: Box<Record>) -> Response<DownBody> {
        match self {
            Self::Answer { answer, limits } => {
                let (head, incoming) = answer.response.into_parts();
                record.head(head.status, &head.headers);
                let mut response = Response::new(DownBody::upstream(incoming, answer.exchange, record, limits));
                *response.status_mut() = head.status;
                *response.headers_mut() = head.headers;
                response
            }
            Self::Own { status, mut headers, body } => {
                headers::set_server(&mut headers, connection);
                record.head(status, &headers);
                let mut response = Response::new(DownBody::whole(body, record));
                *response.status_mut() = status;
                *response.headers_mut() = headers;
                response
            }
            Self::Tunnel(opened) => opened.start(connection, record),
        }
    }
}

fn refuse(connection: &Connection, reject: Reject, mut record: Box<Record>) -> Response<DownBody> {
    record.rejected(reject);
    let (response, body) = reject.answer(record.is_grpc());
    let (mut head, ()) = response.into_parts();
    headers::set_server(&mut head.headers, connection);
    record.head(head.status, &head.headers);
    Response::from_parts(head, DownBody::whole(body, record))
}
