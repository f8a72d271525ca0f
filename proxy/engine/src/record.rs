//! One record per request: opened when its head has arrived, finished exactly once, also when everything is dropped.
//! Metrics, access log and span all come from it. Nothing decides by it.

mod access;
pub(crate) mod labels;
mod messages;
mod report;

use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::{HOST, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use orrery_core::select::is_grpc;
use orrery_emit::flags::ResponseFlags;
use orrery_net::connect::ConnectionFacts;
use tokio::time::Instant;

use crate::body::RequestBody;
use crate::connection::Connection;
use crate::headers::head_size;
use crate::live::{LiveCluster, LiveEndpoint};
use crate::peer::Peer;
use crate::record::messages::Messages;
use crate::reject::Reject;
use crate::trace::Span;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What happened to one request.
pub(crate) struct Record {
    connection: Rc<Connection>,
    started: Instant,
    grpc: bool,
    request_head: u64,
    request_body: Option<RequestBody>,
    response_head: u64,
    response_body: u64,
    code: u16,
    grpc_status: Option<u32>,
    flags: ResponseFlags,
    details: &'static str,
    /// Who calls, as it says itself (inbound).
    source: Option<Rc<Peer>>,
    /// The host that was asked for, where the cluster does not say which service it is.
    host: Option<HeaderValue>,
    cluster: Option<Rc<LiveCluster>>,
    endpoint: Option<Rc<LiveEndpoint>>,
    facts: Option<Rc<ConnectionFacts>>,
    story: Option<Box<Story>>,
    /// Of a gRPC call.
    messages: Option<Messages>,
    finished: bool,
}

/// What only access logs and spans need.
struct Story {
    began: SystemTime,
    span: Option<Span>,
    method: Method,
    path: String,
    authority: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    request_id: Option<HeaderValue>,
    forwarded_for: Option<HeaderValue>,
    protocol: &'static str,
    route: Arc<str>,
    operation: Option<Arc<str>>,
    service_ms: Option<u64>,
}

impl Record {
    pub(crate) fn open(connection: &Rc<Connection>, parts: &Parts) -> Box<Self> {
        connection.activity.begin();
        let (started, grpc) = (Instant::now(), is_grpc(&parts.headers));
        let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
        Box::new(Self {
            connection: connection.clone(),
            started,
            grpc,
            request_head: head_size(&parts.headers) + (parts.method.as_str().len() + target + 12) as u64,
            request_body: None,
            response_head: 0,
            response_body: 0,
            code: 0,
            grpc_status: None,
            flags: ResponseFlags::NONE,
            details: "",
            source: None,
            host: None,
            cluster: None,
            endpoint: None,
            facts: None,
            story: None,
            messages: grpc.then(|| Messages::since(started)),
            finished: false,
        })
    }

    pub(crate) fn is_grpc(&self) -> bool {
        self.grpc
    }

    pub(crate) fn set_body(&mut self, body: &RequestBody) {
        if !body.is_empty() {
            self.request_body = Some(body.clone());
        }
    }

    pub(crate) fn set_source(&mut self, peer: Rc<Peer>) {
        self.source = Some(peer);
    }

    pub(crate) fn set_host(&mut self, headers: &HeaderMap) {
        self.host = headers.get(HOST).cloned();
    }

    /// Keeps what access log and span tell, if either is wanted.
    pub(crate) fn describe(&mut self, parts: &Parts, span: Option<Span>) {
        let logged = self.connection.manager.access_log.is_some() && self.connection.worker.shared.access_log.is_some();
        let traced = span.filter(|_| self.connection.worker.shared.spans.is_some());
        if !logged && traced.is_none() {
            return;
        }
        let protocol = match parts.version {
            http::Version::HTTP_2 => "HTTP/2",
            http::Version::HTTP_10 => "HTTP/1.0",
            _ => "HTTP/1.1",
        };
        self.story = Some(Box::new(Story {
            began: SystemTime::now().checked_sub(self.started.elapsed()).unwrap_or(SystemTime::UNIX_EPOCH),
            span: traced,
            method: parts.method.clone(),
            path: parts.uri.path_and_query().map_or_else(String::new, |target| target.as_str().to_owned()),
            authority: parts.headers.get(HOST).cloned(),
            user_agent: parts.headers.get(USER_AGENT).cloned(),
            request_id: parts.headers.get(REQUEST_ID).cloned(),
            forwarded_for: parts.headers.get(FORWARDED_FOR).cloned(),
            protocol,
            route: Arc::from(""),
            operation: None,
            service_ms: None,
        }));
    }

    pub(crate) fn set_route(&mut self, name: &Arc<str>, operation: Option<&Arc<str>>) {
        if let Some(story) = &mut self.story {
            story.route = name.clone();
            story.operation = operation.cloned();
        }
    }

    pub(crate) fn set_cluster(&mut self, cluster: &Rc<LiveCluster>) {
        self.cluster = Some(cluster.clone());
    }

    pub(crate) fn set_endpoint(&mut self, endpoint: &Rc<LiveEndpoint>) {
        self.endpoint = Some(endpoint.clone());
        self.facts = None;
    }

    pub(crate) fn set_facts(&mut self, facts: &Rc<ConnectionFacts>) {
        self.facts = Some(facts.clone());
    }

    pub(crate) fn flag(&mut self, flags: ResponseFlags) {
        self.flags |= flags;
    }

    /// The proxy answers itself.
    pub(crate) fn rejected(&mut self, reject: Reject) {
        self.flags |= reject.flag();
        self.details = reject.details();
    }

    /// The proxy answers as the route says.
    pub(crate) fn answered_directly(&mut self) {
        self.details = "direct_response";
    }

    /// An upstream's answer has begun.
    pub(crate) fn answered_by_upstream(&mut self, service_ms: u64) {
        self.details = "via_upstream";
        if let Some(story) = &mut self.story {
            story.service_ms = Some(service_ms);
        }
    }

    /// The head that the client gets.
    pub(crate) fn head(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.code = status.as_u16();
        self.response_head = head_size(headers) + 15;
        if self.grpc {
            self.grpc_trailers(headers);
        }
    }

    /// A gRPC status in headers or trailers.
    pub(crate) fn grpc_trailers(&mut self, headers: &HeaderMap) {
        let status = headers.get(GRPC_STATUS).and_then(|value| value.to_str().ok());
        self.grpc_status = status.and_then(|value| value.parse().ok()).or(self.grpc_status);
    }

    /// Bytes that a tunnel brought back.
    pub(crate) fn carried(&mut self, bytes: u64) {
        self.response_body += bytes;
    }

    /// A piece of the answer's body.
    pub(crate) fn body(&mut self, data: &[u8]) {
        self.response_body += data.len() as u64;
        if self.messages.is_some() {
            self.response_messages(data);
        }
    }

    /// The answer broke off on its way.
    pub(crate) fn broken(&mut self, flags: ResponseFlags, details: &'static str) {
        self.flags |= flags;
        self.details = details;
    }

    /// Everything is over: reports, once.
    pub(crate) fn finish(&mut self) {
        if !self.finished {
            self.finished = true;
            self.connection.activity.end();
            self.write();
        }
    }
}

impl Drop for Record {
    /// Dropped before its end: the client has gone.
    fn drop(&mut self) {
        if !self.finished {
            self.flags |= ResponseFlags::DC;
            self.details = "downstream_remote_disconnect";
            self.finish();
        }
    }
}
