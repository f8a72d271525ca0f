//! The pipeline of a request, phase by phase in this order: normalise, prepare, route, CORS, fault, send, finish.
//! Every exit before an upstream's answer is a `Reject`.

use std::rc::Rc;

use bytes::Bytes;
use http::header::{HOST, HeaderName, LOCATION};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use orrery_core::forward::{apply, hash_key, location, pick_cluster, rewrite_path};
use orrery_core::listener::{Direction, ForwardedFor};
use orrery_core::matching::RequestView;
use orrery_core::route::{
    Forward, HeaderOp, HostRewrite, Redirect, Route, RouteAction, RouteTable, VirtualHost, WeightedCluster,
};
use orrery_core::select::select;

use crate::attempt::Call;
use crate::body::{Keep, RequestBody};
use crate::connection::Connection;
use crate::cors::{Cors, Permission};
use crate::exchange::{DownBody, Limits};
use crate::normalise::{Tunnel, normalise, strip_hops};
use crate::record::Record;
use crate::reject::Reject;
use crate::send::{Answer, send};
use crate::worker::View;
use crate::{cors, fault, headers, mirror, peer, trace, tunnel};

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

/// What applies to a request once it is routed.
pub(crate) struct Plan<'a> {
    pub(crate) table: &'a RouteTable,
    pub(crate) virtual_host: &'a VirtualHost,
    pub(crate) route: &'a Route,
    pub(crate) forward: &'a Forward,
    pub(crate) destination: &'a WeightedCluster,
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
    headers::prepare(&mut parts, connection);
    let span = match &manager.tracing {
        Some(tracing) => trace::begin(&mut parts.headers, tracing, || connection.worker.chance()),
        None => None,
    };
    record.describe(&parts, span);
    let table = view.snapshot.routes_of(manager).ok_or(Reject::NoRoute)?;
    let (virtual_host, route) = choose_route(connection, table, &parts, record)?;
    if let Cors::Answer(headers) = cors::apply(connection, route, &parts, granted) {
        // As in Envoy's order of filters, an injected fault hits preflights too.
        fault::apply(connection, route, record).await?;
        record.answered_directly();
        return Ok(Outcome::Own { status: StatusCode::OK, headers, body: Bytes::new() });
    }
    let forward = match &route.action {
        RouteAction::Forward(forward) => forward,
        RouteAction::Redirect(redirect) => return Ok(redirected(connection, redirect, route, &parts, record)),
        RouteAction::DirectResponse { status, body } => {
            record.answered_directly();
            return Ok(Outcome::Own { status: *status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body) });
        }
        RouteAction::None => return Err(Reject::NoRoute),
    };
    let destination = pick_cluster(&forward.clusters, connection.worker.random()).ok_or(Reject::NoEndpoint)?;
    let plan = Plan { table, virtual_host, route, forward, destination };
    let cluster = connection.worker.cluster(view, &destination.name).ok_or_else(|| {
        record.set_host(&parts.headers);
        Reject::NoCluster(forward.cluster_not_found)
    })?;
    if cluster.config.service.is_none() {
        record.set_host(&parts.headers);
    }
    record.set_cluster(&cluster);
    fault::apply(connection, route, record).await?;
    let hash = hash_of(connection, &plan, &parts);
    rewrite(&plan, &mut parts)?;
    let count_attempts = virtual_host.include_attempt_count;
    let call = Call { connection, view, cluster: &cluster, forward, count_attempts, hash };
    if tunnel != Tunnel::None {
        return Box::pin(tunnel::open(&call, tunnel, parts, record))
            .await
            .map(|opened| Outcome::Tunnel(Box::new(opened)));
    }
    let keep = if forward.retry.is_some() || !forward.mirrors.is_empty() { Keep::WhileSmall } else { Keep::No };
    let body = RequestBody::new(incoming, keep);
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

fn choose_route<'a>(
    connection: &Connection,
    table: &'a RouteTable,
    parts: &Parts,
    record: &mut Record,
) -> Result<(&'a VirtualHost, &'a Route), Reject> {
    let random = connection.worker.random() as u32;
    match select(table, &request_view(connection, parts), random) {
        Ok(selected) => {
            record.set_route(&selected.route.name, selected.route.operation.as_ref());
            Ok((selected.virtual_host, selected.route))
        }
        Err(_nothing) => {
            if connection.manager.forwarded_for == ForwardedFor::Trust {
                record.set_host(&parts.headers);
            }
            Err(Reject::NoRoute)
        }
    }
}

fn redirected(
    connection: &Connection,
    redirect: &Redirect,
    route: &Route,
    parts: &Parts,
    record: &mut Record,
) -> Outcome {
    record.answered_directly();
    let to = location(redirect, &route.matches.path, &request_view(connection, parts));
    let mut headers = HeaderMap::new();
    if let Ok(to) = HeaderValue::from_str(&to) {
        headers.insert(LOCATION, to);
    }
    Outcome::Own { status: redirect.status, headers, body: Bytes::new() }
}

fn hash_of(connection: &Connection, plan: &Plan<'_>, parts: &Parts) -> Option<u64> {
    if plan.forward.hash.is_empty() {
        return None;
    }
    let client = connection.downstream.addresses.peer.ip().to_string();
    hash_key(&plan.forward.hash, &request_view(connection, parts), &client)
}

/// Header changes from the most specific level to the least, then host and path.
fn rewrite(plan: &Plan<'_>, parts: &mut Parts) -> Result<(), Reject> {
    const AUTHORITY: HeaderName = HeaderName::from_static("host");
    let levels =
        [&plan.destination.header_ops, &plan.route.header_ops, &plan.virtual_host.header_ops, &plan.table.header_ops];
    for level in levels {
        apply_request(&level.request, &mut parts.headers);
    }
    match &plan.forward.host_rewrite {
        Some(HostRewrite::Literal(host)) => {
            parts.headers.insert(AUTHORITY, host.clone());
        }
        Some(HostRewrite::Endpoint) | None => {}
    }
    if let Some(rewrite) = &plan.forward.path_rewrite {
        let target = rewrite_path(rewrite, &plan.route.matches.path, parts.uri.path(), parts.uri.query());
        let target = PathAndQuery::try_from(target).map_err(|_invalid| Reject::NoRoute)?;
        parts.uri = Uri::from(target);
    }
    Ok(())
}

/// The host may be replaced, never removed or repeated.
fn apply_request(operations: &[HeaderOp], headers: &mut HeaderMap) {
    if operations.is_empty() {
        return;
    }
    let host = headers.get(HOST).cloned();
    apply(operations, headers);
    if headers.get_all(HOST).iter().count() != 1
        && let Some(host) = host
    {
        headers.insert(HOST, host);
    }
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
    let levels =
        [&plan.destination.header_ops, &plan.route.header_ops, &plan.virtual_host.header_ops, &plan.table.header_ops];
    for level in levels {
        apply(&level.response, headers);
    }
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
