//! Telemetry: what proxies tell of requests: spans, metrics and access logs.

mod condition;
mod metrics;

use std::collections::BTreeMap;

pub use condition::{Comparison, Condition, Pattern, Subject};
pub use metrics::{Metric, MetricMatch, MetricOverride, Metrics, TagOverride, TagValue};

use crate::parse::top_level;
use crate::problem::Located;
use crate::reader::{Fields, Reader};
use crate::selector::Labels;

/// A Telemetry. Without a selector it holds for its namespace, in the root namespace for the mesh.
#[derive(Clone, Debug, Default)]
pub struct Telemetry {
    pub selector: Option<Labels>,
    pub targets: Vec<TargetRef>,
    pub tracing: Vec<TracingRule>,
    pub metrics: Vec<Metrics>,
    pub access_logging: Vec<AccessLogging>,
}

/// An object of the same namespace that a policy is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRef {
    pub group: String,
    pub kind: String,
    pub name: String,
}

/// Which side of a workload a rule is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WorkloadMode {
    #[default]
    ClientAndServer,
    Client,
    Server,
}

/// One entry of `tracing`; what is `None` is as the wider rule says.
#[derive(Clone, Debug, Default)]
pub struct TracingRule {
    pub mode: WorkloadMode,
    pub providers: Vec<Located<String>>,
    /// Percent.
    pub sampling: Option<f64>,
    pub disable_span_reporting: Option<bool>,
    pub custom_tags: Option<BTreeMap<String, CustomTag>>,
}

/// Where a tag's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomTag {
    Literal(String),
    /// Of the proxy's environment.
    Environment {
        name: String,
        default: String,
    },
    /// Of the request.
    Header {
        name: String,
        default: String,
    },
}

/// One entry of `accessLogging`.
#[derive(Clone, Debug, Default)]
pub struct AccessLogging {
    pub mode: WorkloadMode,
    pub providers: Vec<Located<String>>,
    pub disabled: Option<bool>,
    pub filter: Option<Condition>,
}

const MODES: [(&str, WorkloadMode); 3] = [
    ("CLIENT_AND_SERVER", WorkloadMode::ClientAndServer),
    ("CLIENT", WorkloadMode::Client),
    ("SERVER", WorkloadMode::Server),
];

pub(crate) fn read(fields: Fields<'_>) -> Option<Telemetry> {
    let spec = top_level(fields)?.fields()?;
    let selector = spec.fields("selector").map(|selector| {
        let labels = Labels(selector.text_map("matchLabels"));
        selector.finish(&["matchLabels"]);
        labels
    });
    let one = spec.take("targetRef").into_iter();
    let targets = one.chain(spec.list("targetRefs")).filter_map(|target| target_ref(&target)).collect();
    let telemetry = Telemetry {
        selector,
        targets,
        tracing: spec.list("tracing").iter().filter_map(tracing).collect(),
        metrics: spec.list("metrics").iter().filter_map(metrics::read).collect(),
        access_logging: spec.list("accessLogging").iter().filter_map(access_logging).collect(),
    };
    if telemetry.selector.is_some() && !telemetry.targets.is_empty() {
        spec.report("selector and targetRefs exclude each other", "leave one of them");
    }
    spec.finish(&["selector", "targetRef", "targetRefs", "tracing", "metrics", "accessLogging"]);
    Some(telemetry)
}

fn target_ref(reader: &Reader<'_>) -> Option<TargetRef> {
    let fields = reader.fields()?;
    let target = TargetRef {
        group: fields.text("group").unwrap_or_default(),
        kind: fields.require("kind")?.text()?,
        name: fields.require("name")?.text()?,
    };
    fields.take("namespace");
    fields.finish(&["group", "kind", "name", "namespace"]);
    Some(target)
}

fn tracing(reader: &Reader<'_>) -> Option<TracingRule> {
    let fields = reader.fields()?;
    let rule = TracingRule {
        mode: mode(&fields),
        providers: providers(&fields),
        sampling: fields.take("randomSamplingPercentage").and_then(|share| share.decimal(0.0, 100.0)),
        disable_span_reporting: fields.take("disableSpanReporting").and_then(|flag| flag.flag()),
        custom_tags: fields.take("customTags").map(|tags| custom_tags(&tags)),
    };
    fields.not_supported(&["useRequestIdForTraceSampling", "enableIstioTags", "disableContextPropagation"]);
    fields.finish(&["match", "providers", "randomSamplingPercentage", "disableSpanReporting", "customTags"]);
    Some(rule)
}

/// Tags by their names.
pub(crate) fn custom_tags(reader: &Reader<'_>) -> BTreeMap<String, CustomTag> {
    reader.entries().into_iter().filter_map(|(name, tag)| Some((name, custom_tag(&tag)?))).collect()
}

fn custom_tag(reader: &Reader<'_>) -> Option<CustomTag> {
    let fields = reader.fields()?;
    let named = |source: &Fields<'_>| {
        let name = source.require("name")?.text()?;
        Some((name, source.text("defaultValue").unwrap_or_default()))
    };
    let tag = if let Some(literal) = fields.fields("literal") {
        let value = literal.require("value")?.text()?;
        literal.finish(&["value"]);
        Some(CustomTag::Literal(value))
    } else if let Some(environment) = fields.fields("environment") {
        let (name, default) = named(&environment)?;
        environment.finish(&["name", "defaultValue"]);
        Some(CustomTag::Environment { name, default })
    } else if let Some(header) = fields.fields("header") {
        let (name, default) = named(&header)?;
        header.finish(&["name", "defaultValue"]);
        Some(CustomTag::Header { name: name.to_ascii_lowercase(), default })
    } else {
        fields.not_supported(&["formatter"]);
        if !fields.has("formatter") {
            fields.report("it does not say where its value comes from", "one of literal, environment, header");
        }
        None
    };
    fields.finish(&["literal", "environment", "header", "formatter"]);
    tag
}

fn access_logging(reader: &Reader<'_>) -> Option<AccessLogging> {
    let fields = reader.fields()?;
    let rule = AccessLogging {
        mode: mode(&fields),
        providers: providers(&fields),
        disabled: fields.take("disabled").and_then(|flag| flag.flag()),
        filter: fields.fields("filter").and_then(|filter| {
            let expression = filter.require("expression");
            filter.finish(&["expression"]);
            condition::read(&expression?)
        }),
    };
    fields.finish(&["match", "providers", "disabled", "filter"]);
    Some(rule)
}

fn mode(fields: &Fields<'_>) -> WorkloadMode {
    let Some(selector) = fields.fields("match") else { return WorkloadMode::default() };
    let mode = selector.take("mode").and_then(|mode| mode.word(&MODES)).unwrap_or_default();
    selector.finish(&["mode"]);
    mode
}

fn providers(fields: &Fields<'_>) -> Vec<Located<String>> {
    let one = |reader: &Reader<'_>| {
        let provider = reader.fields()?;
        let name = provider.require("name").and_then(|name| name.located_text());
        provider.finish(&["name"]);
        name
    };
    fields.list("providers").iter().filter_map(one).collect()
}

impl WorkloadMode {
    /// Whether a rule of this mode is for a side.
    pub fn covers(self, side: Self) -> bool {
        self == Self::ClientAndServer || self == side
    }
}
