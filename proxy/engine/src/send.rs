//! Gets an answer from a cluster: endpoint choice, tries with back-off within a budget, and the time limits around them.
//!
//! What may be tried again is decided in `orrery_core::retry`; what a try does is in `attempt`.

use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;

use http::request::Parts;
use http::{HeaderMap, HeaderName, Response};
use http_body::Body;
use hyper::body::Incoming;
use orrery_core::cluster::Discovery;
use orrery_core::outlier::EndpointResult;
use orrery_core::retry::{Next, RetryPolicy, TryOutcome};
use orrery_core::select::without_port;
use orrery_emit::flags::ResponseFlags;
use smallvec::SmallVec;
use tokio::time::{Instant, timeout, timeout_at};

use crate::attempt::{Call, Head, TryFailure, attempt, wire};
use crate::body::RequestBody;
use crate::exchange::Exchange;
use crate::live::LiveEndpoint;
use crate::record::Record;
use crate::reject::Reject;
use crate::secrets::Wire;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// An upstream's answer, its body still to come.
pub(crate) struct Answer {
    pub(crate) response: Response<Incoming>,
    pub(crate) exchange: Box<Exchange>,
    /// When the route's time is over.
    pub(crate) deadline: Option<Instant>,
    /// Milliseconds from the first try to the answer's head.
    pub(crate) service_ms: u64,
}

/// Sends a request, within the route's time limit if it has one; without one, the listener's limit on streams that do
/// not move holds.
pub(crate) async fn send(
    call: &Call<'_>,
    parts: Parts,
    body: &RequestBody,
    record: &mut Record,
) -> Result<Answer, Reject> {
    let began = Instant::now();
    let (limit, late) = match (call.forward.timeout, call.connection.manager.stream_idle_timeout) {
        (Some(limit), _) => (limit, Reject::UpstreamTimeout),
        (None, Some(limit)) => (limit, Reject::StreamIdle),
        (None, None) => return tries(call, parts, body, record).await.map(|sent| sent.answer(began, None)),
    };
    let mut deadline = began + limit;
    let mut trying = pin!(tries(call, parts, body, record));
    loop {
        if let Ok(sent) = timeout_at(deadline, trying.as_mut()).await {
            let for_all = call.forward.timeout.map(|_| deadline);
            return sent.map(|sent| sent.answer(began, for_all));
        }
        // The limit counts from the moment when the whole request was there.
        match body.ended_at() {
            Some(ended) if ended + limit > Instant::now() => deadline = ended + limit,
            None if !body.is_empty() => deadline = Instant::now() + limit,
            Some(_) | None => return Err(late),
        }
    }
}

struct Sent {
    response: Response<Incoming>,
    exchange: Box<Exchange>,
}

impl Sent {
    /// The answer is not wanted; its connection is kept if nothing of the answer is left on it.
    fn discard(self) {
        if self.response.body().is_end_stream() {
            self.exchange.complete();
        }
    }

    fn answer(self, began: Instant, deadline: Option<Instant>) -> Answer {
        let service_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Answer { response: self.response, exchange: self.exchange, deadline, service_ms }
    }
}

/// Tries until there is an answer that stands.
async fn tries(call: &Call<'_>, parts: Parts, body: &RequestBody, record: &mut Record) -> Result<Sent, Reject> {
    let policy = call.forward.retry.as_ref().filter(|policy| policy.num_retries > 0);
    let keep = policy.is_some_and(|policy| may_retry_after_sending(policy, record.is_grpc(), wire(call)));
    let mut head = Head::new(parts, keep);
    let mut tried: SmallVec<[SocketAddr; 4]> = SmallVec::new();
    let mut budget = None;
    let mut number = 1;
    loop {
        let result = one_try(call, &mut head, body, number, &mut tried, record).await;
        let outcome = match &result {
            Ok(sent) => Some(outcome_of(&sent.response)),
            Err(failure) => failure.outcome(),
        };
        let (Some(policy), Some(outcome)) = (policy, outcome) else { return result.map_err(TryFailure::reject) };
        match policy.next(number, outcome) {
            Next::Stand => return result.map_err(TryFailure::reject),
            Next::Exhausted => {
                record.flag(ResponseFlags::URX);
                return result.map_err(TryFailure::reject);
            }
            Next::Again => {}
        }
        if !head.is_there() || !body.is_replayable() {
            return result.map_err(TryFailure::reject);
        }
        budget = budget.or_else(|| call.cluster.gauges.retry(&call.cluster.config.limits));
        if budget.is_none() {
            record.flag(ResponseFlags::UO);
            return result.map_err(TryFailure::reject);
        }
        if let Ok(sent) = result {
            sent.discard();
        }
        let pause = policy.backoff(number, call.connection.worker.random());
        Box::pin(tokio::time::sleep(pause)).await;
        number += 1;
    }
}

