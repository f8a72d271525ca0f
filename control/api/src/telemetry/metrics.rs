//! `metrics` of a Telemetry: which metrics are reported, and with which labels.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{MODES, WorkloadMode, providers};
use crate::problem::Located;
use crate::reader::Reader;

/// One entry of `metrics`.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub providers: Vec<Located<String>>,
    pub overrides: Vec<MetricOverride>,
    pub reporting_interval: Option<Duration>,
}

/// One entry of `overrides`.
#[derive(Clone, Debug)]
pub struct MetricOverride {
    pub metric: MetricMatch,
    pub mode: WorkloadMode,
    pub disabled: Option<bool>,
    pub tags: BTreeMap<String, TagOverride>,
}

/// Which metrics an override is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricMatch {
    All,
    One(Metric),
    /// A metric of Istio's proxy that this mesh does not have.
    Custom(String),
}

/// Istio's standard metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    RequestCount,
    RequestDuration,
    RequestSize,
    ResponseSize,
    TcpOpenedConnections,
    TcpClosedConnections,
    TcpSentBytes,
    TcpReceivedBytes,
    GrpcRequestMessages,
    GrpcResponseMessages,
}

/// What becomes of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagOverride {
    Remove,
    Upsert(TagValue),
}

/// A label's value, as an expression says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagValue {
    Literal(String),
    RequestHost,
    RequestMethod,
    RequestPath,
    RequestProtocol,
    RequestScheme,
    ResponseCode,
    DestinationPort,
    /// Lower case.
    RequestHeader(String),
    /// Lower case.
    ResponseHeader(String),
}

impl Metric {
    pub const ALL: [Self; 10] = [
        Self::RequestCount,
        Self::RequestDuration,
        Self::RequestSize,
        Self::ResponseSize,
        Self::TcpOpenedConnections,
        Self::TcpClosedConnections,
        Self::TcpSentBytes,
        Self::TcpReceivedBytes,
        Self::GrpcRequestMessages,
        Self::GrpcResponseMessages,
    ];

    /// Its name in the Telemetry API.
    pub fn word(self) -> &'static str {
        match self {
            Self::RequestCount => "REQUEST_COUNT",
            Self::RequestDuration => "REQUEST_DURATION",
            Self::RequestSize => "REQUEST_SIZE",
            Self::ResponseSize => "RESPONSE_SIZE",
            Self::TcpOpenedConnections => "TCP_OPENED_CONNECTIONS",
            Self::TcpClosedConnections => "TCP_CLOSED_CONNECTIONS",
            Self::TcpSentBytes => "TCP_SENT_BYTES",
            Self::TcpReceivedBytes => "TCP_RECEIVED_BYTES",
            Self::GrpcRequestMessages => "GRPC_REQUEST_MESSAGES",
            Self::GrpcResponseMessages => "GRPC_RESPONSE_MESSAGES",
        }
    }
}

pub(super) fn read(reader: &Reader<'_>) -> Option<Metrics> {
    let fields = reader.fields()?;
    let metrics = Metrics {
        providers: providers(&fields),
        overrides: fields.list("overrides").iter().filter_map(metric_override).collect(),
        reporting_interval: fields.take("reportingInterval").and_then(|interval| interval.duration()),
    };
    fields.finish(&["providers", "overrides", "reportingInterval"]);
    Some(metrics)
}

