//! A trace in Jaeger's JSON.

use std::fmt::Write;
use std::sync::Arc;

use orrery_store::traces::Trace;
use orrery_store::{Span, TagValue};
use serde_json::{Map, Value, json};

use super::kind_name;

/// The spans that share a service and what is known about its process refer to one entry of `processes`.
type Process<'a> = (&'a Arc<str>, &'a Arc<[(Arc<str>, TagValue)]>);

pub(super) fn trace(trace: &Trace) -> Value {
    let mut processes: Vec<Process<'_>> = Vec::new();
    let mut spans: Vec<&Span> = trace.spans.iter().collect();
    spans.sort_by_key(|span| span.start);
    let written: Vec<Value> = spans
        .into_iter()
        .map(|one| {
            let own = (&one.service, &one.process);
            let at = processes.iter().position(|known| *known == own).unwrap_or_else(|| {
                processes.push(own);
                processes.len() - 1
            });
            span(one, at)
        })
        .collect();
    let named: Map<String, Value> = processes
        .iter()
        .enumerate()
        .map(|(at, (service, about))| (format!("p{}", at + 1), json!({ "serviceName": service, "tags": tags(about) })))
        .collect();
    let id = trace.spans.first().map(|span| hex(&span.trace)).unwrap_or_default();
    json!({ "traceID": id, "spans": written, "processes": named, "warnings": null })
}

fn span(span: &Span, process: usize) -> Value {
    let trace = hex(&span.trace);
    let references: Vec<Value> = span
        .parent
        .iter()
        .map(|parent| json!({ "refType": "CHILD_OF", "traceID": trace, "spanID": hex(parent) }))
        .collect();
    let mut all = tags(&span.tags);
    let has = |all: &[Value], name: &str| all.iter().any(|tag| tag.get("key").is_some_and(|key| key == name));
    let kind = kind_name(span.kind);
    if !kind.is_empty() && !has(&all, "span.kind") {
        all.push(json!({ "key": "span.kind", "type": "string", "value": kind }));
    }
    if span.error && !has(&all, "error") {
        all.push(json!({ "key": "error", "type": "bool", "value": true }));
    }
    json!({
        "traceID": trace,
        "spanID": hex(&span.id),
        "flags": 1,
        "operationName": span.name,
        "references": references,
        "startTime": span.start,
        "duration": span.duration,
        "tags": all,
        "logs": [],
        "processID": format!("p{}", process + 1),
        "warnings": null,
    })
}

fn tags(tags: &[(Arc<str>, TagValue)]) -> Vec<Value> {
    let write = |(key, value): &(Arc<str>, TagValue)| match value {
        TagValue::Text(text) => json!({ "key": key, "type": "string", "value": text }),
        TagValue::Flag(flag) => json!({ "key": key, "type": "bool", "value": flag }),
        TagValue::Integer(number) => json!({ "key": key, "type": "int64", "value": number }),
        TagValue::Number(number) => json!({ "key": key, "type": "float64", "value": number }),
    };
    tags.iter().map(write).collect()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
