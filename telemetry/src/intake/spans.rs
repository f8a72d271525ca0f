//! OTLP spans into traces.

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind as OtlpKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span as OtlpSpan};
use orrery_store::{Span, SpanKind, TagValue, TraceStore};

use super::{MOST_ATTRIBUTES, Refused, Resource, text_of};
use crate::shared::Shared;

/// Longest tag value, name of a span or service, bytes; more is cut off.
const MOST_TEXT: usize = 2048;

type Tags = Vec<(Arc<str>, TagValue)>;

/// Takes all spans of a message; says what was refused.
pub(crate) fn take_spans(shared: &Shared, message: &[ResourceSpans]) -> Refused {
    let mut refused = Refused::default();
    let now = shared.now();
    for part in message {
        let resource = Resource::read(part.resource.as_ref());
        if resource.scrape.is_some() {
            shared.targets.lock().note(&resource, now, None);
        }
        let mut store = shared.traces.write();
        let name = if resource.service.is_empty() { "unknown_service" } else { &resource.service };
        let service = store.intern(cut(name));
        let attributes = part.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        let process: Arc<[(Arc<str>, TagValue)]> =
            tags(&mut store, attributes).into_iter().filter(|(name, _)| **name != *"service.name").collect();
        for span in part.scope_spans.iter().flat_map(|scope| &scope.spans) {
            match read(&mut store, span, &service, &process) {
                Some(span) => store.add(span),
                None => refused.add("span without a valid trace id, span id or time"),
            }
        }
    }
    refused
}

fn read(
    store: &mut TraceStore,
    span: &OtlpSpan,
    service: &Arc<str>,
    process: &Arc<[(Arc<str>, TagValue)]>,
) -> Option<Span> {
    let trace = id(&span.trace_id)?;
    let own = id(&span.span_id)?;
    if span.start_time_unix_nano == 0 || span.end_time_unix_nano < span.start_time_unix_nano {
        return None;
    }
    let error = span.status.as_ref().is_some_and(|status| status.code == StatusCode::Error as i32);
    let mut all = tags(store, &span.attributes);
    if let Some(status) = span.status.as_ref().filter(|status| !status.message.is_empty()) {
        let name = store.intern("otel.status_description");
        all.push((name, TagValue::Text(store.intern(cut(&status.message)))));
    }
    Some(Span {
        trace,
        id: own,
        parent: id(&span.parent_span_id),
        service: service.clone(),
        name: store.intern(cut(&span.name)),
        kind: kind(span.kind),
        start: span.start_time_unix_nano / 1000,
        duration: (span.end_time_unix_nano - span.start_time_unix_nano) / 1000,
        error,
        tags: all,
        process: process.clone(),
    })
}

fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok().filter(|id| *id != [0; N])
}

fn kind(number: i32) -> SpanKind {
    match OtlpKind::try_from(number) {
        Ok(OtlpKind::Internal) => SpanKind::Internal,
        Ok(OtlpKind::Server) => SpanKind::Server,
        Ok(OtlpKind::Client) => SpanKind::Client,
        Ok(OtlpKind::Producer) => SpanKind::Producer,
        Ok(OtlpKind::Consumer) => SpanKind::Consumer,
        Ok(OtlpKind::Unspecified) | Err(_) => SpanKind::Unspecified,
    }
}

fn tags(store: &mut TraceStore, attributes: &[KeyValue]) -> Tags {
    let mut all = Vec::with_capacity(attributes.len().min(MOST_ATTRIBUTES));
    for attribute in attributes.iter().take(MOST_ATTRIBUTES) {
        if let Some(value) = value(store, attribute.value.as_ref()) {
            all.push((store.intern(cut(&attribute.key)), value));
        }
    }
    all
}

fn value(store: &mut TraceStore, value: Option<&AnyValue>) -> Option<TagValue> {
    Some(match value?.value.as_ref()? {
        Value::BoolValue(flag) => TagValue::Flag(*flag),
        Value::IntValue(number) => TagValue::Integer(*number),
        Value::DoubleValue(number) => TagValue::Number(*number),
        Value::StringValue(_)
        | Value::ArrayValue(_)
        | Value::KvlistValue(_)
        | Value::BytesValue(_)
        | Value::StringValueStrindex(_) => TagValue::Text(store.intern(cut(&text_of(value)?))),
    })
}

fn cut(text: &str) -> &str {
    let end = (0..=MOST_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or("")
}
