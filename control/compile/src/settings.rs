//! What holds for the whole mesh (Istio's MeshConfig, as far as it is acted on).

use std::time::Duration;

use orrery_api::{
    ConnectionPool, ExportTo, Locality, LogFormat, MeshConfig, OutboundMode, OutlierDetection, PathNormalization,
    Provider, ProxySettings, Retries, TcpKeepalive,
};

/// Mesh-wide settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub trust_domain: String,
    /// Identities of these domains are as those of the own one.
    pub trust_domain_aliases: Vec<String>,
    /// DNS suffix of services.
    pub domain: String,
    /// Where mesh-wide policies live.
    pub root_namespace: String,
    pub cluster_id: String,
    /// `outboundTrafficPolicy.mode` is ALLOW_ANY.
    pub allow_unknown_destinations: bool,
    /// Where no Telemetry says otherwise.
    pub access_log: Option<AccessLogFile>,
    /// Percent of requests whose caller did not decide.
    pub trace_sampling: f64,
    /// Without any tracing, requests keep the trace context that they come with.
    pub tracing: bool,
    pub providers: Vec<Provider>,
    /// Providers where no Telemetry names one.
    pub default_providers: DefaultProviders,
    /// Of all proxies.
    pub proxy: ProxySettings,
    /// Of routes that do not say it; `None`: Istio's own.
    pub retries: Option<Retries>,
    pub path_normalization: PathNormalization,
    /// Plain text is refused where no PeerAuthentication says otherwise.
    pub strict_mtls: bool,
    /// Workloads of the mesh are called with mutual TLS where no rule says otherwise.
    pub auto_mtls: bool,
    pub export_to: ExportDefaults,
    pub upstream: UpstreamDefaults,
}

/// Who sees objects that do not say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportDefaults {
    pub services: ExportTo,
    pub virtual_services: ExportTo,
    pub destination_rules: ExportTo,
}

/// How services are called where no DestinationRule says it.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamDefaults {
    pub connect_timeout: Duration,
    pub keepalive: Option<TcpKeepalive>,
    /// HTTP/1 of clients becomes HTTP/2.
    pub h2_upgrade: bool,
    pub locality: Option<Locality>,
    pub connection_pool: Option<ConnectionPool>,
    pub outlier_detection: Option<OutlierDetection>,
}

impl Default for UpstreamDefaults {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            keepalive: None,
            h2_upgrade: false,
            locality: Some(Locality::default()),
            connection_pool: None,
            outlier_detection: None,
        }
    }
}

/// An access log in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLogFile {
    pub path: String,
    pub encoding: AccessLogFormat,
    /// `LogFormat::Default`: Envoy's text, or Istio's keys.
    pub format: LogFormat,
}

/// How entries of an access log are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    Text,
    Json,
}

/// Names of providers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DefaultProviders {
    pub tracing: Vec<String>,
    pub metrics: Vec<String>,
    pub access_logging: Vec<String>,
}

impl AccessLogFile {
    /// To standard output, in the usual format.
    pub fn standard(encoding: AccessLogFormat) -> Self {
        Self { path: "/dev/stdout".to_owned(), encoding, format: LogFormat::Default }
    }
}

impl Settings {
    /// These settings with those that a MeshConfig says in their place.
    pub fn with(&self, mesh: &MeshConfig) -> Self {
        let mesh = mesh.clone();
        let base = self.clone();
        Self {
            root_namespace: mesh.root_namespace.clone().unwrap_or(base.root_namespace.clone()),
            trust_domain_aliases: or(mesh.trust_domain_aliases.clone(), base.trust_domain_aliases.clone()),
            allow_unknown_destinations: mesh
                .outbound
                .map_or(base.allow_unknown_destinations, |mode| mode == OutboundMode::AllowAny),
            access_log: access_log(&mesh, base.access_log.as_ref()),
            trace_sampling: mesh.default_config.sampling.unwrap_or(base.trace_sampling),
            tracing: mesh.enable_tracing.unwrap_or(base.tracing),
            providers: or(mesh.providers, base.providers.clone()),
            default_providers: DefaultProviders {
                tracing: or(mesh.default_tracing, base.default_providers.tracing.clone()),
                metrics: or(mesh.default_metrics, base.default_providers.metrics.clone()),
                access_logging: or(mesh.default_access_logging, base.default_providers.access_logging.clone()),
            },
            proxy: mesh.default_config.over(base.proxy.clone()),
            retries: mesh.default_retries.or(base.retries.clone()),
            path_normalization: mesh.path_normalization.unwrap_or(base.path_normalization),
            auto_mtls: mesh.enable_auto_mtls.unwrap_or(base.auto_mtls),
            export_to: ExportDefaults {
                services: mesh.service_export_to.or(&base.export_to.services).clone(),
                virtual_services: mesh.virtual_service_export_to.or(&base.export_to.virtual_services).clone(),
                destination_rules: mesh.destination_rule_export_to.or(&base.export_to.destination_rules).clone(),
            },
            upstream: UpstreamDefaults {
                connect_timeout: mesh.connect_timeout.unwrap_or(base.upstream.connect_timeout),
                keepalive: mesh.keepalive.or(base.upstream.keepalive),
                h2_upgrade: mesh.h2_upgrade.unwrap_or(base.upstream.h2_upgrade),
                locality: mesh.locality.or(base.upstream.locality.clone()),
                connection_pool: mesh.connection_pool.or(base.upstream.connection_pool.clone()),
                outlier_detection: mesh.outlier_detection.or(base.upstream.outlier_detection.clone()),
            },
            ..base
        }
    }
}

fn or<T>(said: Vec<T>, before: Vec<T>) -> Vec<T> {
    if said.is_empty() { before } else { said }
}

/// An empty name of the file switches the log off.
fn access_log(mesh: &MeshConfig, before: Option<&AccessLogFile>) -> Option<AccessLogFile> {
    let path = match (&mesh.access_log_file, before) {
        (Some(path), _) => path.clone(),
        (None, before) => before?.path.clone(),
    };
    if path.is_empty() {
        return None;
    }
    let encoding = match (mesh.access_log_json, before) {
        (Some(true), _) => AccessLogFormat::Json,
        (Some(false), _) | (None, None) => AccessLogFormat::Text,
        (None, Some(before)) => before.encoding,
    };
    let format = mesh.access_log_format.clone().or(before.map(|before| before.format.clone())).unwrap_or_default();
    Some(AccessLogFile { path, encoding, format })
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trust_domain: "cluster.local".to_owned(),
            domain: "cluster.local".to_owned(),
            root_namespace: "istio-system".to_owned(),
            cluster_id: "Kubernetes".to_owned(),
            allow_unknown_destinations: true,
            trust_domain_aliases: Vec::new(),
            access_log: None,
            trace_sampling: 1.0,
            tracing: true,
            providers: Vec::new(),
            default_providers: DefaultProviders::default(),
            proxy: ProxySettings::default(),
            retries: None,
            path_normalization: PathNormalization::Base,
            strict_mtls: false,
            auto_mtls: true,
            export_to: ExportDefaults::default(),
            upstream: UpstreamDefaults::default(),
        }
    }
}
