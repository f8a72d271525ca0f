//! The store of all time series: accepts samples within hard limits, and forgets the old.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::buckets::{Buckets, MOST_BUCKETS};
use crate::family::{Data, Family, Kind, Series};
use crate::labels::{Symbols, normalise};
use crate::points::{Points, Thinning};
use crate::reading::{AppendError, Limits, Moment, Reading, Refusals};

/// Longest metric name, label name or label value, bytes.
const MOST_BYTES: usize = 4096;
/// Most labels of one series.
const MOST_LABELS: usize = 64;
/// A sample may be ahead of the clock of this machine by this much, milliseconds.
const MOST_AHEAD: i64 = 600_000;

/// All series by metric.
#[derive(Debug)]
pub struct SeriesStore {
    limits: Limits,
    symbols: Symbols,
    families: HashMap<Arc<str>, Family, RandomState>,
    bounds: Vec<Arc<[f64]>>,
    count: usize,
    appended: u64,
    refusals: Refusals,
}

impl SeriesStore {
    /// An empty store.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            symbols: Symbols::default(),
            families: HashMap::default(),
            bounds: Vec::new(),
            count: 0,
            appended: 0,
            refusals: Refusals::default(),
        }
    }

    /// Adds a sample to the series of metric `name` with `labels` (any order; empty values mean absent). `true` if the series' value changed.
    pub fn append(
        &mut self,
        name: &str,
        labels: &mut Vec<(&str, &str)>,
        at: impl Into<Moment>,
        reading: Reading<'_>,
    ) -> Result<bool, AppendError> {
        let result = self.try_append(name, labels, at.into(), reading);
        match result {
            Ok(_) => self.appended += 1,
            Err(AppendError::TooManySeries) => self.refusals.too_many_series += 1,
            Err(AppendError::OutOfOrder) => self.refusals.out_of_order += 1,
            Err(AppendError::KindChanged) => self.refusals.kind_changed += 1,
            Err(AppendError::Malformed) => self.refusals.malformed += 1,
        }
        result
    }

    fn try_append(
        &mut self,
        name: &str,
        labels: &mut Vec<(&str, &str)>,
        Moment { now, time, rested }: Moment,
        reading: Reading<'_>,
    ) -> Result<bool, AppendError> {
        check(name, labels, reading)?;
        if time > now + MOST_AHEAD || time < now - self.limits.retention {
            return Err(AppendError::OutOfOrder);
        }
        normalise(labels);
        let kind = reading.kind();
        if !self.families.contains_key(name) {
            if self.count >= self.limits.series {
                return Err(AppendError::TooManySeries);
            }
            let shared = self.symbols.intern(name);
            self.families.insert(shared.clone(), Family::new(shared, kind, Arc::from("")));
        }
        let Some(family) = self.families.get_mut(name) else { return Err(AppendError::Malformed) };
        if family.kind != kind {
            return Err(AppendError::KindChanged);
        }
        let at = match family.find(labels) {
            Some(at) => at,
            None if self.count >= self.limits.series => return Err(AppendError::TooManySeries),
            None => {
                self.count += 1;
                let data = new_data(reading, &mut self.bounds);
                family.insert(Series::new(self.symbols.label_set(labels), data))
            }
        };
        let Some(series) = family.series.get_mut(at) else { return Err(AppendError::Malformed) };
        if let Some(until) = rested.filter(|until| *until < time) {
            rest(&mut series.data, reading, until);
        }
        let changed = push(&mut series.data, kind, time, reading).ok_or(AppendError::OutOfOrder)?;
        self.refusals.pushed_out += shorten(&mut series.data, &self.limits, now) as u64;
        Ok(changed)
    }

    /// Says what a metric tells; kept once per metric.
    pub fn describe(&mut self, name: &str, help: &str) {
        if let Some(family) = self.families.get_mut(name)
            && family.help.is_empty()
            && help.len() <= MOST_BYTES
        {
            family.help = self.symbols.intern(help);
        }
    }

    /// The metric called `name`.
    pub fn family(&self, name: &str) -> Option<&Family> {
        self.families.get(name)
    }

    /// Every metric, in no order.
    pub fn families(&self) -> impl Iterator<Item = &Family> {
        self.families.values()
    }

    /// Forgets series without a sample for the retention, and strings that only they used.
    pub fn expire(&mut self, now: i64) {
        let horizon = now - self.limits.retention;
        let gone: usize = self.families.values_mut().map(|family| family.expire(horizon)).sum();
        self.count -= gone;
        if gone > 0 {
            self.families.retain(|_, family| !family.series.is_empty());
            self.symbols.prune();
        }
    }

    /// Number of series held.
    pub fn series_count(&self) -> usize {
        self.count
    }

    /// Number of samples held.
    pub fn sample_count(&self) -> usize {
        let count = |series: &Series| match &series.data {
            Data::Points(points) => points.len(),
            Data::Buckets(buckets) => buckets.len(),
        };
        self.families.values().flat_map(|family| &family.series).map(count).sum()
    }

    /// Number of samples taken since the store was made.
    pub fn appended(&self) -> u64 {
        self.appended
    }

    /// Number of samples refused since the store was made.
    pub fn refusals(&self) -> Refusals {
        self.refusals
    }

    /// What the store may hold.
    pub fn limits(&self) -> Limits {
        self.limits
    }
}

