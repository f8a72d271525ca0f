//! Finding traces, with the questions that Jaeger's query API asks.

use std::sync::Arc;

use super::{Span, TagValue, Trace, TraceStore};

/// What to find. A trace is found when one of its spans satisfies all of it.
#[derive(Clone, Debug, Default)]
pub struct TraceQuery {
    /// The span's service.
    pub service: Option<String>,
    /// The span's name.
    pub operation: Option<String>,
    /// Tags of the span or its process, as text. `error=true` also finds spans that failed.
    pub tags: Vec<(String, String)>,
    /// The trace begins at or after this, Unix microseconds.
    pub start: Option<u64>,
    /// The trace begins at or before this, Unix microseconds.
    pub end: Option<u64>,
    /// The span takes at least this, microseconds.
    pub least: Option<u64>,
    /// The span takes at most this, microseconds.
    pub most: Option<u64>,
    /// Number of traces, the newest first.
    pub limit: usize,
}

impl TraceStore {
    /// The newest traces that answer the query, newest first.
    pub fn search(&self, query: &TraceQuery) -> Vec<&Trace> {
        let mut found: Vec<&Trace> = Vec::new();
        match &query.service {
            Some(service) => {
                let index = self.services.get(service.as_str());
                for (_, id) in index.into_iter().flatten().rev() {
                    found.extend(self.trace(id).filter(|trace| query.accepts(trace)));
                    if found.len() >= query.limit {
                        break;
                    }
                }
            }
            None => found.extend(self.traces.values().filter(|trace| query.accepts(trace))),
        }
        found.sort_by_key(|trace| std::cmp::Reverse(trace.start()));
        found.truncate(query.limit);
        found
    }

    /// Names of the operations of a service, with the kind of span, sorted.
    pub fn operations(&self, service: &str) -> Vec<(Arc<str>, super::SpanKind)> {
        let mut names: Vec<(Arc<str>, super::SpanKind)> = Vec::new();
        let index = self.services.get(service);
        for span in index.into_iter().flatten().filter_map(|(_, id)| self.trace(id)).flat_map(|trace| &trace.spans) {
            if *span.service == *service && !names.iter().any(|(name, kind)| *name == span.name && *kind == span.kind) {
                names.push((span.name.clone(), span.kind));
            }
        }
        names.sort_by(|(a, _), (b, _)| a.cmp(b));
        names
    }

    /// How often each service called each other, from the parents of spans of traces that began from `start` to `end`.
    pub fn dependencies(&self, start: u64, end: u64) -> Vec<(Arc<str>, Arc<str>, u64)> {
        let mut calls: std::collections::BTreeMap<(Arc<str>, Arc<str>), u64> = std::collections::BTreeMap::new();
        for trace in self.traces.values().filter(|trace| (start..=end).contains(&trace.start())) {
            for span in &trace.spans {
                let parent = trace.spans.iter().find(|other| Some(other.id) == span.parent);
                if let Some(parent) = parent.filter(|parent| parent.service != span.service) {
                    *calls.entry((parent.service.clone(), span.service.clone())).or_default() += 1;
                }
            }
        }
        calls.into_iter().map(|((parent, child), count)| (parent, child, count)).collect()
    }
}

impl TraceQuery {
    fn accepts(&self, trace: &Trace) -> bool {
        let start = trace.start();
        self.start.is_none_or(|from| start >= from)
            && self.end.is_none_or(|to| start <= to)
            && trace.spans.iter().any(|span| self.accepts_span(span))
    }

    fn accepts_span(&self, span: &Span) -> bool {
        self.service.as_deref().is_none_or(|service| *span.service == *service)
            && self.operation.as_deref().is_none_or(|operation| *span.name == *operation)
            && self.least.is_none_or(|least| span.duration >= least)
            && self.most.is_none_or(|most| span.duration <= most)
            && self.tags.iter().all(|(name, value)| has_tag(span, name, value))
    }
}

fn has_tag(span: &Span, name: &str, value: &str) -> bool {
    let says = |(tag, tagged): &(Arc<str>, TagValue)| {
        **tag == *name
            && match tagged {
                TagValue::Text(text) => **text == *value,
                TagValue::Flag(flag) => flag.to_string() == value,
                TagValue::Integer(number) => number.to_string() == value,
                TagValue::Number(number) => number.to_string() == value,
            }
    };
    (name == "error" && value == "true" && span.error) || span.tags.iter().any(says) || span.process.iter().any(says)
}
