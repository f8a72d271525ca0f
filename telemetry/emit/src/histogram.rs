//! A histogram that costs three relaxed additions to observe.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::catalogue::ISTIO_BUCKETS;

/// Buckets, `+Inf` last.
const SLOTS: usize = ISTIO_BUCKETS.len() + 1;
/// Upper bounds in thousandths of the unit, so that an observation compares integers.
const BOUNDS: [u64; ISTIO_BUCKETS.len()] = bounds();

const fn bounds() -> [u64; ISTIO_BUCKETS.len()] {
    let mut all = [0; ISTIO_BUCKETS.len()];
    let mut at = 0;
    while at < all.len() {
        // Whole numbers of thousandths by construction.
        all[at] = (ISTIO_BUCKETS[at] * 1_000.0) as u64;
        at += 1;
    }
    all
}

/// Counts per bucket and their sum, in thousandths of the unit.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; SLOTS],
    thousandths: AtomicU64,
}

/// A histogram at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramValue {
    /// Not cumulative, `+Inf` last.
    pub buckets: [u64; SLOTS],
    pub sum: f64,
    pub count: u64,
}

impl Histogram {
    /// Adds a value given in thousandths of the unit: microseconds for milliseconds.
    pub fn observe_thousandths(&self, value: u64) {
        let slot = BOUNDS.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.buckets.get(slot) {
            bucket.fetch_add(1, Relaxed);
        }
        self.thousandths.fetch_add(value, Relaxed);
    }

    /// Adds a value given in the unit itself: bytes.
    pub fn observe(&self, value: u64) {
        self.observe_thousandths(value.saturating_mul(1_000));
    }

    /// The sum of the buckets is the count, so both always agree.
    #[allow(clippy::cast_precision_loss)]
    pub fn value(&self) -> HistogramValue {
        let buckets = std::array::from_fn(|slot| self.buckets[slot].load(Relaxed));
        let sum = self.thousandths.load(Relaxed) as f64 / 1_000.0;
        HistogramValue { buckets, sum, count: buckets.iter().sum() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_on_a_bound_belong_to_it() {
        for (micros, slot) in
            [(0, 0), (500, 0), (501, 1), (1_000, 1), (1_001, 2), (3_600_000_000, 18), (3_600_000_001, 19)]
        {
            let histogram = Histogram::default();
            histogram.observe_thousandths(micros);
            let value = histogram.value();
            assert_eq!(value.buckets.iter().position(|count| *count == 1), Some(slot), "{micros}");
            assert_eq!((value.count, value.sum), (1, micros as f64 / 1_000.0));
        }
    }

    #[test]
    fn bytes_are_whole_units() {
        let histogram = Histogram::default();
        histogram.observe(1_024);
        assert_eq!(histogram.value().buckets[10], 1, "1000 < 1024 <= 2500");
        assert_eq!(histogram.value().sum, 1_024.0);
    }
}
