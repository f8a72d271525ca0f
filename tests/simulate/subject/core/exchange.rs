//! One call from its first byte to its answer.

use std::net::SocketAddr;
use std::sync::Arc;

use orrery_core::forward::pick_cluster;
use orrery_core::listener::{FilterChain, NetworkFilter, TcpProxy};

use super::connection;
use super::trust::client_is_let_in;
use super::{CoreProxy, http, upstream};
use crate::answer::{Answer, End};
use crate::call::{http_tls, tcp_tls};
use crate::case::{Call, Outcome, Protocol, Request, Scheme, Tcp, Tls, Udp};
use crate::client_hello::client_hello;
use crate::cluster::Cluster;

/// Which of how many calls this is: random numbers are spread evenly over them.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    pub(super) number: u32,
    pub(super) of: u32,
}

pub(super) fn call(proxy: &mut CoreProxy, cluster: &mut Cluster, call: &Call, turn: Turn) -> Result<Answer, String> {
    match (&call.request, &call.tcp, &call.udp) {
        (Some(request), None, None) => requested(proxy, cluster, call, request, turn),
        (None, Some(tcp), None) => connected(proxy, cluster, tcp, turn),
        (None, None, Some(udp)) => Ok(datagram(proxy, cluster, udp)),
        _ => Err("a call is either a request, or tcp, or udp".to_owned()),
    }
}

fn requested(
    proxy: &mut CoreProxy,
    cluster: &mut Cluster,
    call: &Call,
    request: &Request,
    turn: Turn,
) -> Result<Answer, String> {
    let target = request.target().map(|host| cluster.with_facts(host)).transpose()?;
    let destination = proxy.destination(cluster, target.as_deref(), request.port());
    let tls = match request.scheme {
        Scheme::Http => None,
        Scheme::Https => Some(http_tls(request)),
    };
    let mut path = Vec::new();
    let plain: &[u8] = match request.protocol {
        Protocol::Http1 | Protocol::Websocket => b"GET / HTTP/1.1\r\n",
        Protocol::H2 | Protocol::Grpc => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    };
    let chain = match arrive(proxy, cluster, destination, tls.as_ref(), plain, &mut path) {
        Ok(chain) => chain,
        Err(outcome) => return Ok(Answer::failed(outcome, path)),
    };
    match &chain.filter {
        NetworkFilter::Http(_) if chain.tls.is_some() != tls.is_some() => {
            path.push("one side speaks TLS, the other does not".to_owned());
            Ok(Answer::failed(if tls.is_some() { Outcome::TlsError } else { Outcome::Reset }, path))
        }
        NetworkFilter::Http(manager) => {
            let from = http::Client { destination, encrypted: tls.is_some() };
            http::request(proxy, cluster, call, request, &manager.clone(), from, turn, path)
        }
        NetworkFilter::Tcp(to) => {
            let to = to.clone();
            http::opaque(proxy, cluster, call, request, &to, destination, turn, path)
        }
    }
}

fn connected(proxy: &mut CoreProxy, cluster: &mut Cluster, tcp: &Tcp, turn: Turn) -> Result<Answer, String> {
    let tls = tcp_tls(tcp);
    let target = tcp.to.as_deref().or_else(|| tls.as_ref()?.sni.as_deref()).map(str::to_owned);
    let destination = proxy.destination(cluster, target.as_deref(), tcp.port);
    let mut path = Vec::new();
    let chain = match arrive(proxy, cluster, destination, tls.as_ref(), b"\0opaque", &mut path) {
        Ok(chain) => chain,
        Err(outcome) => return Ok(Answer::failed(outcome, path)),
    };
    let NetworkFilter::Tcp(to) = &chain.filter else {
        path.push("the chain wants HTTP".to_owned());
        return Ok(Answer::failed(Outcome::Reset, path));
    };
    let to = to.clone();
    let ended_here = chain.tls.is_some();
    if ended_here && tls.is_none() {
        return Ok(Answer::failed(Outcome::TlsError, path));
    }
    Ok(opaque(proxy, cluster, &to, destination, tls.as_ref().filter(|_| !ended_here), turn, path))
}

/// A datagram to an endpoint of its listener's cluster.
fn datagram(proxy: &mut CoreProxy, cluster: &mut Cluster, udp: &Udp) -> Answer {
    let destination = proxy.destination(cluster, None, udp.port);
    let mut path = Vec::new();
    let Some(listener) = proxy.snapshot.datagram_listeners.values().find(|one| one.address == destination).cloned()
    else {
        path.push(format!("no listener for datagrams at {destination}"));
        return Answer::failed(Outcome::Timeout, path);
    };
    path.push(format!("listener {}", listener.name));
    match upstream::receive(proxy, cluster, &listener.cluster, destination, None, None, &mut path) {
        Ok(received) => Answer { end: Some(End::Echo), attempts: vec![received], path, ..Answer::default() },
        Err(_) => Answer::failed(Outcome::Timeout, path),
    }
}

/// Bytes to the endpoint of a TCP proxy; `through` is the client's own TLS, as the backend sees it.
pub(super) fn opaque(
    proxy: &mut CoreProxy,
    cluster: &mut Cluster,
    to: &TcpProxy,
    destination: SocketAddr,
    through: Option<&Tls>,
    turn: Turn,
    mut path: Vec<String>,
) -> Answer {
    let Some(drawn) = pick_cluster(&to.clusters, u64::from(turn.number)) else {
        path.push("a split without weights".to_owned());
        return Answer::failed(Outcome::Reset, path);
    };
    let received = upstream::receive(proxy, cluster, &drawn.name, destination, None, through, &mut path);
    match received {
        Ok(received) => Answer { end: Some(End::Echo), attempts: vec![received], path, ..Answer::default() },
        Err(_) => Answer::failed(Outcome::Reset, path),
    }
}

fn arrive(
    proxy: &CoreProxy,
    cluster: &Cluster,
    destination: SocketAddr,
    tls: Option<&Tls>,
    plain: &[u8],
    path: &mut Vec<String>,
) -> Result<Arc<FilterChain>, Outcome> {
    let hello = tls.map(client_hello);
    let chain = connection::take(proxy, destination, hello.as_deref().unwrap_or(plain), path)?;
    if let Some(tls) = tls {
        client_is_let_in(&proxy.snapshot, cluster, &chain, tls, path)?;
    }
    Ok(chain)
}
