//! Access logs: which providers get entries, and of which requests.

use std::collections::{BTreeMap, BTreeSet};

use orrery_api::{AccessLogging, Collector, Condition, Located, LogFormat, ProviderKind, Telemetry, WorkloadMode};

use super::provider;
use crate::settings::{AccessLogFile, AccessLogFormat, Settings};

/// An access log.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) sink: Sink,
    /// `None`: all requests.
    pub(crate) filter: Option<Condition>,
}

/// Where entries go.
#[derive(Clone, Debug)]
pub(crate) enum Sink {
    File(AccessLogFile),
    OpenTelemetry { collector: Collector, log_name: String, format: LogFormat },
}

/// What holds for a provider.
#[derive(Clone, Default)]
struct State {
    disabled: bool,
    filter: Option<Condition>,
}

pub(super) fn logs(settings: &Settings, applicable: &[&Telemetry], side: WorkloadMode) -> Vec<Log> {
    let levels: Vec<&[AccessLogging]> = applicable
        .iter()
        .map(|telemetry| telemetry.access_logging.as_slice())
        .filter(|rules| !rules.is_empty())
        .collect();
    let defaults = &settings.default_providers.access_logging;
    if levels.is_empty() && defaults.is_empty() {
        let file = settings.access_log.clone();
        return file.into_iter().map(|file| Log { sink: Sink::File(file), filter: None }).collect();
    }
    let chosen = if levels.is_empty() {
        defaults.iter().map(|name| (name.clone(), State::default())).collect()
    } else {
        merged(&levels, defaults, side)
    };
    let enabled = chosen.into_iter().filter(|(_, state)| !state.disabled);
    enabled.filter_map(|(name, state)| Some(Log { sink: sink(settings, &name)?, filter: state.filter })).collect()
}

fn names(providers: &[Located<String>]) -> Vec<String> {
    providers.iter().map(|name| name.value.clone()).collect()
}

/// As Istio merges: the narrowest level that names providers decides which are meant; disabling and filters of wider
/// levels hold for those until a narrower one says otherwise.
fn merged(levels: &[&[AccessLogging]], defaults: &[String], side: WorkloadMode) -> BTreeMap<String, State> {
    let mut in_scope: BTreeSet<String> = defaults.iter().cloned().collect();
    let mut filters: BTreeMap<String, Option<Condition>> = BTreeMap::new();
    for level in levels {
        let mut named = BTreeSet::new();
        for rule in level.iter().filter(|rule| rule.mode.covers(side)) {
            for name in names(&rule.providers) {
                filters.insert(name.clone(), rule.filter.clone());
                named.insert(name);
            }
        }
        if !named.is_empty() {
            in_scope = named;
        }
    }
    let mut parent = defaults.to_vec();
    let mut chosen = BTreeMap::new();
    for rule in levels.iter().flat_map(|level| level.iter()) {
        if !rule.providers.is_empty() {
            parent = names(&rule.providers);
        }
        for name in parent.iter().filter(|name| in_scope.contains(*name)) {
            if !rule.mode.covers(side) {
                continue;
            }
            let filter = filters.get(name).cloned().flatten();
            // A rule without providers is about those of the level above, its filter too.
            let filter = if rule.providers.is_empty() { rule.filter.clone().or(filter) } else { filter };
            let state = State { disabled: rule.disabled == Some(true), filter };
            chosen.insert(name.clone(), state);
        }
    }
    chosen
}

fn sink(settings: &Settings, name: &str) -> Option<Sink> {
    match provider(settings, name)?.kind {
        ProviderKind::FileAccessLog { path, format } => {
            let usual = settings.access_log.clone();
            let encoding = usual.as_ref().map_or(AccessLogFormat::Text, |log| log.encoding);
            // A provider without a format writes as the mesh's own log does.
            let format = match format {
                LogFormat::Default => usual.map(|log| log.format).unwrap_or_default(),
                own @ (LogFormat::Text(_) | LogFormat::Labels(_)) => own,
            };
            Some(Sink::File(AccessLogFile { path, encoding, format }))
        }
        ProviderKind::OtelAccessLog { collector, log_name, format } => {
            Some(Sink::OpenTelemetry { collector, log_name, format })
        }
        ProviderKind::Zipkin(_) | ProviderKind::OpenTelemetry(_) | ProviderKind::Prometheus => None,
    }
}
