//! All series of one metric: its kind, help and unit, and the series by their labels.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::buckets::{BucketDelta, Buckets};
use crate::labels::LabelSet;
use crate::matcher::Matcher;
use crate::points::Points;

/// What the samples of a metric mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from zero, until its process ends.
    Counter,
    /// Any value at any time.
    Gauge,
    /// Counts of observations by size.
    Histogram,
}

/// One metric and its series.
#[derive(Debug)]
pub struct Family {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) help: Arc<str>,
    pub(crate) series: Vec<Series>,
    table: HashTable<usize>,
}

/// One series: labels and samples.
#[derive(Debug)]
pub struct Series {
    pub(crate) labels: LabelSet,
    pub(crate) data: Data,
}

#[derive(Debug)]
pub(crate) enum Data {
    Points(Points),
    Buckets(Buckets),
}

/// Age up to which a missing newest sample is taken as on its way, milliseconds: one push of a proxy and some.
const ON_ITS_WAY: i64 = 700;

/// A fixed hash: the table is rebuilt rarely, and label values come from workloads of one's own mesh under a hard limit.
const HASH: FixedState = FixedState::with_seed(0x0_7265_7279);

impl Family {
    pub(crate) fn new(name: Arc<str>, kind: Kind, help: Arc<str>) -> Self {
        Self { name, kind, help, series: Vec::new(), table: HashTable::new() }
    }

    /// The metric's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its samples mean.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What the metric tells, in words.
    pub fn help(&self) -> &str {
        &self.help
    }

    /// Every series.
    pub fn all(&self) -> &[Series] {
        &self.series
    }

    /// The series whose labels satisfy every condition.
    pub fn select<'a>(&'a self, matchers: &'a [Matcher]) -> impl Iterator<Item = &'a Series> {
        self.series.iter().filter(|series| matchers.iter().all(|matcher| matcher.accepts_labels(&series.labels)))
    }

    pub(crate) fn find(&self, sorted: &[(&str, &str)]) -> Option<usize> {
        self.table
            .find(hash_pairs(sorted.iter().copied()), |at| {
                self.series.get(*at).is_some_and(|series| series.labels.is(sorted))
            })
            .copied()
    }

    pub(crate) fn insert(&mut self, series: Series) -> usize {
        let at = self.series.len();
        let all = &self.series;
        self.table.insert_unique(hash_pairs(series.labels.iter()), at, |at| {
            all.get(*at).map_or(0, |series| hash_pairs(series.labels.iter()))
        });
        self.series.push(series);
        at
    }

    /// Removes series without a sample since `horizon`; returns how many.
    pub(crate) fn expire(&mut self, horizon: i64) -> usize {
        let before = self.series.len();
        self.series.retain(|series| series.last_time().is_some_and(|last| last >= horizon));
        let gone = before - self.series.len();
        if gone > 0 {
            let kept = std::mem::take(&mut self.series);
            self.table.clear();
            for series in kept {
                self.insert(series);
            }
        }
        gone
    }
}

fn hash_pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
    let mut hash = 0_u64;
    for pair in pairs {
        hash = hash.rotate_left(7) ^ HASH.hash_one(pair);
    }
    hash
}

impl Series {
    pub(crate) fn new(labels: LabelSet, data: Data) -> Self {
        Self { labels, data }
    }

    /// What identifies this series within its metric.
    pub fn labels(&self) -> &LabelSet {
        &self.labels
    }

    /// Time of the newest sample, Unix milliseconds.
    pub fn last_time(&self) -> Option<i64> {
        match &self.data {
            Data::Points(points) => points.last().map(|(time, _)| time),
            Data::Buckets(buckets) => buckets.last().map(|(time, _, _)| time),
        }
    }

    /// When a counter or gauge took its newest value, Unix milliseconds; of a histogram, the newest sample.
    pub fn changed_at(&self) -> Option<i64> {
        match &self.data {
            Data::Points(points) => points.changed_at(),
            Data::Buckets(_) => self.last_time(),
        }
    }

    /// The newest value of a counter or gauge; the number of observations of a histogram.
    pub fn last_value(&self) -> Option<f64> {
        match &self.data {
            Data::Points(points) => points.last().map(|(_, value)| value),
            Data::Buckets(buckets) => buckets.last().map(|(_, counts, _)| counts.iter().sum::<u64>() as f64),
        }
    }

    /// Growth after `from` and up to `to`: of a counter its value, of a histogram its number of observations.
    pub fn increase(&self, from: i64, to: i64) -> f64 {
        match &self.data {
            Data::Points(points) => points.increase(from, to),
            Data::Buckets(buckets) => buckets.increase(from, to).count(),
        }
    }

    /// Growth per second over the `window` milliseconds that end at `to`.
    ///
    /// A sample that is due any moment is made up for at the window's own rate, so that a steady flow reads the same
    /// just before and just after a push.
    pub fn rate(&self, to: i64, window: i64) -> f64 {
        if window <= 0 {
            return 0.0;
        }
        let from = to - window;
        let grown = self.increase(from, to);
        grown * self.completion(from, to) * 1000.0 / window as f64
    }

    /// Factor by which growth in the window is known to be short, because the newest sample is still on its way.
    fn completion(&self, from: i64, to: i64) -> f64 {
        let (Some(first), Some(last)) = (self.first_time(), self.last_time()) else { return 1.0 };
        let missing = to - last;
        if missing <= 0 || missing > ON_ITS_WAY || last <= from {
            return 1.0;
        }
        let covered = (last - first.max(from)).max((to - from) / 4);
        1.0 + missing as f64 / covered as f64
    }

    /// What a histogram grew by; `None` for counters and gauges.
    pub fn observed(&self, from: i64, to: i64) -> Option<BucketDelta> {
        match &self.data {
            Data::Points(_) => None,
            Data::Buckets(buckets) => Some(buckets.increase(from, to)),
        }
    }

    fn first_time(&self) -> Option<i64> {
        match &self.data {
            Data::Points(points) => points.first_time(),
            Data::Buckets(buckets) => buckets.first_time(),
        }
    }
}
