//! Calls to other services, with the headers that tie a request's parts together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response, header};
use http_body_util::Full;

use crate::bookinfo::PORT;
use crate::client::{Client, Error};

/// Headers that a service must hand on, so that traces connect and routes can follow the user.
const PROPAGATED: &[&str] = &[
    "end-user",
    "user-agent",
    "x-request-id",
    "traceparent",
    "tracestate",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "x-ot-span-context",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "x-cloud-trace-context",
    "grpc-trace-bin",
    "sw8",
];

/// Calls other services.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    client: Arc<Client>,
    outbound: Option<SocketAddr>,
}

impl Calls {
    pub(super) fn new(outbound: Option<SocketAddr>) -> Self {
        Self { client: Arc::new(Client::default()), outbound }
    }

    /// A GET to a service, on behalf of a request with these headers.
    pub(super) async fn get(
        &self,
        service: &str,
        path: &str,
        headers: &HeaderMap,
        limit: Duration,
    ) -> Result<Response<Bytes>, Error> {
        let host = format!("{service}:{PORT}");
        let mut request = Request::new(Full::default());
        // Paths are made here from numbers.
        *request.uri_mut() = path.parse().unwrap_or_default();
        if let Ok(value) = host.parse() {
            request.headers_mut().insert(header::HOST, value);
        }
        propagate(headers, request.headers_mut());
        let address = self.outbound.map_or(host, |outbound| outbound.to_string());
        self.client.send(&address, request, limit).await
    }
}

fn propagate(from: &HeaderMap, to: &mut HeaderMap) {
    for name in PROPAGATED.iter().copied().map(HeaderName::from_static) {
        for value in from.get_all(&name) {
            to.append(name.clone(), value.clone());
        }
    }
}
