//! What a proxy reports, in Envoy's messages: tracing, access logs, and metrics in the form of Istio's stats filter.

use envoy_types::pb::envoy::config::accesslog::v3::access_log::ConfigType as LogConfig;
use envoy_types::pb::envoy::config::accesslog::v3::access_log_filter::FilterSpecifier;
use envoy_types::pb::envoy::config::accesslog::v3::comparison_filter::Op;
use envoy_types::pb::envoy::config::accesslog::v3::{
    AccessLog, AccessLogFilter, AndFilter, ComparisonFilter, DurationFilter, HeaderFilter, OrFilter,
    ResponseFlagFilter, StatusCodeFilter,
};
use envoy_types::pb::envoy::config::core::v3::grpc_service::{EnvoyGrpc, TargetSpecifier};
use envoy_types::pb::envoy::config::core::v3::http_uri::HttpUpstreamType;
use envoy_types::pb::envoy::config::core::v3::{GrpcService, HttpService, HttpUri, RuntimeUInt32};
use envoy_types::pb::envoy::config::route::v3::HeaderMatcher;
use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::config::trace::v3::tracing::Http as Tracer;
use envoy_types::pb::envoy::config::trace::v3::tracing::http::ConfigType as TracerConfig;
use envoy_types::pb::envoy::config::trace::v3::zipkin_config::CollectorEndpointVersion;
use envoy_types::pb::envoy::config::trace::v3::{OpenTelemetryConfig, ZipkinConfig};
use envoy_types::pb::envoy::extensions::access_loggers::open_telemetry::v3::OpenTelemetryAccessLogConfig;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::Tracing;
use envoy_types::pb::envoy::r#type::matcher::v3::StringMatcher;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::tracing::v3::CustomTag as TagMessage;
use envoy_types::pb::envoy::r#type::tracing::v3::custom_tag::{Environment, Header, Literal, Type};
use envoy_types::pb::envoy::r#type::v3::Percent;
use envoy_types::pb::opentelemetry::proto::common::v1::any_value::Value as OtelValue;
use envoy_types::pb::opentelemetry::proto::common::v1::{AnyValue, KeyValue, KeyValueList};
use envoy_types::util::pack_any;
use orrery_api::{Collector, Comparison, Condition, CustomTag, LogFormat, Pattern, Provider, ProviderKind, Subject};

use super::access_log;
use super::cluster::outbound_name;
use super::value::{duration, number};
use crate::telemetry::{Log, Reporting, Sink};
use crate::world::World;

/// How long a collector may take for spans.
const SPANS_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

impl Reporting {
    /// `None`: requests keep the trace context that they come with.
    pub(super) fn tracing(&self, world: &World) -> Option<Tracing> {
        let tracing = self.tracing.as_ref()?;
        let percent = |value| Some(Percent { value });
        let longest = tracing.provider.as_ref().and_then(|provider| match &provider.kind {
            ProviderKind::Zipkin(collector) | ProviderKind::OpenTelemetry(collector) => collector.max_tag_length,
            ProviderKind::FileAccessLog { .. } | ProviderKind::OtelAccessLog { .. } | ProviderKind::Prometheus => None,
        });
        Some(Tracing {
            client_sampling: percent(100.0),
            random_sampling: percent(tracing.sampling),
            overall_sampling: percent(100.0),
            max_path_tag_length: longest.and_then(number),
            custom_tags: tracing.tags.iter().map(|(name, tag)| custom_tag(name, tag)).collect(),
            provider: tracing.provider.as_ref().and_then(|provider| tracer(world, provider)),
            ..Default::default()
        })
    }

    pub(super) fn access_logs(&self, world: &World) -> Vec<AccessLog> {
        self.logs.iter().filter_map(|log| self::log(world, log)).collect()
    }
}

