//! Copies of requests whose answers are thrown away (`request_mirror_policies`).
//!
//! A copy never delays or fails the request itself; one that cannot be sent is forgotten.

use std::rc::Rc;
use std::time::Duration;

use http::header::HOST;
use http::request::Parts;
use http::{HeaderValue, Request, Version};
use http_body_util::BodyExt;
use orrery_core::route::Mirror;
use orrery_net::http::open_http1;

use crate::attempt::{Call, open};
use crate::body::{RequestBody, UpBody};
use crate::connection::Connection;
use crate::live::LiveCluster;
use crate::secrets::Wire;
use crate::worker::View;

/// A copy waits at most so long for the request's body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);
/// How often it looks.
const BODY_LOOK: Duration = Duration::from_millis(5);
/// A copy's whole time.
const COPY_TIMEOUT: Duration = Duration::from_secs(30);
/// Copies under way to one cluster from one worker's request budget.
const MOST_COPIES: u32 = 256;

/// Sends copies as the route wants them.
pub(crate) fn begin(call: &Call<'_>, parts: &Parts, body: &RequestBody) {
    for mirror in &call.forward.mirrors {
        if mirror.share.takes(call.connection.worker.random() as u32) {
            begin_one(call, mirror, parts, body);
        }
    }
}

fn begin_one(call: &Call<'_>, mirror: &Mirror, parts: &Parts, body: &RequestBody) {
    let Some(cluster) = call.connection.worker.cluster(call.view, &mirror.cluster) else { return };
    let Some(slot) = cluster.gauges.request(cluster.config.limits.max_requests.min(MOST_COPIES)) else { return };
    let (connection, view) = (call.connection.clone(), call.view.clone());
    let (mut parts, body) = (parts.clone(), body.clone());
    parts.version = Version::HTTP_11;
    mark(&mut parts);
    tokio::task::spawn_local(async move {
        let _slot = slot;
        let sending = send(&connection, &view, &cluster, parts, &body);
        if tokio::time::timeout(COPY_TIMEOUT, sending).await.is_err() {
            tracing::debug!(cluster = %cluster.config.name, "a mirrored request took too long");
        }
    });
}

/// The copy's host says what it is, as Envoy's does.
fn mark(parts: &mut Parts) {
    let marked = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).map(|host| match host.rsplit_once(':') {
        Some((name, port)) => format!("{name}-shadow:{port}"),
        None => format!("{host}-shadow"),
    });
    if let Some(value) = marked.and_then(|marked| HeaderValue::from_str(&marked).ok()) {
        parts.headers.insert(HOST, value);
    }
}

async fn send(
    connection: &Rc<Connection>,
    view: &Rc<View>,
    cluster: &Rc<LiveCluster>,
    parts: Parts,
    body: &RequestBody,
) {
    let Some(bytes) = whole(body).await else { return };
    let content = if body.is_empty() { UpBody::Empty } else { UpBody::Whole(Some(bytes)) };
    let Some(endpoint) = cluster.pick(|| connection.worker.random(), None, &[]) else { return };
    let _in_flight = endpoint.begin();
    let client = &connection.downstream.addresses;
    let opening = open(&connection.worker, view, cluster, &endpoint, Wire::Http1, client);
    let Ok(connected) = opening.await else { return };
    let Ok(mut sender) = open_http1(connected.stream).await else { return };
    if let Ok(mut response) = sender.send_request(Request::from_parts(parts, content)).await {
        while let Some(Ok(_thrown_away)) = response.frame().await {}
    }
}

/// The whole body once it has arrived; `None` if it is too large or broke off.
async fn whole(body: &RequestBody) -> Option<bytes::Bytes> {
    let waiting = async {
        while !body.has_ended() && body.is_replayable() {
            tokio::time::sleep(BODY_LOOK).await;
        }
    };
    tokio::time::timeout(BODY_TIMEOUT, waiting).await.ok()?;
    body.whole()
}
