//! How proxies of some workloads run: ProxyConfig, the mesh's `defaultConfig`, and a pod's annotation.

use std::collections::BTreeMap;

use crate::parse::top_level;
use crate::problem::{Place, Problem};
use crate::reader::{Fields, Reader, Subject};
use crate::selector::Labels;
use crate::telemetry::{CustomTag, custom_tags};
use crate::yaml;

/// The annotation of a pod with settings of its proxy.
pub const PROXY_CONFIG_ANNOTATION: &str = "proxy.istio.io/config";

/// A ProxyConfig. Without a selector it holds for its namespace, in the root namespace for the mesh.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProxyConfig {
    pub selector: Option<Labels>,
    pub settings: ProxySettings,
}

/// Settings of a proxy; what is `None` is as the next wider settings say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProxySettings {
    /// Worker threads; 0: as many as there are processors.
    pub concurrency: Option<u32>,
    pub environment: BTreeMap<String, String>,
    /// `image.imageType`, such as `distroless`.
    pub image_type: Option<String>,
    /// Percent of requests that are traced.
    pub sampling: Option<f64>,
    pub custom_tags: Option<BTreeMap<String, CustomTag>>,
}

/// Fields that are of whoever starts proxies, and say nothing about requests.
const OF_STARTING: [&str; 27] = [
    "configPath",
    "binaryPath",
    "serviceCluster",
    "tracingServiceName",
    "drainDuration",
    "discoveryAddress",
    "discoveryRefreshDelay",
    "proxyAdminPort",
    "availabilityZone",
    "controlPlaneAuthPolicy",
    "customConfigFile",
    "statNameLength",
    "proxyBootstrapTemplatePath",
    "interceptionMode",
    "sds",
    "runtimeValues",
    "statusPort",
    "extraStatTags",
    "terminationDrainDuration",
    "meshId",
    "readinessProbe",
    "proxyStatsMatcher",
    "holdApplicationUntilProxyStarts",
    "caCertificatesPem",
    "fileFlushInterval",
    "fileFlushMinSizeKb",
    "statsCompression",
];

impl ProxySettings {
    /// These settings, and those of the wider ones that these do not say.
    pub fn over(self, wider: Self) -> Self {
        let mut environment = wider.environment;
        environment.extend(self.environment);
        Self {
            concurrency: self.concurrency.or(wider.concurrency),
            environment,
            image_type: self.image_type.or(wider.image_type),
            sampling: self.sampling.or(wider.sampling),
            custom_tags: self.custom_tags.or(wider.custom_tags),
        }
    }

    /// Reads the value of [`PROXY_CONFIG_ANNOTATION`]; what is wrong with it, or has no effect.
    pub fn of_annotation(text: &str) -> (Self, Vec<Problem>) {
        let mut subject = Subject::of("");
        subject.kind = PROXY_CONFIG_ANNOTATION.to_owned();
        let Ok(documents) = yaml::documents(text) else {
            subject.report(&Place { line: 1, column: 1, field: String::new() }, "it is no YAML", "");
            return (Self::default(), subject.into_problems());
        };
        let Some(document) = documents.first() else { return (Self::default(), Vec::new()) };
        let place = Place { line: document.line, column: document.column, field: String::new() };
        let settings = proxy_settings(&Reader::new(document, place, &subject));
        (settings, subject.into_problems())
    }
}

pub(crate) fn read(fields: Fields<'_>) -> Option<ProxyConfig> {
    let spec = top_level(fields)?.fields()?;
    let selector = spec.fields("selector").map(|selector| {
        let labels = Labels(selector.text_map("matchLabels"));
        selector.finish(&["matchLabels"]);
        labels
    });
    let settings = ProxySettings {
        concurrency: spec.count("concurrency"),
        environment: spec.text_map("environmentVariables"),
        image_type: image_type(&spec),
        ..ProxySettings::default()
    };
    spec.finish(&["selector", "concurrency", "environmentVariables", "image"]);
    Some(ProxyConfig { selector, settings })
}

fn image_type(fields: &Fields<'_>) -> Option<String> {
    let image = fields.fields("image")?;
    let kind = image.text("imageType");
    image.finish(&["imageType"]);
    kind
}

/// `meshConfig.defaultConfig`, and what the annotation has.
pub(crate) fn proxy_settings(reader: &Reader<'_>) -> ProxySettings {
    let Some(fields) = reader.fields() else { return ProxySettings::default() };
    let mut settings = ProxySettings {
        concurrency: fields.count("concurrency"),
        environment: fields.text_map("proxyMetadata"),
        image_type: image_type(&fields),
        ..ProxySettings::default()
    };
    if let Some(tracing) = fields.fields("tracing") {
        settings.sampling = tracing.take("sampling").and_then(|share| share.decimal(0.0, 100.0));
        settings.custom_tags = tracing.take("customTags").map(|tags| custom_tags(&tags));
        // Where spans go is told to this mesh's proxies when they start; providers say it to Envoys.
        tracing.take("zipkin");
        tracing.take("maxPathTagLength");
        tracing.not_supported(&[
            "lightstep",
            "datadog",
            "stackdriver",
            "openCensusAgent",
            "tlsSettings",
            "enableIstioTags",
        ]);
        tracing.finish(&["sampling", "customTags", "zipkin", "maxPathTagLength"]);
    }
    for name in OF_STARTING {
        fields.take(name);
    }
    fields.take("zipkinAddress");
    fields.not_supported(&[
        "statsdUdpAddress",
        "envoyMetricsServiceAddress",
        "envoyAccessLogService",
        "envoyMetricsService",
        "gatewayTopology",
        "privateKeyProvider",
        "proxyHeaders",
        "connectionSettings",
    ]);
    fields.finish(&["concurrency", "proxyMetadata", "image", "tracing"]);
    settings
}
