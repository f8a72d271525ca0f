//! `extensionProviders`: where spans, metrics and access logs go, by name.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::reader::{Fields, Reader};

/// A provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    pub name: String,
    pub kind: ProviderKind,
}

/// What a provider is.
#[derive(Clone, Debug, PartialEq)]
pub enum ProviderKind {
    Zipkin(Collector),
    /// Over HTTP if the collector has a path, else over gRPC.
    OpenTelemetry(Collector),
    FileAccessLog {
        path: String,
        format: LogFormat,
    },
    OtelAccessLog {
        collector: Collector,
        log_name: String,
        format: LogFormat,
    },
    Prometheus,
}

/// A server that takes telemetry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collector {
    /// A service of the mesh; `namespace/host` names its namespace too.
    pub service: String,
    pub port: u16,
    pub path: Option<String>,
    pub timeout: Option<Duration>,
    /// Longest tag in bytes.
    pub max_tag_length: Option<u32>,
}

/// How an entry of an access log is written.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum LogFormat {
    /// Envoy's.
    #[default]
    Default,
    /// With Envoy's command operators.
    Text(String),
    /// Keys, and texts with command operators.
    Labels(BTreeMap<String, String>),
}

/// Providers of Istio that are not acted on.
const NOT_SUPPORTED: [&str; 10] = [
    "envoyExtAuthzHttp",
    "envoyExtAuthzGrpc",
    "lightstep",
    "datadog",
    "stackdriver",
    "opencensus",
    "skywalking",
    "envoyHttpAls",
    "envoyTcpAls",
    "sds",
];

pub(super) fn read(reader: &Reader<'_>) -> Option<Provider> {
    let fields = reader.fields()?;
    let name = fields.require("name")?.text()?;
    let kind = if let Some(zipkin) = fields.fields("zipkin") {
        // How identifiers are written is decided by the request that brings a trace.
        zipkin.take("enable64bitTraceId");
        zipkin.take("traceContextOption");
        collector(zipkin).map(ProviderKind::Zipkin)
    } else if let Some(otel) = fields.fields("opentelemetry") {
        otel.take("grpc");
        collector(otel).map(ProviderKind::OpenTelemetry)
    } else if let Some(log) = fields.fields("envoyFileAccessLog") {
        let path = log.text("path").unwrap_or_else(|| "/dev/stdout".to_owned());
        let format = log.fields("logFormat").map(log_format).unwrap_or_default();
        log.finish(&["path", "logFormat"]);
        Some(ProviderKind::FileAccessLog { path, format })
    } else if let Some(log) = fields.fields("envoyOtelAls") {
        let log_name = log.text("logName").unwrap_or_default();
        let format = log.fields("logFormat").map(log_format).unwrap_or_default();
        collector(log).map(|collector| ProviderKind::OtelAccessLog { collector, log_name, format })
    } else {
        fields.take("prometheus").map(|_| ProviderKind::Prometheus)
    };
    fields.not_supported(&NOT_SUPPORTED);
    fields.finish(&["name", "zipkin", "opentelemetry", "envoyFileAccessLog", "envoyOtelAls", "prometheus"]);
    Some(Provider { name, kind: kind? })
}

fn collector(fields: Fields<'_>) -> Option<Collector> {
    let mut collector = Collector {
        service: fields.require("service")?.text()?,
        port: fields.require("port").and_then(|_| fields.port("port"))?,
        path: fields.text("path"),
        timeout: fields.duration("timeout"),
        max_tag_length: fields.count("maxTagLength").filter(|most| *most > 0),
    };
    if let Some(http) = fields.fields("http") {
        collector.path = http.text("path");
        collector.timeout = http.duration("timeout");
        http.not_supported(&["headers"]);
        http.finish(&["path", "timeout"]);
    }
    fields.not_supported(&["headers", "resourceDetectors", "dynatraceSampler", "serviceAttributeEnrichment"]);
    fields.finish(&["service", "port", "path", "timeout", "maxTagLength", "http"]);
    Some(collector)
}

fn log_format(fields: Fields<'_>) -> LogFormat {
    let text = fields.text("text").map(LogFormat::Text);
    let labels = fields.take("labels").map(|labels| LogFormat::Labels(labels.text_map()));
    fields.finish(&["text", "labels"]);
    text.or(labels).unwrap_or_default()
}
