//! A registry as Prometheus text, through prometheus-client's encoder.
//!
//! That encoder writes OpenMetrics; what differs from the text format 0.0.4 (counter families named without `_total`,
//! `# UNIT`, `# EOF`) is put right here, so that every Prometheus and promtool read it.

use std::fmt;
use std::time::SystemTime;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, LabelSetEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::catalogue::{Family, ISTIO_BUCKETS, Kind};
use crate::histogram::HistogramValue;
use crate::labels::Pairs;
use crate::process;
use crate::registry::{Reading, Registry};

pub(crate) fn encode(registry: &Registry) -> String {
    // A process that pushes nowhere forgets idle series too.
    registry.expire(SystemTime::now());
    let mut prometheus = prometheus_client::registry::Registry::default();
    prometheus.register_collector(Box::new(View(registry.clone())));
    let mut text = String::new();
    if let Err(error) = text::encode(&mut text, &prometheus) {
        // Writing into a string fails only when a value cannot be displayed, which none of ours can.
        tracing::error!(%error, "metrics could not be encoded");
    }
    classic(&text)
}

#[derive(Debug)]
struct View(Registry);

/// Adapts [`Pairs`] to the encoder; empty values are left out.
struct LabelSet<'a, L>(&'a L);

impl<L: Pairs> EncodeLabelSet for LabelSet<'_, L> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let mut result = Ok(());
        self.0.pairs(&mut |name, value| {
            if !value.is_empty() && result.is_ok() {
                result = prometheus_client::encoding::EncodeLabel::encode(&(name, value), encoder.encode_label());
            }
        });
        result
    }
}

impl Collector for View {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let registry = &self.0;
        encode_process(&mut encoder, registry)?;
        let http = registry.read_http();
        encode_family(&mut encoder, Family::RequestsTotal, &http, |s| Value::Count(s.requests.value()))?;
        encode_family(&mut encoder, Family::RequestDurationMilliseconds, &http, |s| {
            Value::Distribution(s.duration.value())
        })?;
        encode_family(&mut encoder, Family::RequestBytes, &http, |s| Value::Distribution(s.request_bytes.value()))?;
        encode_family(&mut encoder, Family::ResponseBytes, &http, |s| Value::Distribution(s.response_bytes.value()))?;
        let tcp = registry.read_tcp();
        encode_family(&mut encoder, Family::TcpConnectionsOpenedTotal, &tcp, |s| Value::Count(s.opened.value()))?;
        encode_family(&mut encoder, Family::TcpConnectionsClosedTotal, &tcp, |s| Value::Count(s.closed.value()))?;
        encode_family(&mut encoder, Family::TcpSentBytesTotal, &tcp, |s| Value::Count(s.sent.value()))?;
        encode_family(&mut encoder, Family::TcpReceivedBytesTotal, &tcp, |s| Value::Count(s.received.value()))?;
        let messages = registry.read_messages();
        encode_family(&mut encoder, Family::RequestMessagesTotal, &messages, |s| Value::Count(s.request.value()))?;
        encode_family(&mut encoder, Family::ResponseMessagesTotal, &messages, |s| Value::Count(s.response.value()))
    }
}

enum Value {
    Count(u64),
    Distribution(HistogramValue),
}

fn encode_family<L: Pairs, S>(
    encoder: &mut DescriptorEncoder<'_>,
    family: Family,
    readings: &[Reading<L, S>],
    value: impl Fn(&S) -> Value,
) -> fmt::Result {
    if readings.is_empty() {
        return Ok(());
    }
    let mut metrics = describe(encoder, family)?;
    for reading in readings {
        let labels = LabelSet(&reading.labels);
        let mut metric = metrics.encode_family(&labels)?;
        match value(&reading.series) {
            Value::Count(count) => metric.encode_counter::<NoLabelSet, _, u64>(&count, None)?,
            Value::Distribution(histogram) => {
                let bounds = ISTIO_BUCKETS.into_iter().chain([f64::INFINITY]);
                let buckets: Vec<(f64, u64)> = bounds.zip(histogram.buckets).collect();
                metric.encode_histogram::<NoLabelSet>(histogram.sum, histogram.count, &buckets, None)?;
            }
        }
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn encode_process(encoder: &mut DescriptorEncoder<'_>, registry: &Registry) -> fmt::Result {
    let resource = registry.resource();
    let build = [("component", resource.component), ("tag", resource.tag)];
    describe(encoder, Family::Build)?.encode_family(&build)?.encode_gauge(&1u64)?;
    describe(encoder, Family::RefusedSeriesTotal)?.encode_counter::<NoLabelSet, _, u64>(&registry.refused(), None)?;
    let udp = registry.datagrams();
    for (family, counter) in [
        (Family::UdpDroppedDatagramsTotal, &udp.dropped),
        (Family::UdpReceivedBytesTotal, &udp.received),
        (Family::UdpSentBytesTotal, &udp.sent),
        (Family::UdpSessionsClosedTotal, &udp.closed),
        (Family::UdpSessionsOpenedTotal, &udp.opened),
    ] {
        describe(encoder, family)?.encode_counter::<NoLabelSet, _, u64>(&counter.value(), None)?;
    }
    let Some(figures) = process::read() else { return Ok(()) };
    describe(encoder, Family::ProcessCpuSecondsTotal)?
        .encode_counter::<NoLabelSet, _, u64>(&figures.cpu_seconds, None)?;
    describe(encoder, Family::ProcessOpenFds)?.encode_gauge(&figures.open_fds)?;
    describe(encoder, Family::ProcessResidentMemoryBytes)?.encode_gauge(&figures.resident_bytes)?;
    describe(encoder, Family::ProcessStartTimeSeconds)?.encode_gauge(&figures.start_seconds)
}

fn describe<'s>(
    encoder: &'s mut DescriptorEncoder<'_>,
    family: Family,
) -> Result<prometheus_client::encoding::MetricEncoder<'s>, fmt::Error> {
    let (name, kind) = match family.kind() {
        // The encoder puts `_total` after a counter's name.
        Kind::Counter => (family.name().trim_end_matches("_total"), MetricType::Counter),
        Kind::Gauge => (family.name(), MetricType::Gauge),
        Kind::Histogram => (family.name(), MetricType::Histogram),
    };
    encoder.encode_descriptor(name, family.help(), None, kind)
}

/// OpenMetrics text to Prometheus text 0.0.4.
fn classic(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    let mut help: Option<&str> = None;
    for line in openmetrics.lines() {
        if line.starts_with("# HELP ") {
            help = Some(line);
            continue;
        }
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let counter = line.strip_prefix("# TYPE ").and_then(|rest| rest.strip_suffix(" counter"));
        if let Some(help) = help.take() {
            push_line(&mut text, &rename(help, counter));
        }
        match counter {
            Some(name) => push_line(&mut text, &format!("# TYPE {name}_total counter")),
            None => push_line(&mut text, line),
        }
    }
    text
}

/// `# HELP name words` with `_total` after a counter's name.
fn rename(help: &str, counter: Option<&str>) -> String {
    match counter.and_then(|name| help.strip_prefix("# HELP ")?.strip_prefix(name)) {
        Some(words) => format!("# HELP {}_total{words}", counter.unwrap_or_default()),
        None => help.to_owned(),
    }
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
