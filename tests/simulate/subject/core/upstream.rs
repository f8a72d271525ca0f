//! From a cluster to its endpoint's answer: endpoint choice, tries, copies. Time is counted, not spent.

use std::net::SocketAddr;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use orrery_core::balance::{Eligible, Fitness};
use orrery_core::cluster::{Cluster as Upstream, Discovery, Endpoint, Transport};
use orrery_core::decide::Plan;
use orrery_core::names::ClusterName;
use orrery_core::retry::{Next, TryOutcome};
use orrery_engine::reject::Reject;
use rand::Rng;

use super::CoreProxy;
use super::exchange::Turn;
use super::http::{per_million, refused, with_head};
use crate::answer::{Answer, End, Received, ReceivedTls, Response};
use crate::call::add;
use crate::case::{Call, Outcome, Protocol, Tls};
use crate::cluster::Cluster;

/// Forwards a request as planned.
#[allow(clippy::too_many_arguments, reason = "one call's whole context, passed on once")]
pub(super) fn send(
    proxy: &mut CoreProxy,
    cluster: &mut Cluster,
    call: &Call,
    plan: &Plan<'_>,
    parts: &Parts,
    destination: SocketAddr,
    hash: Option<u64>,
    turn: Turn,
    mut path: Vec<String>,
) -> Answer {
    let grpc = call.request.as_ref().is_some_and(|request| request.protocol == Protocol::Grpc);
    if !proxy.snapshot.clusters.contains_key(&plan.destination.name) {
        path.push(format!("no cluster {}", plan.destination.name));
        return refused(Reject::NoCluster(plan.forward.cluster_not_found), grpc, path);
    }
    let mut answer = Answer::default();
    copies(proxy, cluster, plan, parts, destination, turn, &mut answer, &mut path);
    let limit = plan.forward.timeout.unwrap_or(Duration::MAX);
    let mut number = 1;
    let ended = loop {
        let received = match receive(proxy, cluster, &plan.destination.name, destination, hash, None, &mut path) {
            Ok(received) => received,
            Err(reject) => break Err(reject),
        };
        answer.attempts.push(with_head(received, parts));
        let (outcome, ended) = attempt(call, plan, number, &mut answer.took);
        if answer.took >= limit {
            answer.took = limit;
            break Err(Reject::UpstreamTimeout);
        }
        match plan
            .forward
            .retry
            .as_ref()
            .filter(|policy| policy.num_retries > 0)
            .map(|policy| policy.next(number, outcome))
        {
            Some(Next::Again) => number += 1,
            Some(Next::Stand | Next::Exhausted) | None => break ended,
        }
    };
    let response = match ended {
        Ok(mut response) => {
            plan.change_answer(&mut response.headers);
            Answer { end: Some(End::Response(response)), path, ..Answer::default() }
        }
        Err(reject) => refused(reject, grpc, path),
    };
    Answer { attempts: answer.attempts, mirrored: answer.mirrored, took: answer.took, ..response }
}

/// One try: what retrying looks at, and how it ends the call if nothing follows.
fn attempt(call: &Call, plan: &Plan<'_>, number: u32, took: &mut Duration) -> (TryOutcome, Result<Response, Reject>) {
    let failing = fails(call, number);
    let delay = call.application.delay.filter(|_| failing).unwrap_or_default();
    let patience = plan.forward.retry.as_ref().and_then(|policy| policy.per_try_timeout);
    if let Some(patience) = patience.filter(|patience| delay >= *patience) {
        *took += patience;
        return (TryOutcome::PerTryTimeout, Err(Reject::PerTryTimeout));
    }
    *took += delay;
    match call.application.outcome.filter(|_| failing) {
        Some(Outcome::Refused) => (TryOutcome::ConnectFailure, Err(Reject::ConnectFailed)),
        Some(Outcome::Reset) => (TryOutcome::Reset { request_sent: true }, Err(Reject::UpstreamReset)),
        Some(Outcome::TlsError) => (TryOutcome::ConnectFailure, Err(Reject::TlsFailed)),
        Some(Outcome::Timeout) => {
            *took = Duration::MAX;
            (TryOutcome::PerTryTimeout, Err(Reject::UpstreamTimeout))
        }
        None => {
            let response = application(call, number);
            (TryOutcome::Response { status: response.status, grpc_status: response.grpc }, Ok(response))
        }
    }
}

