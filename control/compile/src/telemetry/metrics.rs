//! Metrics: which are reported, and with which labels.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use orrery_api::{Metric, MetricMatch, Metrics, ProviderKind, TagOverride, Telemetry, WorkloadMode};

use super::{PROMETHEUS, provider};
use crate::settings::Settings;

/// Rules of one side of a proxy. Metrics that are not in it are reported as usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MetricRules {
    /// Nothing is reported at all.
    pub(crate) disabled: bool,
    pub(crate) metrics: BTreeMap<Metric, Labels>,
    /// How often counters of connections that stand are reported.
    pub(crate) interval: Option<Duration>,
}

/// What becomes of a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels {
    pub(crate) disabled: bool,
    pub(crate) tags: BTreeMap<String, TagOverride>,
}

impl MetricRules {
    /// Whether everything is as usual.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The rules for the providers that this mesh's proxies report to: Prometheus'.
pub(super) fn rules(settings: &Settings, applicable: &[&Telemetry], side: WorkloadMode) -> MetricRules {
    let all: Vec<&Metrics> = applicable.iter().flat_map(|telemetry| &telemetry.metrics).collect();
    let mut defaults = settings.default_providers.metrics.clone();
    if defaults.is_empty() {
        defaults.push(PROMETHEUS.to_owned());
    }
    let names = |one: &Metrics| -> Vec<String> { one.providers.iter().map(|name| name.value.clone()).collect() };
    // The last that names providers decides which are meant at all.
    let last = all.iter().rev().map(|one| names(one)).find(|names| !names.is_empty());
    let in_scope: BTreeSet<String> = last.unwrap_or_else(|| defaults.clone()).into_iter().collect();
    let is_ours = |name: &String| {
        in_scope.contains(name) && provider(settings, name).is_some_and(|one| one.kind == ProviderKind::Prometheus)
    };
    if !in_scope.iter().any(is_ours) {
        return MetricRules { disabled: true, ..MetricRules::default() };
    }
    let mut rules = MetricRules::default();
    let mut parent = defaults;
    for one in all {
        if !one.providers.is_empty() {
            parent = names(one);
        }
        if parent.iter().any(is_ours) {
            put_over(&mut rules, one, side);
        }
    }
    if rules.disabled {
        rules.metrics.clear();
    }
    rules.metrics.retain(|_, labels| *labels != Labels::default());
    rules
}

fn put_over(rules: &mut MetricRules, one: &Metrics, side: WorkloadMode) {
    rules.interval = one.reporting_interval.or(rules.interval);
    for change in one.overrides.iter().filter(|change| change.mode.covers(side)) {
        let metrics: &[Metric] = match &change.metric {
            MetricMatch::All if change.disabled == Some(true) => {
                rules.disabled = true;
                continue;
            }
            MetricMatch::All => &Metric::ALL,
            MetricMatch::One(metric) => std::slice::from_ref(metric),
            MetricMatch::Custom(_) => &[],
        };
        // What a wider level switched off whole is on again where a narrower one says something of it.
        rules.disabled = false;
        for metric in metrics {
            let labels = rules.metrics.entry(*metric).or_default();
            labels.disabled = change.disabled.unwrap_or(labels.disabled);
            labels.tags.extend(change.tags.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use orrery_api::{MetricOverride, TagValue};

    use super::*;

    fn change(metric: MetricMatch, disabled: Option<bool>, tags: &[(&str, TagOverride)]) -> Metrics {
        let tags = tags.iter().map(|(name, tag)| ((*name).to_owned(), tag.clone())).collect();
        let one = MetricOverride { metric, mode: WorkloadMode::ClientAndServer, disabled, tags };
        Metrics { overrides: vec![one], ..Metrics::default() }
    }

    fn of(levels: Vec<Metrics>) -> MetricRules {
        let telemetries: Vec<Telemetry> =
            levels.into_iter().map(|one| Telemetry { metrics: vec![one], ..Telemetry::default() }).collect();
        rules(&Settings::default(), &telemetries.iter().collect::<Vec<_>>(), WorkloadMode::Client)
    }

    #[test]
    fn narrower_levels_come_over_wider_ones() {
        let remove = || change(MetricMatch::All, None, &[("source_app", TagOverride::Remove)]);
        let count = MetricMatch::One(Metric::RequestCount);
        let host = TagOverride::Upsert(TagValue::RequestHost);
        assert!(of(Vec::new()).is_empty());
        assert_eq!(of(vec![remove()]).metrics.len(), Metric::ALL.len());
        let both = of(vec![remove(), change(count.clone(), Some(true), &[("request_host", host)])]);
        let labels = &both.metrics[&Metric::RequestCount];
        assert!(labels.disabled && labels.tags.len() == 2, "{labels:?}");
        assert!(of(vec![change(MetricMatch::All, Some(true), &[])]).disabled);
        let again = of(vec![change(MetricMatch::All, Some(true), &[]), change(count, Some(false), &[])]);
        assert!(again.is_empty(), "{again:?}");
    }
}
