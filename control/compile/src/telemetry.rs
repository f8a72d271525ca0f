//! What a proxy reports: Telemetry objects of the mesh, of its namespace and of its workload, over each other and over
//! the mesh's defaults.

mod logs;
mod metrics;

use std::collections::BTreeMap;

use orrery_api::{CustomTag, Kind, LogFormat, Provider, ProviderKind, Spec, Telemetry, WorkloadMode};

pub(crate) use logs::{Log, Sink};
pub(crate) use metrics::{Labels, MetricRules};

use crate::index::GATEWAY_NAME;
use crate::proxy::{Audience, Proxy};
use crate::settings::Settings;
use crate::world::World;

/// Istio's own providers, which need no declaration.
const PROMETHEUS: &str = "prometheus";
const ENVOY_LOG: &str = "envoy";

/// Whose reporting is meant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reporter<'a> {
    namespace: &'a str,
    labels: &'a orrery_api::Labels,
}

impl<'a> From<&'a Proxy> for Reporter<'a> {
    fn from(proxy: &'a Proxy) -> Self {
        Self { namespace: &proxy.namespace, labels: &proxy.labels }
    }
}

impl<'a> From<&'a Audience> for Reporter<'a> {
    fn from(audience: &'a Audience) -> Self {
        Self { namespace: &audience.namespace, labels: &audience.labels }
    }
}

/// Everything that one side of a proxy reports.
#[derive(Clone, Debug)]
pub(crate) struct Reporting {
    /// `None`: requests keep the trace context that they come with.
    pub(crate) tracing: Option<Tracing>,
    pub(crate) logs: Vec<Log>,
    pub(crate) metrics: MetricRules,
}

/// How spans are made.
#[derive(Clone, Debug)]
pub(crate) struct Tracing {
    /// `None`: where the proxy was told to send them when it started.
    pub(crate) provider: Option<Provider>,
    /// Percent.
    pub(crate) sampling: f64,
    pub(crate) tags: BTreeMap<String, CustomTag>,
}

impl Reporting {
    /// Of a proxy's client side (outbound listeners, gateways) or its server side.
    pub(crate) fn of(world: &World, reporter: Reporter<'_>, side: WorkloadMode) -> Self {
        let applicable = applicable(world, reporter);
        let settings = world.settings();
        Self {
            tracing: tracing(settings, &applicable, side),
            logs: logs::logs(settings, &applicable, side),
            metrics: metrics::rules(settings, &applicable, side),
        }
    }
}

/// The Telemetries that hold for a proxy, the widest first.
fn applicable<'a>(world: &'a World, proxy: Reporter<'_>) -> Vec<&'a Telemetry> {
    let of = |namespace: &str| {
        let objects = world.oldest_first_in(Kind::Telemetry, namespace);
        let telemetries = objects.filter_map(|object| match &object.spec {
            Spec::Telemetry(telemetry) => Some(telemetry),
            _ => None,
        });
        telemetries.collect::<Vec<_>>()
    };
    let is_whole = |telemetry: &&Telemetry| {
        telemetry.targets.is_empty() && telemetry.selector.as_ref().is_none_or(orrery_api::Labels::is_empty)
    };
    let root = world.settings().root_namespace.clone();
    let mut found: Vec<&Telemetry> = of(&root).into_iter().find(is_whole).into_iter().collect();
    let own = of(proxy.namespace);
    if proxy.namespace != root {
        found.extend(own.iter().copied().find(is_whole));
    }
    found.extend(own.into_iter().filter(|telemetry| !is_whole(telemetry) && is_for(telemetry, proxy)));
    found
}

fn is_for(telemetry: &Telemetry, proxy: Reporter<'_>) -> bool {
    if !telemetry.targets.is_empty() {
        let gateway = proxy.labels.get(GATEWAY_NAME);
        return telemetry.targets.iter().any(|one| one.kind == "Gateway" && Some(one.name.as_str()) == gateway);
    }
    telemetry.selector.as_ref().is_some_and(|selector| selector.select(proxy.labels))
}

fn tracing(settings: &Settings, applicable: &[&Telemetry], side: WorkloadMode) -> Option<Tracing> {
    let default = settings.default_providers.tracing.first().and_then(|name| provider(settings, name));
    let mut made = Tracing {
        provider: default,
        sampling: settings.trace_sampling,
        tags: settings.proxy.custom_tags.clone().unwrap_or_default(),
    };
    let mut disabled = !settings.tracing;
    let rules = applicable.iter().flat_map(|telemetry| &telemetry.tracing).filter(|rule| rule.mode.covers(side));
    for rule in rules {
        if let Some(name) = rule.providers.first() {
            made.provider = provider(settings, &name.value);
        }
        disabled = rule.disable_span_reporting.unwrap_or(disabled);
        made.sampling = rule.sampling.unwrap_or(made.sampling);
        if let Some(tags) = &rule.custom_tags {
            made.tags.clone_from(tags);
        }
    }
    (!disabled).then_some(made)
}

/// A provider by its name, in whatever case.
fn provider(settings: &Settings, name: &str) -> Option<Provider> {
    let declared = settings.providers.iter().find(|one| one.name.eq_ignore_ascii_case(name)).cloned();
    declared.or_else(|| {
        let own = [
            (PROMETHEUS, ProviderKind::Prometheus),
            (ENVOY_LOG, ProviderKind::FileAccessLog { path: "/dev/stdout".to_owned(), format: LogFormat::Default }),
        ];
        let found = own.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(name, kind)| Provider { name: name.to_owned(), kind })
    })
}
