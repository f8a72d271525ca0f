//! The control plane's own metrics, under the names that Istio's dashboards and Kiali ask for.
//!
//! Events here are rare (pushes, certificates), so one lock holds all. It knows no one who scrapes it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use family::Family;
use family::Kind;

mod family;

/// Handle on all metrics; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Metrics {
    state: Arc<Mutex<BTreeMap<Family, BTreeMap<String, Sample>>>>,
}

enum Sample {
    Value(f64),
    Histogram { buckets: Vec<u64>, sum: f64, count: u64 },
}

type Labels<'a> = &'a [(&'a str, &'a str)];

impl Metrics {
    /// Metrics with a zero in every counter that has no labels, so that rates are right from the first event on.
    pub(crate) fn new() -> Self {
        let metrics = Self::default();
        for family in Family::PLAIN_COUNTERS {
            metrics.add_many(*family, &[], 0.0);
        }
        metrics
    }

    /// Adds one to a counter.
    pub(crate) fn add(&self, family: Family, labels: Labels<'_>) {
        self.add_many(family, labels, 1.0);
    }

    /// Adds to a counter, or to a gauge.
    pub(crate) fn add_many(&self, family: Family, labels: Labels<'_>, amount: f64) {
        match self.state().entry(family).or_default().entry(render(labels)).or_insert(Sample::Value(0.0)) {
            Sample::Value(value) => *value += amount,
            Sample::Histogram { .. } => {}
        }
    }

    /// Sets a gauge.
    pub(crate) fn set(&self, family: Family, labels: Labels<'_>, value: f64) {
        self.state().entry(family).or_default().insert(render(labels), Sample::Value(value));
    }

    /// Adds an observation to a histogram.
    pub(crate) fn observe(&self, family: Family, labels: Labels<'_>, value: f64) {
        let Kind::Histogram(bounds) = family.kind() else { return };
        let empty = || Sample::Histogram { buckets: vec![0; bounds.len()], sum: 0.0, count: 0 };
        match self.state().entry(family).or_default().entry(render(labels)).or_insert_with(empty) {
            Sample::Histogram { buckets, sum, count } => {
                for (bucket, bound) in buckets.iter_mut().zip(bounds) {
                    *bucket += u64::from(value <= *bound);
                }
                *sum += value;
                *count += 1;
            }
            Sample::Value(_) => {}
        }
    }

    /// The Prometheus text format (version 0.0.4).
    pub(crate) fn encode(&self) -> String {
        let mut text = String::new();
        for (family, series) in self.state().iter() {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "# HELP {} {}", family.name(), family.help());
            let _ = writeln!(text, "# TYPE {} {}", family.name(), family.kind().name());
            for (labels, sample) in series {
                encode_sample(&mut text, *family, labels, sample);
            }
        }
        text
    }

    fn state(&self) -> MutexGuard<'_, BTreeMap<Family, BTreeMap<String, Sample>>> {
        // Each operation leaves the map whole, so a panic elsewhere cannot have broken it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn encode_sample(text: &mut String, family: Family, labels: &str, sample: &Sample) {
    let name = family.name();
    let braces = |labels: &str| if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    match sample {
        Sample::Value(value) => {
            let _ = writeln!(text, "{name}{} {value}", braces(labels));
        }
        Sample::Histogram { buckets, sum, count } => {
            let comma = if labels.is_empty() { "" } else { "," };
            if let Kind::Histogram(bounds) = family.kind() {
                for (bucket, bound) in buckets.iter().zip(bounds) {
                    let _ = writeln!(text, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {bucket}");
                }
            }
            let _ = writeln!(text, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}");
            let _ = writeln!(text, "{name}_sum{} {sum}", braces(labels));
            let _ = writeln!(text, "{name}_count{} {count}", braces(labels));
        }
    }
}

fn render(labels: Labels<'_>) -> String {
    let mut text = String::new();
    for (key, value) in labels {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{key}=\"{escaped}\"");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_format() {
        let metrics = Metrics::default();
        metrics.add(Family::Pushes, &[("type", "cds")]);
        metrics.add(Family::Pushes, &[("type", "cds")]);
        metrics.set(Family::Services, &[], 4.0);
        metrics.observe(Family::Convergence, &[], 0.2);
        metrics.set(Family::Info, &[("version", "a\"b\\c\nd")], 1.0);
        let text = metrics.encode();
        for line in [
            "# TYPE pilot_xds_pushes counter",
            "pilot_xds_pushes{type=\"cds\"} 2",
            "pilot_services 4",
            "pilot_proxy_convergence_time_bucket{le=\"0.1\"} 0",
            "pilot_proxy_convergence_time_bucket{le=\"0.5\"} 1",
            "pilot_proxy_convergence_time_bucket{le=\"+Inf\"} 1",
            "pilot_proxy_convergence_time_sum 0.2",
            "pilot_info{version=\"a\\\"b\\\\c\\nd\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn family_names_are_distinct() {
        let names: std::collections::BTreeSet<&str> = Family::ALL.iter().map(|family| family.name()).collect();
        assert_eq!(names.len(), Family::ALL.len());
    }
}
