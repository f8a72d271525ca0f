//! Rules of metrics in the form of Istio's stats filter, in the metadata of filter chains under that filter's name: this
//! mesh's proxies read it there, and an Envoy, which has no such filter, leaves it alone.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};
use orrery_api::{Metric, TagOverride, TagValue};

use super::value::{fields, list, metadata as metadata_of, object, text};
use crate::telemetry::{Labels, MetricRules};

const NAME: &str = "istio.stats";

/// Nothing where everything is reported as usual.
pub(super) fn metadata(rules: &MetricRules) -> Option<Metadata> {
    metadata_of(vec![(NAME, config(rules)?)])
}

fn config(rules: &MetricRules) -> Option<Struct> {
    if rules.is_empty() {
        return None;
    }
    let drop = || object(fields(vec![("drop", yes())]));
    let metrics = match rules.disabled {
        true => Metric::ALL.iter().map(|metric| named(*metric, drop())).collect(),
        false => rules.metrics.iter().map(|(metric, labels)| named(*metric, labels_of(labels))).collect(),
    };
    let mut all = vec![("metrics", list(metrics))];
    if let Some(interval) = rules.interval {
        all.push(("tcp_reporting_duration", text(&seconds(interval))));
    }
    Some(fields(all))
}

fn named(metric: Metric, rest: Value) -> Value {
    let mut one = match rest.kind {
        Some(Kind::StructValue(one)) => one,
        _ => Struct::default(),
    };
    one.fields.insert("name".to_owned(), text(name(metric)));
    object(one)
}

fn labels_of(labels: &Labels) -> Value {
    if labels.disabled {
        return object(fields(vec![("drop", yes())]));
    }
    let (mut removed, mut set) = (Vec::new(), Vec::new());
    for (name, tag) in &labels.tags {
        match tag {
            TagOverride::Remove => removed.push(text(name)),
            TagOverride::Upsert(value) => set.push((name.as_str(), text(&expression(value)))),
        }
    }
    object(fields(vec![("tags_to_remove", list(removed)), ("dimensions", object(fields(set)))]))
}

fn yes() -> Value {
    Value { kind: Some(Kind::BoolValue(true)) }
}

/// As Protobuf's JSON has durations.
fn seconds(duration: Duration) -> String {
    format!("{}.{:09}s", duration.as_secs(), duration.subsec_nanos())
}

/// Without the prefix that all of Istio's metrics have.
fn name(metric: Metric) -> &'static str {
    match metric {
        Metric::RequestCount => "requests_total",
        Metric::RequestDuration => "request_duration_milliseconds",
        Metric::RequestSize => "request_bytes",
        Metric::ResponseSize => "response_bytes",
        Metric::TcpOpenedConnections => "tcp_connections_opened_total",
        Metric::TcpClosedConnections => "tcp_connections_closed_total",
        Metric::TcpSentBytes => "tcp_sent_bytes_total",
        Metric::TcpReceivedBytes => "tcp_received_bytes_total",
        Metric::GrpcRequestMessages => "request_messages_total",
        Metric::GrpcResponseMessages => "response_messages_total",
    }
}

/// In CEL.
fn expression(value: &TagValue) -> String {
    match value {
        TagValue::Literal(literal) if literal.contains('\'') => format!("\"{literal}\""),
        TagValue::Literal(literal) => format!("'{literal}'"),
        TagValue::RequestHost => "request.host".to_owned(),
        TagValue::RequestMethod => "request.method".to_owned(),
        TagValue::RequestPath => "request.url_path".to_owned(),
        TagValue::RequestProtocol => "request.protocol".to_owned(),
        TagValue::RequestScheme => "request.scheme".to_owned(),
        TagValue::ResponseCode => "response.code".to_owned(),
        TagValue::DestinationPort => "destination.port".to_owned(),
        TagValue::RequestHeader(name) => format!("request.headers['{name}']"),
        TagValue::ResponseHeader(name) => format!("response.headers['{name}']"),
    }
}