fn metric_override(reader: &Reader<'_>) -> Option<MetricOverride> {
    let fields = reader.fields()?;
    let (mut metric, mut mode) = (MetricMatch::All, WorkloadMode::default());
    if let Some(selector) = fields.fields("match") {
        let mut words: Vec<(&str, Option<Metric>)> =
            Metric::ALL.iter().map(|metric| (metric.word(), Some(*metric))).collect();
        words.push(("ALL_METRICS", None));
        if let Some(one) = selector.take("metric").and_then(|metric| metric.word(&words)) {
            metric = one.map_or(MetricMatch::All, MetricMatch::One);
        }
        if let Some(custom) = selector.text("customMetric") {
            metric = MetricMatch::Custom(custom);
        }
        mode = selector.take("mode").and_then(|mode| mode.word(&MODES)).unwrap_or_default();
        selector.finish(&["metric", "customMetric", "mode"]);
    }
    let tags = fields.take("tagOverrides").map(|tags| tags.entries()).unwrap_or_default();
    let made = MetricOverride {
        metric,
        mode,
        disabled: fields.take("disabled").and_then(|flag| flag.flag()),
        tags: tags.into_iter().filter_map(|(name, tag)| Some((name, tag_override(&tag)?))).collect(),
    };
    fields.finish(&["match", "disabled", "tagOverrides"]);
    Some(made)
}

fn tag_override(reader: &Reader<'_>) -> Option<TagOverride> {
    let fields = reader.fields()?;
    let remove = fields.take("operation").and_then(|one| one.word(&[("UPSERT", false), ("REMOVE", true)]));
    let value = fields.take("value");
    let made = match (remove.unwrap_or(false), value) {
        (true, None) => Some(TagOverride::Remove),
        (true, Some(value)) => {
            value.report("a label that is removed has no value", "leave the value out");
            None
        }
        (false, Some(value)) => tag_value(&value).map(TagOverride::Upsert),
        (false, None) => {
            fields.report("the label's value is missing", "give value, or operation: REMOVE");
            None
        }
    };
    fields.finish(&["operation", "value"]);
    made
}

/// An attribute, a header or a quoted text; anything else of CEL is refused.
fn tag_value(reader: &Reader<'_>) -> Option<TagValue> {
    let text = reader.text()?;
    let value = expression(text.trim());
    if value.is_none() {
        reader.report(
            format!("the expression {text:?} is not supported"),
            "supported are a quoted text, request.host, request.method, request.url_path, request.protocol, \
             request.scheme, response.code, destination.port, and request.headers['name'] or response.headers['name']",
        );
    }
    value
}

fn expression(text: &str) -> Option<TagValue> {
    if let Some(inner) = text.strip_prefix("string(").and_then(|rest| rest.strip_suffix(')')) {
        return expression(inner.trim());
    }
    if let Some(literal) = quoted(text) {
        return Some(TagValue::Literal(literal.to_owned()));
    }
    let header =
        |prefix: &str| text.strip_prefix(prefix)?.strip_suffix(']').and_then(quoted).map(str::to_ascii_lowercase);
    if let Some(name) = header("request.headers[") {
        return Some(TagValue::RequestHeader(name));
    }
    if let Some(name) = header("response.headers[") {
        return Some(TagValue::ResponseHeader(name));
    }
    Some(match text {
        "request.host" => TagValue::RequestHost,
        "request.method" => TagValue::RequestMethod,
        "request.url_path" => TagValue::RequestPath,
        "request.protocol" => TagValue::RequestProtocol,
        "request.scheme" => TagValue::RequestScheme,
        "response.code" => TagValue::ResponseCode,
        "destination.port" | "upstream.port" => TagValue::DestinationPort,
        _ => return None,
    })
}

/// A text in quotes, without any inside.
fn quoted(text: &str) -> Option<&str> {
    ['\'', '"'].into_iter().find_map(|mark| {
        let inner = text.strip_prefix(mark)?.strip_suffix(mark)?;
        (!inner.contains(mark) && !inner.contains('\\')).then_some(inner)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        for (text, expected) in [
            ("'v1'", Some(TagValue::Literal("v1".into()))),
            ("\"v1\"", Some(TagValue::Literal("v1".into()))),
            ("request.host", Some(TagValue::RequestHost)),
            ("string(destination.port)", Some(TagValue::DestinationPort)),
            ("request.headers['X-User']", Some(TagValue::RequestHeader("x-user".into()))),
            ("'a' + 'b'", None),
            ("connection.mtls", None),
            ("v1", None),
            ("'", None),
            ("string(", None),
        ] {
            assert_eq!(expression(text), expected, "{text}");
        }
    }
}