fn check(name: &str, labels: &[(&str, &str)], reading: Reading<'_>) -> Result<(), AppendError> {
    let short = |text: &str| text.len() <= MOST_BYTES;
    let labels_fit = labels.len() <= MOST_LABELS
        && labels.iter().all(|(label, value)| is_name(label) && short(label) && short(value));
    let value_fits = match reading {
        Reading::Counter { value, .. } => value.is_finite() && value >= 0.0,
        Reading::Gauge { value } => !value.is_nan(),
        Reading::Histogram { bounds, counts, sum, .. } => {
            counts.len() == bounds.len() + 1
                && counts.len() <= MOST_BUCKETS
                && sum.is_finite()
                && bounds.iter().all(|bound| bound.is_finite())
                && bounds.windows(2).all(|pair| pair.first() < pair.last())
        }
    };
    if is_name(name) && short(name) && labels_fit && value_fits { Ok(()) } else { Err(AppendError::Malformed) }
}

/// A name that Prometheus accepts without quoting.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

fn new_data(reading: Reading<'_>, known: &mut Vec<Arc<[f64]>>) -> Data {
    match reading {
        Reading::Counter { .. } | Reading::Gauge { .. } => Data::Points(Points::default()),
        Reading::Histogram { bounds, .. } => Data::Buckets(Buckets::new(share_bounds(bounds, known))),
    }
}

/// Almost all histograms use one of very few sets of bounds: the shared copy of one of the first.
fn share_bounds(bounds: &[f64], known: &mut Vec<Arc<[f64]>>) -> Arc<[f64]> {
    if let Some(shared) = known.iter().find(|shared| &***shared == bounds) {
        return shared.clone();
    }
    let shared: Arc<[f64]> = Arc::from(bounds);
    if known.len() < 32 {
        known.push(shared.clone());
    }
    shared
}

fn push(data: &mut Data, kind: Kind, time: i64, reading: Reading<'_>) -> Option<bool> {
    match (data, reading) {
        (Data::Points(points), Reading::Counter { start, value }) => points.push(kind, start, time, value),
        (Data::Points(points), Reading::Gauge { value }) => points.push(kind, 0, time, value),
        (Data::Buckets(buckets), Reading::Histogram { start, bounds, counts, sum }) => {
            (**buckets.bounds() == *bounds).then(|| buckets.push(start, time, counts, sum)).flatten()
        }
        (Data::Points(_), Reading::Histogram { .. })
        | (Data::Buckets(_), Reading::Counter { .. } | Reading::Gauge { .. }) => None,
    }
}