fn custom_tag(name: &str, tag: &CustomTag) -> TagMessage {
    let value = match tag {
        CustomTag::Literal(value) => Type::Literal(Literal { value: value.clone() }),
        CustomTag::Environment { name, default } => {
            Type::Environment(Environment { name: name.clone(), default_value: default.clone() })
        }
        CustomTag::Header { name, default } => {
            Type::RequestHeader(Header { name: name.clone(), default_value: default.clone() })
        }
    };
    TagMessage { tag: name.to_owned(), r#type: Some(value) }
}

/// Where spans go; nothing where the collector is no service of the mesh: Envoy would refuse the whole listener.
fn tracer(world: &World, provider: &Provider) -> Option<Tracer> {
    let typed = |name: &str, config| {
        Some(Tracer { name: name.to_owned(), config_type: Some(TracerConfig::TypedConfig(config)) })
    };
    match &provider.kind {
        ProviderKind::Zipkin(collector) => {
            let (cluster, host) = target(world, collector)?;
            let config = ZipkinConfig {
                collector_cluster: cluster,
                collector_endpoint: collector.path.clone().unwrap_or_else(|| "/api/v2/spans".to_owned()),
                collector_hostname: host,
                collector_endpoint_version: CollectorEndpointVersion::HttpJson.into(),
                trace_id_128bit: true,
                shared_span_context: super::value::flag(false),
                ..Default::default()
            };
            typed("envoy.tracers.zipkin", pack_any(config))
        }
        ProviderKind::OpenTelemetry(collector) => {
            let (cluster, host) = target(world, collector)?;
            let mut config = OpenTelemetryConfig { service_name: String::new(), ..Default::default() };
            match &collector.path {
                None => config.grpc_service = Some(grpc(cluster, host, collector)),
                Some(path) => {
                    let uri = HttpUri {
                        uri: format!("http://{host}:{}{path}", collector.port),
                        timeout: duration(collector.timeout.unwrap_or(SPANS_TIMEOUT)),
                        http_upstream_type: Some(HttpUpstreamType::Cluster(cluster)),
                    };
                    config.http_service = Some(HttpService { http_uri: Some(uri), ..Default::default() });
                }
            }
            typed("envoy.tracers.opentelemetry", pack_any(config))
        }
        ProviderKind::FileAccessLog { .. } | ProviderKind::OtelAccessLog { .. } | ProviderKind::Prometheus => None,
    }
}

fn grpc(cluster: String, host: String, collector: &Collector) -> GrpcService {
    let target = EnvoyGrpc { cluster_name: cluster, authority: host, ..Default::default() };
    GrpcService {
        timeout: collector.timeout.and_then(duration),
        target_specifier: Some(TargetSpecifier::EnvoyGrpc(target)),
        ..Default::default()
    }
}

/// A collector's cluster and host.
fn target(world: &World, collector: &Collector) -> Option<(String, String)> {
    let (namespace, host) = collector.service.split_once('/').unwrap_or(("", &collector.service));
    let namespace = if namespace.is_empty() { &world.settings().root_namespace } else { namespace };
    let host = world.resolve(host, namespace);
    let service = world.registry().service(&host)?;
    let has_port = service.ports.iter().any(|port| port.number == collector.port);
    has_port.then(|| (outbound_name(collector.port, "", &host), host))
}

fn log(world: &World, log: &Log) -> Option<AccessLog> {
    let filter = log.filter.as_ref().map(condition);
    match &log.sink {
        Sink::File(file) => Some(access_log::file(file, filter)),
        Sink::OpenTelemetry { collector, log_name, format } => {
            let (cluster, host) = target(world, collector)?;
            let name = if log_name.is_empty() { "otel_envoy_accesslog" } else { log_name };
            let mut config = OpenTelemetryAccessLogConfig {
                log_name: name.to_owned(),
                grpc_service: Some(grpc(cluster, host, collector)),
                disable_builtin_labels: true,
                ..Default::default()
            };
            match format {
                LogFormat::Default => {}
                LogFormat::Text(text) => config.body = Some(otel_text(text)),
                LogFormat::Labels(labels) => {
                    let one = |(key, value): (&String, &String)| KeyValue {
                        key: key.clone(),
                        value: Some(otel_text(value)),
                        ..Default::default()
                    };
                    config.attributes = Some(KeyValueList { values: labels.iter().map(one).collect() });
                }
            }
            Some(AccessLog {
                name: "envoy.access_loggers.open_telemetry".to_owned(),
                filter,
                config_type: Some(LogConfig::TypedConfig(pack_any(config))),
            })
        }
    }
}

fn otel_text(text: &str) -> AnyValue {
    AnyValue { value: Some(OtelValue::StringValue(text.to_owned())) }
}

fn all(parts: &[Condition]) -> Vec<AccessLogFilter> {
    parts.iter().map(condition).collect()
}

fn condition(condition: &Condition) -> AccessLogFilter {
    let specifier = match condition {
        Condition::All(parts) => FilterSpecifier::AndFilter(AndFilter { filters: all(parts) }),
        Condition::Any(parts) => FilterSpecifier::OrFilter(OrFilter { filters: all(parts) }),
        Condition::Is(one) => comparison(one),
    };
    AccessLogFilter { filter_specifier: Some(specifier) }
}

fn comparison(comparison: &Comparison) -> FilterSpecifier {
    match comparison {
        Comparison::Code { least, most } => code(*least, *most),
        Comparison::Duration { milliseconds, at_least: true } => {
            FilterSpecifier::DurationFilter(DurationFilter { comparison: compare(Op::Ge, *milliseconds) })
        }
        Comparison::Duration { milliseconds, at_least: false } => FilterSpecifier::DurationFilter(DurationFilter {
            comparison: compare(Op::Le, milliseconds.saturating_sub(1)),
        }),
        Comparison::Flagged => FilterSpecifier::ResponseFlagFilter(ResponseFlagFilter::default()),
        Comparison::Text { subject, pattern, negated } => {
            FilterSpecifier::HeaderFilter(HeaderFilter { header: Some(header(subject, pattern, *negated)) })
        }
    }
}

/// A range is made of its ends; codes are never above 999, and 0 is that of requests without an answer.
fn code(least: u32, most: u32) -> FilterSpecifier {
    let one = |op, value| FilterSpecifier::StatusCodeFilter(StatusCodeFilter { comparison: compare(op, value) });
    match (least, most) {
        (least, most) if least == most => one(Op::Eq, least),
        (0, most) => one(Op::Le, most),
        (least, u32::MAX) => one(Op::Ge, least),
        (least, most) => {
            let both = [one(Op::Ge, least), one(Op::Le, most)];
            let filters = both.into_iter().map(|one| AccessLogFilter { filter_specifier: Some(one) }).collect();
            FilterSpecifier::AndFilter(AndFilter { filters })
        }
    }
}

/// Envoy insists on a key for run-time changes; nothing is ever set under it.
fn compare(op: Op, value: u32) -> Option<ComparisonFilter> {
    let value = RuntimeUInt32 { default_value: value, runtime_key: "orrery.access_log.filter".to_owned() };
    Some(ComparisonFilter { op: op.into(), value: Some(value) })
}

fn header(subject: &Subject, pattern: &Pattern, negated: bool) -> HeaderMatcher {
    let name = match subject {
        Subject::Header(name) => name,
        Subject::Host => ":authority",
        Subject::Method => ":method",
        Subject::Path => ":path",
    };
    let text = |pattern| {
        HeaderMatchSpecifier::StringMatch(StringMatcher { match_pattern: Some(pattern), ..Default::default() })
    };
    let specifier = match pattern {
        Pattern::Exact(value) => text(MatchPattern::Exact(value.clone())),
        Pattern::Prefix(value) => text(MatchPattern::Prefix(value.clone())),
        Pattern::Suffix(value) => text(MatchPattern::Suffix(value.clone())),
        Pattern::Contains(value) => text(MatchPattern::Contains(value.clone())),
        Pattern::Present => HeaderMatchSpecifier::PresentMatch(true),
    };
    HeaderMatcher {
        name: name.to_owned(),
        header_match_specifier: Some(specifier),
        invert_match: negated,
        // A header that is not there is not equal to anything.
        treat_missing_header_as_empty: negated && *pattern != Pattern::Present,
    }
}
