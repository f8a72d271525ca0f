//! MeshConfig: what holds for the whole mesh, and the telemetry providers that it names.
//!
//! It is read leniently: a mesh is not stopped by a setting. What is wrong or not acted on is told, and everything else
//! holds.

mod provider;

use std::time::Duration;

pub use provider::{Collector, LogFormat, Provider, ProviderKind};

use crate::destination_rule::{ConnectionPool, Locality, OutlierDetection, TcpKeepalive, connection_pool, keepalive};
use crate::destination_rule::{locality, outlier};
use crate::problem::{Place, Problem};
use crate::proxy_config::{ProxySettings, proxy_settings};
use crate::reader::{Fields, Reader, Subject};
use crate::virtual_service::{Retries, http::retries};
use crate::visibility::{ExportTo, words};
use crate::yaml::{self, Value};

/// Mesh-wide settings; what is `None` was not said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeshConfig {
    pub outbound: Option<OutboundMode>,
    /// Empty: no access log.
    pub access_log_file: Option<String>,
    pub access_log_format: Option<LogFormat>,
    pub access_log_json: Option<bool>,
    pub enable_tracing: Option<bool>,
    pub default_config: ProxySettings,
    pub providers: Vec<Provider>,
    pub default_tracing: Vec<String>,
    pub default_metrics: Vec<String>,
    pub default_access_logging: Vec<String>,
    pub root_namespace: Option<String>,
    pub trust_domain: Option<String>,
    pub trust_domain_aliases: Vec<String>,
    pub locality: Option<Locality>,
    pub default_retries: Option<Retries>,
    pub service_export_to: ExportTo,
    pub virtual_service_export_to: ExportTo,
    pub destination_rule_export_to: ExportTo,
    pub path_normalization: Option<PathNormalization>,
    pub enable_auto_mtls: Option<bool>,
    pub keepalive: Option<TcpKeepalive>,
    pub connect_timeout: Option<Duration>,
    pub h2_upgrade: Option<bool>,
    pub connection_pool: Option<ConnectionPool>,
    pub outlier_detection: Option<OutlierDetection>,
}

/// `outboundTrafficPolicy.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboundMode {
    AllowAny,
    RegistryOnly,
}

/// `pathNormalization.normalization`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathNormalization {
    None,
    /// RFC 3986.
    Base,
    MergeSlashes,
    DecodeAndMergeSlashes,
}

/// Settings of this mesh that it has no use for: they are of whoever installs and starts its parts, or name what exists
/// only there.
const OF_INSTALLATION: [&str; 9] = [
    "proxyListenPort",
    "proxyInboundListenPort",
    "proxyHttpPort",
    "configSources",
    "ingressControllerMode",
    "ingressClass",
    "ingressService",
    "ingressSelector",
    "enablePrometheusMerge",
];
/// Settings that change how requests are treated, and are not acted on.
const NOT_SUPPORTED: [&str; 20] = [
    "protocolDetectionTimeout",
    "hboneIdleTimeout",
    "enableEnvoyAccessLogService",
    "disableEnvoyListenerLog",
    "inboundTrafficPolicy",
    "caCertificates",
    "zoneAwareLbSetting",
    "dnsRefreshRate",
    "inboundClusterStatName",
    "outboundClusterStatName",
    "certificates",
    "serviceSettings",
    "serviceScopeConfigs",
    "verifyCertificateAtClient",
    "ca",
    "discoverySelectors",
    "meshMTLS",
    "tlsDefaults",
    "serviceEntryVisibility",
    "accessLogServiceFile",
];

impl MeshConfig {
    /// Reads a MeshConfig document; what is wrong with it, or has no effect.
    pub fn read(text: &str, file: &str) -> (Self, Vec<Problem>) {
        let mut subject = Subject::of(file);
        subject.kind = "MeshConfig".to_owned();
        let documents = match yaml::documents(text) {
            Ok(documents) => documents,
            Err(error) => {
                let place = Place { line: error.line, column: error.column, field: String::new() };
                subject.report(&place, error.message, "the mesh's settings stay as they are");
                return (Self::default(), subject.into_problems());
            }
        };
        let Some(document) = documents.first() else { return (Self::default(), Vec::new()) };
        let place = Place { line: document.line, column: document.column, field: String::new() };
        let config = Reader::new(document, place, &subject).fields().map(read).unwrap_or_default();
        (config, subject.into_problems())
    }
}

