//! The samples of one histogram: what each bucket grew by from sample to sample, a few bytes each.
//!
//! A sample that found 20 requests in 4 buckets costs some 20 bytes instead of the 160 of 20 counters. Samples gather in
//! chunks; old chunks are thinned and dropped whole.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::points::{Thinning, share};
use crate::quantile::quantile;

/// Samples in one chunk.
const CHUNK: usize = 120;
/// Most buckets in a histogram, the one above all bounds included.
pub const MOST_BUCKETS: usize = 64;

/// All samples of one histogram series.
#[derive(Debug)]
pub struct Buckets {
    bounds: Arc<[f64]>,
    chunks: VecDeque<Chunk>,
    counts: Vec<u64>,
    sum: f64,
    last_time: i64,
}

/// What a histogram grew by in a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BucketDelta {
    /// Upper bounds of all buckets but the last, ascending, in the metric's unit.
    pub bounds: Arc<[f64]>,
    /// Observations in each bucket, not cumulative; one more than `bounds`.
    pub counts: Vec<f64>,
    /// Sum of the observed values.
    pub sum: f64,
}

#[derive(Debug)]
struct Chunk {
    begin: i64,
    times: Vec<u32>,
    sums: Vec<f64>,
    deltas: Vec<u8>,
    thinned: bool,
}

struct Step {
    from: i64,
    to: i64,
    sum: f64,
    deltas: [u64; MOST_BUCKETS],
}

impl Buckets {
    /// An empty series. `bounds` has at most [`MOST_BUCKETS`] - 1 entries.
    pub fn new(bounds: Arc<[f64]>) -> Self {
        let counts = vec![0; bounds.len() + 1];
        Self { bounds, chunks: VecDeque::new(), counts, sum: 0.0, last_time: 0 }
    }

    /// Adds a cumulative sample. Meaning of `start` and of the result as in [`crate::points::Points::push`]; `None` also
    /// if the sample has another number of buckets.
    pub fn push(&mut self, start: i64, time: i64, counts: &[u64], sum: f64) -> Option<bool> {
        let first = self.chunks.is_empty();
        if counts.len() != self.counts.len() || (!first && time <= self.last_time) {
            return None;
        }
        if first {
            self.counts.copy_from_slice(counts);
            self.sum = sum;
            let known = start > 0 && start < time;
            self.chunks.push_back(Chunk::new(if known { start } else { time }));
            self.last_time = time;
            if known {
                self.record(time, counts, sum);
            }
            return Some(true);
        }
        let again = start > self.last_time && start < time;
        let reset = again || counts.iter().zip(&self.counts).any(|(new, old)| new < old);
        let mut grown = [0; MOST_BUCKETS];
        for ((slot, new), old) in grown.iter_mut().zip(counts).zip(&self.counts) {
            *slot = if reset { *new } else { new - old };
        }
        if again {
            self.record(start, &[], 0.0);
        }
        let sum_grown = if reset { sum } else { sum - self.sum };
        let changed = reset || grown.iter().any(|count| *count > 0);
        self.record(time, grown.get(..counts.len()).unwrap_or(&[]), sum_grown);
        self.counts.copy_from_slice(counts);
        self.sum = sum;
        self.last_time = time;
        Some(changed)
    }

    /// Upper bounds of all buckets but the last.
    pub fn bounds(&self) -> &Arc<[f64]> {
        &self.bounds
    }

    /// Notes that nothing was observed up to `until`.
    pub fn rest(&mut self, until: i64) {
        if !self.chunks.is_empty() && until > self.last_time {
            self.record(until, &[], 0.0);
            self.last_time = until;
        }
    }

    /// The newest sample: time, cumulative-in-time counts of each bucket, sum.
    pub fn last(&self) -> Option<(i64, &[u64], f64)> {
        (!self.chunks.is_empty()).then_some((self.last_time, self.counts.as_slice(), self.sum))
    }

    /// Time of the oldest sample.
    pub fn first_time(&self) -> Option<i64> {
        self.chunks.front().map(|chunk| chunk.begin)
    }

    /// What the histogram grew by after `from` and up to `to`.
    pub fn increase(&self, from: i64, to: i64) -> BucketDelta {
        let mut delta = BucketDelta { bounds: self.bounds.clone(), counts: vec![0.0; self.counts.len()], sum: 0.0 };
        for chunk in self.chunks.iter().filter(|chunk| chunk.begin < to && chunk.end() > from) {
            chunk.each(|step| {
                let part = share(step.from, step.to, from, to);
                if part > 0.0 {
                    for (total, grown) in delta.counts.iter_mut().zip(&step.deltas) {
                        *total += *grown as f64 * part;
                    }
                    delta.sum += step.sum * part;
                }
            });
        }
        delta
    }

