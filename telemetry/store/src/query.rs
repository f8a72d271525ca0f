//! Sums over series: rates and histograms grouped by labels, at a moment or over a range.
//!
//! A small set of fixed questions, not a query language.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::buckets::BucketDelta;
use crate::matcher::Matcher;
use crate::series::SeriesStore;

/// Values of the grouping labels, in the order asked for; an absent label is empty.
pub type Group = Vec<Arc<str>>;

/// Moments at which a range question is answered, Unix milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// First moment.
    pub from: i64,
    /// Last moment, included if a step falls on it.
    pub to: i64,
    /// Distance, at least 1.
    pub step: i64,
}

impl Range {
    /// The moments in order.
    pub fn moments(self) -> impl Iterator<Item = i64> {
        let step = self.step.max(1);
        let count = (self.to - self.from).max(-1) / step + i64::from(self.to >= self.from);
        (0..count).map(move |at| self.from + at * step)
    }
}

impl SeriesStore {
    /// `sum by (by) (rate(name{matchers}[window]))` at `to`, growth per second.
    pub fn sum_rate(
        &self,
        name: &str,
        matchers: &[Matcher],
        by: &[&str],
        (to, window): (i64, i64),
    ) -> BTreeMap<Group, f64> {
        let mut sums = BTreeMap::new();
        for series in self.family(name).into_iter().flat_map(|family| family.select(matchers)) {
            *sums.entry(group(series, by)).or_insert(0.0) += series.rate(to, window);
        }
        sums
    }

    /// What all selected histograms together grew by in the window that ends at `to`, by labels.
    pub fn sum_observed(
        &self,
        name: &str,
        matchers: &[Matcher],
        by: &[&str],
        (to, window): (i64, i64),
    ) -> BTreeMap<Group, BucketDelta> {
        let mut sums: BTreeMap<Group, BucketDelta> = BTreeMap::new();
        for series in self.family(name).into_iter().flat_map(|family| family.select(matchers)) {
            if let Some(delta) = series.observed(to - window, to) {
                sums.entry(group(series, by)).or_default().add(&delta);
            }
        }
        sums
    }

    /// Sum of the rates of all selected series at each moment of a range.
    pub fn rate_range(&self, name: &str, matchers: &[Matcher], range: Range, window: i64) -> Vec<(i64, f64)> {
        let selected: Vec<_> = self.family(name).into_iter().flat_map(|family| family.select(matchers)).collect();
        range.moments().map(|at| (at, selected.iter().map(|series| series.rate(at, window)).sum())).collect()
    }

    /// Sum of all selected histograms at each moment of a range.
    pub fn observed_range(
        &self,
        name: &str,
        matchers: &[Matcher],
        range: Range,
        window: i64,
    ) -> Vec<(i64, BucketDelta)> {
        let selected: Vec<_> = self.family(name).into_iter().flat_map(|family| family.select(matchers)).collect();
        let sum = |at: i64| {
            let mut sum = BucketDelta::default();
            for delta in selected.iter().filter_map(|series| series.observed(at - window, at)) {
                sum.add(&delta);
            }
            sum
        };
        range.moments().map(|at| (at, sum(at))).collect()
    }
}

fn group(series: &crate::Series, by: &[&str]) -> Group {
    by.iter().map(|label| series.labels().shared(label).cloned().unwrap_or_else(|| Arc::from(""))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::{Limits, Reading};

    fn store() -> SeriesStore {
        let mut store = SeriesStore::new(Limits::default());
        for second in 1..=60_i64 {
            let time = second * 1000;
            for (code, rate) in [("200", 9.0), ("503", 1.0)] {
                let reading = Reading::Counter { start: 1, value: rate * second as f64 };
                store.append("req", &mut vec![("code", code), ("svc", "a")], (time, time), reading).unwrap();
            }
            let counts = [8 * second as u64, 2 * second as u64, 0];
            let reading = Reading::Histogram { start: 1, bounds: &[1.0, 5.0], counts: &counts, sum: 0.0 };
            store.append("lat", &mut vec![("svc", "a")], (time, time), reading).unwrap();
        }
        store
    }

    #[test]
    fn sums_by_labels() {
        let store = store();
        let rates = store.sum_rate("req", &[], &["code"], (60_000, 30_000));
        let rates: Vec<_> = rates.iter().map(|(group, rate)| (&*group[0], *rate)).collect();
        assert_eq!(rates, [("200", 9.0), ("503", 1.0)]);
        let errors = store.sum_rate("req", &[Matcher::matches("code", "5..").unwrap()], &[], (60_000, 30_000));
        assert_eq!(errors.into_values().collect::<Vec<_>>(), [1.0]);
        let lat = store.sum_observed("lat", &[], &["svc"], (60_000, 10_000)).into_values().next().unwrap();
        assert_eq!(lat.counts, [80.0, 20.0, 0.0]);
        assert_eq!(lat.quantile(0.9), Some(3.0));
    }

    #[test]
    fn a_late_sample_is_made_up_for_but_a_dead_reporter_is_not() {
        let store = store();
        let rate = |to| store.sum_rate("req", &[], &[], (to, 1500)).into_values().next().unwrap();
        assert!((rate(60_400) - 10.0).abs() < 1e-9);
        assert_eq!(rate(62_000), 0.0);
    }

    #[test]
    fn ranges() {
        let store = store();
        let range = Range { from: 20_000, to: 60_000, step: 20_000 };
        assert_eq!(store.rate_range("req", &[], range, 10_000), [(20_000, 10.0), (40_000, 10.0), (60_000, 10.0)]);
        assert_eq!(store.observed_range("lat", &[], range, 10_000).len(), 3);
        assert_eq!(Range { from: 5, to: 4, step: 1 }.moments().count(), 0);
        assert_eq!(Range { from: 5, to: 5, step: 0 }.moments().collect::<Vec<_>>(), [5]);
    }
}