/// Rests a series, unless the sample says that it began anew in the meantime.
fn rest(data: &mut Data, reading: Reading<'_>, until: i64) {
    match (data, reading) {
        (Data::Points(points), Reading::Counter { start, .. })
            if points.last().is_some_and(|(last, _)| start <= last) =>
        {
            points.rest(until);
        }
        (Data::Buckets(buckets), Reading::Histogram { start, .. })
            if buckets.last().is_some_and(|(last, _, _)| start <= last) =>
        {
            buckets.rest(until);
        }
        (Data::Points(_) | Data::Buckets(_), _) => {}
    }
}

fn shorten(data: &mut Data, limits: &Limits, now: i64) -> usize {
    let rule = Thinning { fine: limits.fine, step: limits.step };
    let horizon = now - limits.retention;
    match data {
        Data::Points(points) => {
            points.thin(rule);
            points.trim(horizon, limits.samples)
        }
        Data::Buckets(buckets) => {
            buckets.thin(rule);
            buckets.trim(horizon, limits.samples)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(value: f64) -> Reading<'static> {
        Reading::Counter { start: 1, value }
    }

    #[test]
    fn limits_are_hard_and_counted() {
        let mut store = SeriesStore::new(Limits { series: 2, samples: 10, ..Limits::default() });
        for at in 0..30_i64 {
            let time = 10_000 + at * 1000;
            store.append("a", &mut vec![("x", "1")], (time, time), counter(at as f64)).unwrap();
        }
        assert!(store.sample_count() <= 10);
        assert!(store.refusals().pushed_out >= 20);
        let at = (50_000, 50_000);
        store.append("b", &mut vec![], at, counter(1.0)).unwrap();
        assert_eq!(store.append("a", &mut vec![("x", "2")], at, counter(1.0)), Err(AppendError::TooManySeries));
        assert_eq!(store.append("c", &mut vec![], at, counter(1.0)), Err(AppendError::TooManySeries));
        assert_eq!(store.append("b", &mut vec![], at, counter(2.0)), Err(AppendError::OutOfOrder));
        assert_eq!(store.append("b", &mut vec![], (51_000, 9_000_000), counter(2.0)), Err(AppendError::OutOfOrder));
        assert_eq!(
            store.append("b", &mut vec![], (51_000, 51_000), Reading::Gauge { value: 1.0 }),
            Err(AppendError::KindChanged)
        );
        for (name, labels, reading) in [
            ("", vec![], counter(1.0)),
            ("a b", vec![], counter(1.0)),
            ("b", vec![("a-b", "")], counter(1.0)),
            ("b", vec![], counter(f64::NAN)),
            ("b", vec![], counter(-1.0)),
            ("b", vec![], Reading::Histogram { start: 0, bounds: &[2.0, 1.0], counts: &[0, 0, 0], sum: 0.0 }),
            ("b", vec![], Reading::Histogram { start: 0, bounds: &[1.0], counts: &[0], sum: 0.0 }),
        ] {
            let mut labels = labels;
            assert_eq!(store.append(name, &mut labels, (60_000, 60_000), reading), Err(AppendError::Malformed));
        }
        let refusals = store.refusals();
        assert_eq!(
            (refusals.too_many_series, refusals.out_of_order, refusals.kind_changed, refusals.malformed),
            (2, 2, 1, 7)
        );
    }

    #[test]
    fn old_series_make_room() {
        let mut store = SeriesStore::new(Limits { series: 1, ..Limits::default() });
        store.append("a", &mut vec![("x", "1")], (1000, 1000), counter(1.0)).unwrap();
        store.expire(3_601_001);
        assert_eq!(store.series_count(), 0);
        store.append("a", &mut vec![("x", "2")], (3_602_000, 3_602_000), counter(1.0)).unwrap();
        assert_eq!(store.family("a").unwrap().all().len(), 1);
    }
}