/// Whether the head has to be kept: failures before sending leave it in our hands anyway.
fn may_retry_after_sending(policy: &RetryPolicy, grpc: bool, wire: Wire) -> bool {
    let on = policy.on;
    let grpc_status = on.grpc_cancelled
        || on.grpc_deadline_exceeded
        || on.grpc_internal
        || on.grpc_resource_exhausted
        || on.grpc_unavailable;
    on.five_xx
        || on.gateway_error
        || on.reset
        || on.retriable_4xx
        || (on.retriable_status_codes && !policy.status_codes.is_empty())
        || (on.refused_stream && wire == Wire::Http2)
        || (grpc && grpc_status)
}

fn outcome_of(response: &Response<Incoming>) -> TryOutcome {
    TryOutcome::Response { status: response.status().as_u16(), grpc_status: grpc_status(response.headers()) }
}

fn grpc_status(headers: &HeaderMap) -> Option<u32> {
    headers.get(GRPC_STATUS)?.to_str().ok()?.parse().ok()
}

async fn one_try(
    call: &Call<'_>,
    head: &mut Head,
    body: &RequestBody,
    number: u32,
    tried: &mut SmallVec<[SocketAddr; 4]>,
    record: &mut Record,
) -> Result<Sent, TryFailure> {
    let endpoint = match pick(call, tried) {
        Some(endpoint) => endpoint,
        None if call.cluster.config.discovery == Discovery::OriginalDst => Box::pin(by_name(call, head)).await?,
        None => return Err(TryFailure::NoEndpoint),
    };
    record.set_endpoint(&endpoint);
    let slot = call.cluster.gauges.request(call.cluster.config.limits.max_requests).ok_or(TryFailure::Overflow)?;
    let in_flight = endpoint.begin();
    let attempting = attempt(call, &endpoint, head, body, number, record);
    let limit = call.forward.retry.as_ref().and_then(|policy| policy.per_try_timeout);
    let result = match limit {
        None => attempting.await,
        Some(limit) => timeout(limit, attempting).await.unwrap_or(Err(TryFailure::PerTryTimeout)),
    };
    observe(call, &endpoint, &result);
    match result {
        Ok((response, lease)) => {
            let exchange = Box::new(Exchange { lease, in_flight, slot, request: body.clone() });
            Ok(Sent { response, exchange })
        }
        Err(failure) => {
            if call.forward.retry.as_ref().is_some_and(|policy| policy.avoid_previous_hosts) {
                tried.push(endpoint.config.address);
            }
            Err(failure)
        }
    }
}

/// An endpoint of the cluster; of an original-destination cluster, the one that the client itself wanted.
pub(crate) fn pick(call: &Call<'_>, avoid: &[SocketAddr]) -> Option<Rc<LiveEndpoint>> {
    match call.cluster.config.discovery {
        Discovery::OriginalDst => {
            let addresses = &call.connection.downstream.addresses;
            // Without redirection the original destination is this proxy itself.
            (addresses.original.0 != addresses.local.0).then(|| call.cluster.original(addresses.original.0))
        }
        Discovery::Static | Discovery::Eds(_) | Discovery::StrictDns | Discovery::LogicalDns => {
            call.cluster.pick(|| call.connection.worker.random(), call.hash, avoid)
        }
    }
}

/// Where a client that uses us as its proxy, without redirection, wants to go: the host that it names.
async fn by_name(call: &Call<'_>, head: &Head) -> Result<Rc<LiveEndpoint>, TryFailure> {
    let host = head.host().ok_or(TryFailure::NoEndpoint)?;
    let port = host.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(80);
    let resolving = tokio::net::lookup_host((without_port(host), port));
    let resolved =
        timeout(call.cluster.config.connect_timeout, resolving).await.map_err(|_late| TryFailure::ConnectTimeout)?;
    let address = resolved.ok().and_then(|mut all| all.next()).ok_or(TryFailure::NoEndpoint)?;
    // Sending to ourselves would go round for ever.
    let is_us = address == call.connection.downstream.addresses.local.0;
    if is_us { Err(TryFailure::NoEndpoint) } else { Ok(call.cluster.original(address)) }
}

fn observe<T>(call: &Call<'_>, endpoint: &LiveEndpoint, result: &Result<(Response<Incoming>, T), TryFailure>) {
    if call.cluster.config.outlier.is_none() {
        return;
    }
    let seen = match result {
        Ok((response, _)) => EndpointResult::Status(response.status().as_u16()),
        Err(failure) if failure.outcome().is_some() => EndpointResult::LocalOriginFailure,
        Err(_) => return,
    };
    call.cluster.observe(endpoint, seen, call.connection.worker.moment(Instant::now()));
}
