//! A registry as OTLP metrics: cumulative sums and explicit-bucket histograms under their Prometheus names.

use std::collections::HashMap;
use std::time::SystemTime;

use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1 as pb;
use opentelemetry_proto::tonic::resource::v1::Resource as ResourceMessage;

use crate::catalogue::{Family, ISTIO_BUCKETS};
use crate::labels::{HttpLabels, MessageLabels, Pairs, TcpLabels};
use crate::registry::{Reading, Registry, Resource, Total};
use crate::series::{HttpSeries, MessageSeries, TcpSeries};

/// What was pushed last of each series, by the address of its label set's series: series that did not change since
/// are left out.
#[derive(Debug, Default)]
pub(crate) struct Pushed(HashMap<usize, (SystemTime, u64), foldhash::fast::RandomState>);

impl Pushed {
    /// Forgets everything, so that the next message is complete.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    fn changed<L, S: Total>(&mut self, readings: Vec<Reading<L, S>>) -> Vec<Reading<L, S>> {
        let mut changed = readings;
        changed.retain(|reading| {
            let key = std::sync::Arc::as_ptr(&reading.series).addr();
            // An address may belong to another series by now, which the time of creation tells.
            let state = (reading.created, reading.series.total());
            self.0.insert(key, state) != Some(state)
        });
        changed
    }
}

/// Everything that changed since `pushed`, with at most so many label sets of a kind in one message: a receiver refuses
/// messages above its limit, and would refuse a larger one forever. Nothing when nothing changed.
pub(crate) fn messages(
    registry: &Registry,
    pushed: &mut Pushed,
    now: SystemTime,
    label_sets: usize,
) -> Vec<pb::ResourceMetrics> {
    let now = nanoseconds(now);
    let http = pushed.changed(registry.read_http());
    let tcp = pushed.changed(registry.read_tcp());
    let messages = pushed.changed(registry.read_messages());
    let (mut http, mut tcp, mut messages) =
        (http.chunks(label_sets), tcp.chunks(label_sets), messages.chunks(label_sets));
    std::iter::from_fn(|| {
        let metrics = [
            http_metrics(http.next().unwrap_or_default(), now),
            tcp_metrics(tcp.next().unwrap_or_default(), now),
            message_metrics(messages.next().unwrap_or_default(), now),
        ];
        let metrics: Vec<pb::Metric> = metrics.into_iter().flatten().collect();
        (!metrics.is_empty()).then(|| message(registry.resource(), metrics))
    })
    .collect()
}

fn message(of: &Resource, metrics: Vec<pb::Metric>) -> pb::ResourceMetrics {
    let scope =
        InstrumentationScope { name: "orrery".into(), version: env!("CARGO_PKG_VERSION").into(), ..Default::default() };
    pb::ResourceMetrics {
        resource: Some(resource(of)),
        scope_metrics: vec![pb::ScopeMetrics { scope: Some(scope), metrics, schema_url: String::new() }],
        schema_url: String::new(),
    }
}

/// Resource attributes of the metrics; [`attributes_of`] has the same for spans.
fn resource(resource: &Resource) -> ResourceMessage {
    let attributes = attributes_of(resource).into_iter().map(|(key, value)| attribute(key, value)).collect();
    ResourceMessage { attributes, ..Default::default() }
}

/// Names and values of a resource's attributes; empty ones are left out.
pub(crate) fn attributes_of(resource: &Resource) -> Vec<(&'static str, &str)> {
    let all = [
        ("service.name", resource.service_name.as_str()),
        ("service.instance.id", &resource.instance_id),
        ("k8s.pod.name", &resource.pod),
        ("k8s.namespace.name", &resource.namespace),
        ("app", &resource.app),
        ("version", &resource.version),
        ("orrery.scrape.address", &resource.scrape_address),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

fn http_metrics(readings: &[Reading<HttpLabels, HttpSeries>], now: u64) -> Vec<pb::Metric> {
    if readings.is_empty() {
        return Vec::new();
    }
    vec![
        sum(Family::RequestsTotal, readings, now, |s| s.requests.value()),
        histogram(Family::RequestDurationMilliseconds, readings, now, |s| &s.duration),
        histogram(Family::RequestBytes, readings, now, |s| &s.request_bytes),
        histogram(Family::ResponseBytes, readings, now, |s| &s.response_bytes),
    ]
}

fn tcp_metrics(readings: &[Reading<TcpLabels, TcpSeries>], now: u64) -> Vec<pb::Metric> {
    if readings.is_empty() {
        return Vec::new();
    }
    vec![
        sum(Family::TcpConnectionsOpenedTotal, readings, now, |s| s.opened.value()),
        sum(Family::TcpConnectionsClosedTotal, readings, now, |s| s.closed.value()),
        sum(Family::TcpSentBytesTotal, readings, now, |s| s.sent.value()),
        sum(Family::TcpReceivedBytesTotal, readings, now, |s| s.received.value()),
    ]
}

fn message_metrics(readings: &[Reading<MessageLabels, MessageSeries>], now: u64) -> Vec<pb::Metric> {
    if readings.is_empty() {
        return Vec::new();
    }
    vec![
        sum(Family::RequestMessagesTotal, readings, now, |s| s.request.value()),
        sum(Family::ResponseMessagesTotal, readings, now, |s| s.response.value()),
    ]
}

fn sum<L: Pairs, S>(family: Family, readings: &[Reading<L, S>], now: u64, value: impl Fn(&S) -> u64) -> pb::Metric {
    let data_points = readings
        .iter()
        .map(|reading| pb::NumberDataPoint {
            attributes: attributes(&reading.labels),
            start_time_unix_nano: nanoseconds(reading.created),
            time_unix_nano: now,
            value: Some(pb::number_data_point::Value::AsInt(i64::try_from(value(&reading.series)).unwrap_or(i64::MAX))),
            ..Default::default()
        })
        .collect();
    let sum = pb::Sum {
        data_points,
        aggregation_temporality: pb::AggregationTemporality::Cumulative.into(),
        is_monotonic: true,
    };
    metric(family, pb::metric::Data::Sum(sum))
}

fn histogram<L: Pairs, S>(
    family: Family,
    readings: &[Reading<L, S>],
    now: u64,
    value: impl Fn(&S) -> &crate::histogram::Histogram,
) -> pb::Metric {
    let data_points = readings
        .iter()
        .map(|reading| {
            let value = value(&reading.series).value();
            pb::HistogramDataPoint {
                attributes: attributes(&reading.labels),
                start_time_unix_nano: nanoseconds(reading.created),
                time_unix_nano: now,
                count: value.count,
                sum: Some(value.sum),
                bucket_counts: value.buckets.to_vec(),
                explicit_bounds: ISTIO_BUCKETS.to_vec(),
                ..Default::default()
            }
        })
        .collect();
    let histogram =
        pb::Histogram { data_points, aggregation_temporality: pb::AggregationTemporality::Cumulative.into() };
    metric(family, pb::metric::Data::Histogram(histogram))
}

fn metric(family: Family, data: pb::metric::Data) -> pb::Metric {
    pb::Metric {
        name: family.name().into(),
        description: family.help().into(),
        unit: family.unit().into(),
        data: Some(data),
        ..Default::default()
    }
}

fn attributes(labels: &dyn Pairs) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(26);
    labels.pairs(&mut |name, value| {
        if !value.is_empty() {
            attributes.push(attribute(name, value));
        }
    });
    attributes
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..Default::default() }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