fn read(fields: Fields<'_>) -> MeshConfig {
    let flag = |name: &str| fields.take(name).and_then(|reader| reader.flag());
    let texts = |name: &str| -> Vec<String> { fields.texts(name).into_iter().map(|text| text.value).collect() };
    let export = |name: &str| words(&fields.texts(name));
    let defaults = fields.fields("defaultProviders").map(default_providers).unwrap_or_default();
    let traffic = fields.fields("defaultTrafficPolicy").map(default_traffic).unwrap_or_default();
    let encoding = fields.take("accessLogEncoding");
    let json = encoding.and_then(|encoding| encoding.word(&[("TEXT", false), ("JSON", true)]));
    let config = MeshConfig {
        outbound: fields.fields("outboundTrafficPolicy").and_then(outbound),
        access_log_file: fields.text("accessLogFile"),
        access_log_format: fields.take("accessLogFormat").and_then(|format| log_format(&format, json)),
        access_log_json: json,
        enable_tracing: flag("enableTracing"),
        default_config: fields.take("defaultConfig").map(|one| proxy_settings(&one)).unwrap_or_default(),
        providers: fields.list("extensionProviders").iter().filter_map(provider::read).collect(),
        default_tracing: defaults.tracing,
        default_metrics: defaults.metrics,
        default_access_logging: defaults.access_logging,
        root_namespace: fields.text("rootNamespace"),
        trust_domain: fields.text("trustDomain"),
        trust_domain_aliases: texts("trustDomainAliases"),
        locality: fields.take("localityLbSetting").and_then(|one| locality(&one)),
        default_retries: fields.take("defaultHttpRetryPolicy").and_then(|one| retries(&one)),
        service_export_to: export("defaultServiceExportTo"),
        virtual_service_export_to: export("defaultVirtualServiceExportTo"),
        destination_rule_export_to: export("defaultDestinationRuleExportTo"),
        path_normalization: fields.fields("pathNormalization").and_then(path_normalization),
        enable_auto_mtls: flag("enableAutoMtls"),
        keepalive: fields.take("tcpKeepalive").and_then(|one| keepalive(&one)),
        connect_timeout: fields.duration("connectTimeout"),
        h2_upgrade: fields
            .take("h2UpgradePolicy")
            .and_then(|policy| policy.word(&[("DO_NOT_UPGRADE", false), ("UPGRADE", true)])),
        connection_pool: traffic.0,
        outlier_detection: traffic.1,
    };
    for name in OF_INSTALLATION {
        fields.take(name);
    }
    fields.not_supported(&NOT_SUPPORTED);
    fields.finish(&[
        "outboundTrafficPolicy",
        "accessLogFile",
        "accessLogFormat",
        "accessLogEncoding",
        "enableTracing",
        "defaultConfig",
        "extensionProviders",
        "defaultProviders",
        "rootNamespace",
        "trustDomain",
        "trustDomainAliases",
        "localityLbSetting",
        "defaultHttpRetryPolicy",
        "pathNormalization",
        "enableAutoMtls",
        "tcpKeepalive",
        "connectTimeout",
        "h2UpgradePolicy",
        "defaultTrafficPolicy",
    ]);
    config
}

/// A format string, or with JSON the text of an object with format strings. Empty: the usual format.
fn log_format(reader: &Reader<'_>, json: Option<bool>) -> Option<LogFormat> {
    let text = reader.text().filter(|text| !text.is_empty())?;
    if json != Some(true) {
        return Some(LogFormat::Text(text));
    }
    let documents = yaml::documents(&text).ok();
    let labels = documents.as_ref().and_then(|documents| match documents.first().map(|document| &document.value) {
        Some(Value::Map(entries)) => entries
            .iter()
            .map(|entry| match &entry.node.value {
                Value::Text(format) => Some((entry.key.clone(), format.clone())),
                Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => None,
            })
            .collect(),
        Some(Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::List(_))
        | None => None,
    });
    if labels.is_none() {
        reader.report(
            "with accessLogEncoding: JSON it must be an object of texts",
            "the usual keys are written meanwhile",
        );
    }
    labels.map(LogFormat::Labels)
}

