//! A request on its way through an HTTP connection manager.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::header::HOST;
use http::request::Parts;
use orrery_core::decide::{Action, Decided, Draws, decide};
use orrery_core::edge::{self, Arrival};
use orrery_core::forward::hash_key;
use orrery_core::listener::{HttpConnectionManager, TcpProxy};
use orrery_core::matching::RequestView;
use orrery_engine::normalise::{Tunnel, normalise};
use orrery_engine::reject::Reject;

use super::exchange::Turn;
use super::{CoreProxy, exchange, upstream};
use crate::answer::{Answer, End, Received, ReceivedHead, Response};
use crate::call;
use crate::case::{Call, Protocol, Request, Scheme};
use crate::cluster::Cluster;

/// How the client came.
#[derive(Clone, Copy)]
pub(super) struct Client {
    pub(super) destination: SocketAddr,
    pub(super) encrypted: bool,
}

/// Clients of gateways are somewhere outside.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

#[allow(clippy::too_many_arguments, reason = "one call's whole context, passed on once")]
pub(super) fn request(
    proxy: &mut CoreProxy,
    cluster: &mut Cluster,
    asked: &Call,
    wanted: &Request,
    manager: &HttpConnectionManager,
    client: Client,
    turn: Turn,
    mut path: Vec<String>,
) -> Result<Answer, String> {
    let mut parts = head(cluster, wanted, client)?;
    let grpc = wanted.protocol == Protocol::Grpc;
    let tunnel = match normalise(&mut parts, manager) {
        Ok(tunnel) => tunnel,
        Err(reject) => return Ok(refused(reject, grpc, path)),
    };
    let Some(table) = proxy.snapshot.routes_of(manager).cloned() else {
        path.push("no route configuration".to_owned());
        return Ok(refused(Reject::NoRoute, grpc, path));
    };
    path.push(format!("route configuration {}", table.name));
    edge::clean(&mut parts.headers, manager.forwarded_for, Arrival { peer: CLIENT, tls: client.encrypted });
    let scheme = edge::scheme(&parts.headers, client.encrypted);
    let decided = match decide(manager, &table, &view(&parts, scheme), draws(turn)) {
        Ok(decided) => decided,
        Err(nothing) => {
            path.push(format!("no route: {nothing:?}"));
            return Ok(refused(Reject::NoRoute, grpc, path));
        }
    };
    path.push(format!("virtual host {}, route {:?}", decided.matched.virtual_host.name, decided.matched.route.name));
    let Decided { delay, permission, action, .. } = decided;
    let mut answer = match action {
        Action::Forward(plan) => {
            let hash = hash_key(&plan.forward.hash, &view(&parts, scheme), &CLIENT.to_string());
            match plan.rewrite(&mut parts) {
                Ok(()) => upstream::send(proxy, cluster, asked, &plan, &parts, client.destination, hash, turn, path),
                Err(_invalid) => refused(Reject::NoRoute, grpc, path),
            }
        }
        Action::Answer(own) => {
            path.push("answered by the proxy".to_owned());
            let body = own.body.map(|body| String::from_utf8_lossy(body).into_owned()).unwrap_or_default();
            let response = Response { status: own.status.as_u16(), headers: own.headers, grpc: None, body };
            Answer { end: Some(End::Response(response)), path, ..Answer::default() }
        }
        Action::Abort(fault) => refused(Reject::FaultAbort(fault), grpc, path),
        Action::NoDestination => refused(Reject::NoEndpoint, grpc, path),
        Action::NoAction => refused(Reject::NoRoute, grpc, path),
    };
    answer.took += delay.unwrap_or(Duration::ZERO);
    if let Some(End::Response(response)) = &mut answer.end {
        if let Some(permission) = permission {
            permission.add(&mut response.headers);
        }
        if tunnel == Tunnel::WebSocket && response.status == 200 && !answer.attempts.is_empty() {
            response.status = 101;
        }
    }
    Ok(answer)
}

/// A request in a connection that the proxy does not look into: the backend answers it as it is.
#[allow(clippy::too_many_arguments, reason = "one call's whole context, passed on once")]
pub(super) fn opaque(
    proxy: &mut CoreProxy,
    cluster: &mut Cluster,
    asked: &Call,
    wanted: &Request,
    to: &TcpProxy,
    destination: SocketAddr,
    turn: Turn,
    path: Vec<String>,
) -> Result<Answer, String> {
    let encrypted = wanted.scheme == Scheme::Https;
    let parts = head(cluster, wanted, Client { destination, encrypted })?;
    let tls = encrypted.then_some(&wanted.tls);
    let mut answer = exchange::opaque(proxy, cluster, to, destination, tls, turn, path);
    if let (Some(End::Echo), Some(received)) = (&answer.end, answer.attempts.first_mut()) {
        received.head = Some(ReceivedHead::of(&parts));
        answer.end = Some(End::Response(upstream::application(asked, 1)));
    }
    Ok(answer)
}

/// The head that the client sends.
fn head(cluster: &Cluster, wanted: &Request, client: Client) -> Result<Parts, String> {
    call::head(wanted, &cluster.with_facts(&wanted.authority(client.destination.ip()))?, client.encrypted)
}

fn view<'a>(parts: &'a Parts, scheme: &'a str) -> RequestView<'a> {
    RequestView {
        method: &parts.method,
        scheme,
        authority: parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default(),
        path: parts.uri.path(),
        query: parts.uri.query(),
        headers: &parts.headers,
    }
}

/// Evenly spread: over all turns a share of requests is met exactly, and so are weights whose sum divides their number.
fn draws(turn: Turn) -> Draws {
    Draws {
        route: per_million(turn),
        cluster: u64::from(turn.number),
        delay: per_million(turn),
        // Apart from the delay: the other half of the turns comes first.
        abort: per_million(Turn { number: (turn.number + turn.of / 2) % turn.of, of: turn.of }),
    }
}

pub(super) fn per_million(turn: Turn) -> u32 {
    let scaled = u64::from(turn.number) * 1_000_000 / u64::from(turn.of.max(1));
    u32::try_from(scaled).unwrap_or(u32::MAX)
}

/// The proxy's own answer for lack of an upstream's.
pub(super) fn refused(reject: Reject, grpc: bool, mut path: Vec<String>) -> Answer {
    path.push(format!("answered by the proxy: {reject:?}"));
    let (head, body) = reject.answer(grpc);
    let (head, ()) = head.into_parts();
    let code = head.headers.get("grpc-status").and_then(|code| code.to_str().ok()?.parse().ok());
    let body = String::from_utf8_lossy(&body).into_owned();
    let response = Response { status: head.status.as_u16(), headers: head.headers, grpc: code, body };
    Answer { end: Some(End::Response(response)), path, ..Answer::default() }
}

/// What the backend of a try got.
pub(super) fn with_head(mut received: Received, parts: &Parts) -> Received {
    received.head = Some(ReceivedHead::of(parts));
    received
}