    /// Number of samples held.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.times.len()).sum()
    }

    /// Whether no sample is held.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Forgets chunks that ended before `horizon`, and the oldest while more than `most` samples are held. Returns how
    /// many samples the second rule cost.
    pub fn trim(&mut self, horizon: i64, most: usize) -> usize {
        while self.chunks.len() > 1 && self.chunks.front().is_some_and(|chunk| chunk.end() < horizon) {
            self.chunks.pop_front();
        }
        let mut surplus = 0;
        while self.chunks.len() > 1 && self.len() > most {
            surplus += self.chunks.pop_front().map_or(0, |chunk| chunk.times.len());
        }
        surplus
    }

    /// Thins chunks that are no longer recent.
    pub fn thin(&mut self, rule: Thinning) {
        let before = self.last_time - rule.fine;
        for chunk in self.chunks.iter_mut().rev().skip(1) {
            if chunk.thinned {
                break;
            }
            if chunk.end() < before {
                *chunk = chunk.thin(rule.step);
            }
        }
    }

    fn record(&mut self, time: i64, grown: &[u64], sum: f64) {
        let full = self.chunks.back().is_none_or(|chunk| chunk.times.len() >= CHUNK || !chunk.reaches(time));
        if full {
            let begin = self.chunks.back().map_or(time, Chunk::end);
            // A gap that an offset cannot express begins a new line, without growth in between.
            let begin = if time - begin > i64::from(u32::MAX) { time - 1 } else { begin };
            self.chunks.push_back(Chunk::new(begin));
        }
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.push(time, grown, sum);
        }
    }
}

impl Chunk {
    fn new(begin: i64) -> Self {
        Self { begin, times: Vec::new(), sums: Vec::new(), deltas: Vec::new(), thinned: false }
    }

    fn end(&self) -> i64 {
        self.begin + self.times.last().map_or(0, |offset| i64::from(*offset))
    }

    fn reaches(&self, time: i64) -> bool {
        u32::try_from(time - self.begin).is_ok()
    }

    fn push(&mut self, time: i64, grown: &[u64], sum: f64) {
        let Ok(offset) = u32::try_from(time - self.begin) else { return };
        let mask = grown.iter().enumerate().fold(0, |mask: u64, (at, count)| mask | (u64::from(*count > 0) << at));
        let quiet = mask == 0 && self.deltas.last() == Some(&0) && self.sums.last() == Some(&0.0);
        if quiet && self.ends_quiet() {
            if let Some(last) = self.times.last_mut() {
                *last = offset;
            }
            return;
        }
        self.times.push(offset);
        self.sums.push(sum);
        write_varint(&mut self.deltas, mask);
        for count in grown.iter().filter(|count| **count > 0) {
            write_varint(&mut self.deltas, *count);
        }
    }

    /// Whether the last two samples grew by nothing, so that the last one can be moved on.
    fn ends_quiet(&self) -> bool {
        let count = self.sums.len();
        count >= 2 && self.deltas.ends_with(&[0, 0]) && self.sums.get(count - 2) == Some(&0.0)
    }

    fn each(&self, mut visit: impl FnMut(&Step)) {
        let mut bytes = self.deltas.as_slice();
        let mut from = self.begin;
        for (offset, sum) in self.times.iter().zip(&self.sums) {
            let to = self.begin + i64::from(*offset);
            let mut step = Step { from, to, sum: *sum, deltas: [0; MOST_BUCKETS] };
            let mask = read_varint(&mut bytes);
            for (at, slot) in step.deltas.iter_mut().enumerate() {
                if mask & (1 << at) != 0 {
                    *slot = read_varint(&mut bytes);
                }
            }
            visit(&step);
            from = to;
        }
    }

    /// The same growth with one sample for each step of time.
    fn thin(&self, step: i64) -> Self {
        let mut thin = Self::new(self.begin);
        let mut held: Option<Step> = None;
        self.each(|sample| match &mut held {
            Some(group) if group.to.div_euclid(step) == sample.to.div_euclid(step) => {
                for (total, grown) in group.deltas.iter_mut().zip(&sample.deltas) {
                    *total += grown;
                }
                group.sum += sample.sum;
                group.to = sample.to;
            }
            Some(_) | None => {
                if let Some(group) = held.take() {
                    thin.push(group.to, &group.deltas, group.sum);
                }
                held = Some(Step { from: sample.from, to: sample.to, sum: sample.sum, deltas: sample.deltas });
            }
        });
        if let Some(group) = held {
            thin.push(group.to, &group.deltas, group.sum);
        }
        thin.thinned = true;
        thin
    }
}

fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read_varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    let mut shift = 0;
    while let Some((byte, rest)) = bytes.split_first() {
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 || shift > 56 {
            break;
        }
        shift += 7;
    }
    value
}

impl BucketDelta {
    /// Number of observations.
    pub fn count(&self) -> f64 {
        self.counts.iter().sum()
    }

    /// The quantile `q` (0 to 1), in the metric's unit; `None` if nothing was observed.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        quantile(q, &self.bounds, &self.counts)
    }

    /// Adds another histogram's observations; one with other bounds is left out, and `false` says so.
    pub fn add(&mut self, other: &Self) -> bool {
        if self.counts.is_empty() {
            *self = other.clone();
            return true;
        }
        if self.bounds != other.bounds {
            return false;
        }
        for (total, grown) in self.counts.iter_mut().zip(&other.counts) {
            *total += grown;
        }
        self.sum += other.sum;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> Buckets {
        Buckets::new(Arc::from([1.0, 5.0]))
    }

    #[test]
    fn growth_with_start_reset_and_share() {
        let mut buckets = series();
        assert_eq!(buckets.push(1000, 2000, &[2, 4, 0], 14.0), Some(true));
        assert_eq!(buckets.increase(0, 3000).counts, [2.0, 4.0, 0.0]);
        assert_eq!(buckets.increase(1500, 2000).counts, [1.0, 2.0, 0.0]);
        assert_eq!(buckets.push(1000, 3000, &[2, 4, 300], 9014.0), Some(true));
        assert_eq!(
            buckets.increase(2000, 3000),
            BucketDelta { bounds: Arc::from([1.0, 5.0]), counts: vec![0.0, 0.0, 300.0], sum: 9000.0 }
        );
        assert_eq!(buckets.push(3500, 4000, &[3, 4, 301], 9020.0), Some(true), "began again");
        assert_eq!(buckets.increase(3000, 4000).counts, [3.0, 4.0, 301.0]);
        assert_eq!(buckets.push(3500, 5000, &[0, 1, 0], 3.0), Some(true), "fell");
        assert_eq!(buckets.increase(4000, 5000).counts, [0.0, 1.0, 0.0]);
        assert_eq!(buckets.push(3500, 5000, &[9, 9, 9], 3.0), None);
        assert_eq!(buckets.push(3500, 6000, &[9, 9], 3.0), None);
    }

    #[test]
    fn quiet_time_costs_nothing_and_thinning_loses_nothing() {
        let mut buckets = series();
        let rule = Thinning { fine: 60_000, step: 5_000 };
        for at in 1..5000_u64 {
            buckets.push(1, at as i64 * 500, &[at, at * 200, 0], at as f64);
            buckets.thin(rule);
        }
        assert!(buckets.len() < 900, "{}", buckets.len());
        let all = buckets.increase(0, 10_000_000);
        assert!((all.count() - 4999.0 * 201.0).abs() < 1e-6 && (all.sum - 4999.0).abs() < 1e-6);
        let before = buckets.len();
        for at in 5000..9000_i64 {
            assert_eq!(buckets.push(1, at * 500, &[4999, 4999 * 200, 0], 4999.0), Some(false));
        }
        assert!(buckets.len() <= before + 2, "{} then {}", before, buckets.len());
        assert_eq!(buckets.increase(2_600_000, 4_400_000).count(), 0.0);
    }

    #[test]
    fn growth_after_a_rest_is_not_spread_over_the_rest() {
        let mut buckets = series();
        buckets.push(1, 1000, &[1, 0, 0], 1.0);
        buckets.rest(59_500);
        buckets.push(1, 60_000, &[1, 1, 0], 4.0);
        assert_eq!((buckets.increase(1000, 59_500).count(), buckets.increase(59_500, 60_000).count()), (0.0, 1.0));
    }

    #[test]
    fn trims() {
        let mut buckets = series();
        for at in 1..1000_u64 {
            buckets.push(1, at as i64 * 500, &[at, 0, 0], 0.0);
        }
        buckets.trim(400_000, 10_000);
        assert!(buckets.first_time().unwrap() > 300_000);
        assert!(buckets.trim(0, 100) > 0);
        assert!(buckets.len() <= CHUNK);
    }
}