fn outbound(fields: Fields<'_>) -> Option<OutboundMode> {
    let words = [("ALLOW_ANY", OutboundMode::AllowAny), ("REGISTRY_ONLY", OutboundMode::RegistryOnly)];
    let mode = fields.take("mode").and_then(|mode| mode.word(&words));
    fields.not_supported(&["tls"]);
    fields.finish(&["mode"]);
    mode
}

fn path_normalization(fields: Fields<'_>) -> Option<PathNormalization> {
    let words = [
        ("DEFAULT", PathNormalization::Base),
        ("NONE", PathNormalization::None),
        ("BASE", PathNormalization::Base),
        ("MERGE_SLASHES", PathNormalization::MergeSlashes),
        ("DECODE_AND_MERGE_SLASHES", PathNormalization::DecodeAndMergeSlashes),
    ];
    let chosen = fields.take("normalization").and_then(|one| one.word(&words));
    fields.finish(&["normalization"]);
    chosen
}

#[derive(Default)]
struct DefaultProviders {
    tracing: Vec<String>,
    metrics: Vec<String>,
    access_logging: Vec<String>,
}

fn default_providers(fields: Fields<'_>) -> DefaultProviders {
    let texts = |name: &str| -> Vec<String> { fields.texts(name).into_iter().map(|text| text.value).collect() };
    let defaults = DefaultProviders {
        tracing: texts("tracing"),
        metrics: texts("metrics"),
        access_logging: texts("accessLogging"),
    };
    fields.finish(&["tracing", "metrics", "accessLogging"]);
    defaults
}

fn default_traffic(fields: Fields<'_>) -> (Option<ConnectionPool>, Option<OutlierDetection>) {
    let pool = fields.take("connectionPool").and_then(|one| connection_pool::read(&one));
    let outlier = fields.take("outlierDetection").and_then(|one| outlier::read(&one));
    fields.finish(&["connectionPool", "outlierDetection"]);
    (pool, outlier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_config_is_read_without_a_word() {
        let text = "
accessLogFile: /dev/stdout
accessLogEncoding: JSON
enableAutoMtls: true
rootNamespace: istio-system
trustDomain: cluster.local
outboundTrafficPolicy: {mode: REGISTRY_ONLY}
defaultConfig:
  discoveryAddress: istiod.istio-system.svc:15012
  concurrency: 2
  tracing: {sampling: 50, zipkin: {address: zipkin.istio-system:9411}}
defaultProviders: {metrics: [prometheus]}
extensionProviders:
- {name: prometheus, prometheus: {}}
- {name: otel, opentelemetry: {service: otel.observability.svc.cluster.local, port: 4317}}
- name: log
  envoyFileAccessLog: {path: /dev/stdout, logFormat: {labels: {status: '%RESPONSE_CODE%'}}}
";
        let (config, problems) = MeshConfig::read(text, "mesh.yaml");
        assert!(problems.is_empty(), "{problems:#?}");
        assert_eq!(config.outbound, Some(OutboundMode::RegistryOnly));
        assert_eq!(config.default_config.concurrency, Some(2));
        assert_eq!(config.default_config.sampling, Some(50.0));
        assert_eq!(config.providers.len(), 3);
    }

    #[test]
    fn mistakes_are_told_and_the_rest_holds() {
        let text = "accessLogFile: /dev/stdout\nconnectTimeout: soon\ndnsRefreshRate: 5s\nextensionProviders:\n\
            - {name: a, datadog: {service: d, port: 1}}\nwhat: 1\n";
        let (config, problems) = MeshConfig::read(text, "mesh.yaml");
        assert_eq!(config.access_log_file.as_deref(), Some("/dev/stdout"));
        let told: Vec<String> = problems.iter().map(|problem| format!("{}:{}", problem.line, problem.field)).collect();
        assert_eq!(told, ["5:extensionProviders[0].datadog", "2:connectTimeout", "3:dnsRefreshRate", "6:what"]);
        let (config, problems) = MeshConfig::read("{", "mesh.yaml");
        assert_eq!((config, problems.len()), (MeshConfig::default(), 1));
    }
}
