//! What a finished record becomes: additions to metric series, a line in the access log, a span.
//!
//! Nothing here waits, and nothing here is read by anything that decides.

use std::time::{Duration, SystemTime};

use http::HeaderValue;
use orrery_core::listener::Direction;
use orrery_emit::labels::{HttpLabels, RequestProtocol};
use orrery_emit::spans::{SpanKind, SpanRecord, Value};
use tokio::time::Instant;

use super::labels::{Known, upstream_principal};
use super::{Record, Story};
use crate::series::SeriesKey;
use crate::trace::Span;

impl Record {
    /// Writes everything.
    pub(super) fn write(&mut self) {
        let took = Instant::now().duration_since(self.started);
        let request_bytes = self.request_body.as_ref().map_or(0, |body| body.received());
        self.count(took, request_bytes);
        self.count_messages();
        if let Some(story) = self.story.take() {
            self.log(&story, took, request_bytes);
            if let Some(span) = &story.span {
                self.trace(&story, span, took, request_bytes);
            }
        }
    }

    fn count(&self, took: Duration, request_bytes: u64) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let (received, sent) = (self.request_head + request_bytes, self.response_head + self.response_body);
        let connection = &self.connection;
        let find = || {
            let labels = self.labels();
            connection.worker.shared.registry.http(&labels)
        };
        let series = match (connection.direction(), &self.endpoint) {
            (Direction::Inbound, _) => connection.series.get(self.key(), find),
            (Direction::Outbound, Some(endpoint)) => endpoint.state().series.get(self.key(), find),
            (Direction::Outbound, None) => find(),
        };
        series.record(micros, received, sent);
    }

    pub(super) fn key(&self) -> SeriesKey {
        let (peer, principal) = match (self.connection.direction(), &self.endpoint) {
            // On one connection the client's certificate is always the same.
            (Direction::Inbound, _) => (self.source.as_ref().map_or(0, |peer| peer.number), None),
            (Direction::Outbound, Some(endpoint)) => {
                (endpoint.state().peer().number, upstream_principal(self.facts.as_deref()).cloned())
            }
            (Direction::Outbound, None) => (0, None),
        };
        SeriesKey {
            code: self.code,
            flags: self.flags,
            grpc: self.grpc,
            grpc_status: self.grpc_status,
            peer,
            principal,
            service: self.cluster.as_ref().and_then(|cluster| cluster.config.service.as_ref()).map(|s| s.host.clone()),
            host: self.host.clone(),
        }
    }

    fn labels(&self) -> HttpLabels {
        let known = self.known();
        HttpLabels {
            ends: known.ends(),
            protocol: if self.grpc { RequestProtocol::Grpc } else { RequestProtocol::Http },
            response_code: self.code,
            grpc_status: self.grpc_status,
            response_flags: self.flags,
            security: known.security(),
        }
    }

    pub(super) fn known(&self) -> Known<'_> {
        Known {
            own: &self.connection.worker.own,
            downstream: &self.connection.downstream,
            source: self.source.as_deref(),
            cluster: self.cluster.as_deref(),
            endpoint: self.endpoint.as_deref(),
            facts: self.facts.as_deref(),
            host: self.host.as_ref().and_then(|host| host.to_str().ok()),
        }
    }

    fn trace(&self, story: &Story, span: &Span, took: Duration, request_bytes: u64) {
        let shared = &self.connection.worker.shared;
        let Some(sink) = &shared.spans else { return };
        let own = &self.connection.worker.own;
        let text = |value: &Option<HeaderValue>| Value::Text(text(value.as_ref()));
        let cluster = self.cluster.as_ref().map(|cluster| cluster.config.name.shared().clone());
        let mut attributes = vec![
            ("component", Value::Text("proxy".into())),
            ("node_id", Value::Text(shared.node.id.clone())),
            ("guid:x-request-id", text(&story.request_id)),
            ("http.method", Value::Text(story.method.as_str().to_owned())),
            ("http.url", Value::Text(self.url(story))),
            ("http.protocol", Value::Text(story.protocol.to_owned())),
            ("http.status_code", Value::Number(i64::from(self.code))),
            ("response_flags", Value::Text(self.flags.to_string())),
            ("user_agent", text(&story.user_agent)),
            ("request_size", number(request_bytes)),
            ("response_size", number(self.response_body)),
            ("peer.address", Value::Text(self.peer_address())),
            ("istio.canonical_service", Value::Shared(own.canonical_service.clone())),
            ("istio.canonical_revision", Value::Shared(own.canonical_revision.clone())),
            ("istio.mesh_id", Value::Text(shared.node.mesh_id.clone())),
            ("istio.namespace", Value::Shared(own.namespace.clone())),
        ];
        if let Some(cluster) = cluster {
            attributes.push(("upstream_cluster", Value::Shared(cluster.clone())));
            attributes.push(("upstream_cluster.name", Value::Shared(cluster)));
        }
        if let Some(status) = self.grpc_status {
            attributes.push(("grpc.status_code", Value::Number(i64::from(status))));
        }
        sink.offer(SpanRecord {
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent: span.parent,
            name: self.operation(story),
            kind: match self.connection.direction() {
                Direction::Inbound => SpanKind::Server,
                Direction::Outbound => SpanKind::Client,
            },
            start: story.began,
            end: story.began.checked_add(took).unwrap_or(SystemTime::UNIX_EPOCH),
            attributes,
            error: self.code >= 500 || self.code == 0 || self.grpc_status.is_some_and(|status| status != 0),
        });
    }

    /// What the route calls it, else where it goes.
    fn operation(&self, story: &Story) -> String {
        story.operation.as_deref().map_or_else(|| text(story.authority.as_ref()), str::to_owned)
    }

    fn url(&self, story: &Story) -> String {
        let scheme = crate::headers::scheme(&self.connection);
        format!("{scheme}://{}{}", text(story.authority.as_ref()), story.path)
    }

    fn peer_address(&self) -> String {
        match (self.connection.direction(), &self.endpoint) {
            (Direction::Outbound, Some(endpoint)) => endpoint.config.address.to_string(),
            (Direction::Outbound, None) | (Direction::Inbound, _) => {
                self.connection.downstream.addresses.peer.to_string()
            }
        }
    }
}

fn number(value: u64) -> Value {
    Value::Number(i64::try_from(value).unwrap_or(i64::MAX))
}

/// A header's value as text; bytes that are none become replacement characters.
pub(super) fn text(value: Option<&HeaderValue>) -> String {
    value.map_or_else(String::new, |value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}