fn fails(call: &Call, number: u32) -> bool {
    call.application.failures.is_none_or(|failures| number <= failures)
}

/// The application's answer to a try.
pub(super) fn application(call: &Call, number: u32) -> Response {
    let failing = fails(call, number);
    let mut headers = HeaderMap::new();
    // Names and values were read from the file: one that is no header is told when the call is made.
    let _ = add(&mut headers, &call.application.headers);
    let grpc = call.request.as_ref().is_some_and(|request| request.protocol == Protocol::Grpc);
    let code = grpc.then(|| call.application.grpc.filter(|_| failing).unwrap_or(0));
    if let Some(code) = code {
        headers.insert("grpc-status", HeaderValue::from(code));
    }
    let status = call.application.status.filter(|_| failing).unwrap_or(200);
    Response { status, headers, grpc: code, body: String::new() }
}

#[allow(clippy::too_many_arguments, reason = "one call's whole context, passed on once")]
fn copies(
    proxy: &mut CoreProxy,
    cluster: &mut Cluster,
    plan: &Plan<'_>,
    parts: &Parts,
    destination: SocketAddr,
    turn: Turn,
    answer: &mut Answer,
    path: &mut Vec<String>,
) {
    for mirror in &plan.forward.mirrors {
        if !mirror.share.takes(per_million(turn)) {
            continue;
        }
        if let Ok(received) = receive(proxy, cluster, &mirror.cluster, destination, None, None, path) {
            answer.mirrored.push(with_head(received, parts));
        }
    }
}

/// Chooses an endpoint of a cluster; who gets what is sent there. `through` is the client's own TLS.
pub(super) fn receive(
    proxy: &mut CoreProxy,
    cluster: &mut Cluster,
    name: &ClusterName,
    destination: SocketAddr,
    hash: Option<u64>,
    through: Option<&Tls>,
    path: &mut Vec<String>,
) -> Result<Received, Reject> {
    let Some(upstream) = proxy.snapshot.clusters.get(name).cloned() else {
        path.push(format!("no cluster {name}"));
        return Err(Reject::NoEndpoint);
    };
    path.push(format!("cluster {name}"));
    let endpoint = match upstream.discovery {
        Discovery::OriginalDst => None,
        Discovery::Static | Discovery::Eds(_) | Discovery::StrictDns | Discovery::LogicalDns => {
            Some(choose(proxy, &upstream, hash).ok_or(Reject::NoEndpoint)?)
        }
    };
    let address = match endpoint.as_ref().map(|endpoint| (endpoint.host.as_ref(), endpoint.address)) {
        None => destination,
        Some((None, address)) => address,
        Some((Some(host), address)) => SocketAddr::new(cluster.resolve(host, &proxy.node.namespace), address.port()),
    };
    path.push(format!("endpoint {address}"));
    let by = cluster.names_at(address.ip());
    if by.is_empty() {
        path.push(format!("nobody is at {address}"));
        return Err(Reject::ConnectFailed);
    }
    let passed = through.map(|tls| ReceivedTls { sni: tls.sni.clone(), certificate: None });
    let ours = endpoint.and_then(|endpoint| match upstream.transport(&endpoint) {
        Transport::Plain => None,
        Transport::Tls(tls) => Some(ReceivedTls { sni: tls.sni.as_deref().map(str::to_owned), certificate: None }),
    });
    Ok(Received { by, head: None, tls: ours.or(passed) })
}

fn choose(proxy: &mut CoreProxy, upstream: &Upstream, hash: Option<u64>) -> Option<std::sync::Arc<Endpoint>> {
    let eligible = Eligible::of_cluster(upstream, |_| Fitness::default());
    let rotation = proxy.rotations.entry(upstream.name.clone()).or_default();
    let random = &mut proxy.random;
    let at = eligible.pick(upstream.balancing, rotation, |_| 0, || random.random(), hash)?;
    upstream.endpoints.all.get(at).cloned()
}
