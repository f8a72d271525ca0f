//! The samples of one counter or gauge.
//!
//! A counter is read as the amount that it grew in a window: between two samples the growth is taken as even, a fall
//! means that the process began again at zero, and the moment at which a series began counts as a sample of zero. So a
//! series shows its first requests at once, and a window that cuts between two samples gets its share.

use crate::family::Kind;

/// Samples in time order, milliseconds since the Unix epoch.
#[derive(Debug, Default)]
pub struct Points {
    times: Vec<i64>,
    values: Vec<f64>,
    /// Samples before this one were thinned already.
    thinned: usize,
}

/// How long samples stay as dense as they came, and how dense the older ones stay, milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Thinning {
    /// Age up to which every sample stays.
    pub fine: i64,
    /// Of older samples, one for each step of this length stays.
    pub step: i64,
}

/// Samples that gather before thinning looks at them, so that its cost is spread.
const BATCH: usize = 256;

impl Points {
    /// Adds a sample; `start` is when the series began (0: unknown). `Some(true)` if the value differs from the last
    /// one, `None` if the sample is not newer than the last one.
    pub fn push(&mut self, kind: Kind, start: i64, time: i64, value: f64) -> Option<bool> {
        let Some((last_time, last)) = self.last() else {
            if kind == Kind::Counter && start > 0 && start < time {
                self.add(start, 0.0);
            }
            self.add(time, value);
            return Some(true);
        };
        if time <= last_time {
            return None;
        }
        if kind == Kind::Counter && start > last_time && start < time {
            self.add(start, 0.0);
        } else if value == last {
            self.hold(time, value);
            return Some(false);
        }
        self.add(time, value);
        Some(true)
    }

    /// Notes that the newest value was still the value at `until`: whatever grows next grew later.
    pub fn rest(&mut self, until: i64) {
        if let Some((time, value)) = self.last()
            && until > time
        {
            self.hold(until, value);
        }
    }

    /// The newest sample.
    pub fn last(&self) -> Option<(i64, f64)> {
        Some((*self.times.last()?, *self.values.last()?))
    }

    /// When the newest value was first seen.
    pub fn changed_at(&self) -> Option<i64> {
        let count = self.values.len();
        let held = count >= 2 && self.values.get(count - 2) == self.values.last();
        self.times.get(if held { count - 2 } else { count.checked_sub(1)? }).copied()
    }

    /// Time of the oldest sample.
    pub fn first_time(&self) -> Option<i64> {
        self.times.first().copied()
    }

    /// The last value at or before `time`.
    pub fn at(&self, time: i64) -> Option<f64> {
        let after = self.times.partition_point(|t| *t <= time);
        self.values.get(after.checked_sub(1)?).copied()
    }

    /// How much a counter grew after `from` and up to `to`.
    pub fn increase(&self, from: i64, to: i64) -> f64 {
        let begin = self.times.partition_point(|t| *t <= from).saturating_sub(1);
        let mut grown = 0.0;
        for at in begin..self.times.len().saturating_sub(1) {
            let (Some(&[earlier, later]), Some(&[before, after])) = (
                self.times.get(at..at + 2).and_then(|w| w.first_chunk::<2>()),
                self.values.get(at..at + 2).and_then(|w| w.first_chunk::<2>()),
            ) else {
                break;
            };
            if earlier >= to {
                break;
            }
            grown += growth(before, after) * share(earlier, later, from, to);
        }
        grown
    }

    /// Number of samples held.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether no sample is held.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Forgets samples older than `horizon`, keeping the newest of those as what the series was then, and all but the
    /// newest `most`. Returns how many the second rule cost.
    pub fn trim(&mut self, horizon: i64, most: usize) -> usize {
        let old = self.times.partition_point(|t| *t < horizon).saturating_sub(1);
        let surplus = (self.times.len() - old).saturating_sub(most);
        let gone = old + surplus;
        // Moving what stays costs as much as the series is long: wait until it pays.
        if gone > 0 && (surplus > 0 || gone * 8 >= self.times.len()) {
            self.times.drain(..gone);
            self.values.drain(..gone);
            self.thinned = self.thinned.saturating_sub(gone);
        }
        surplus
    }

    /// Thins samples that are no longer recent, once enough of them have gathered.
    pub fn thin(&mut self, rule: Thinning) {
        let Some((newest, _)) = self.last() else { return };
        let end = self.times.partition_point(|t| *t < newest - rule.fine);
        if end < self.thinned + BATCH {
            return;
        }
        let mut kept = self.thinned;
        for at in self.thinned..self.times.len() {
            if at >= end || self.worth_keeping(at, rule.step) {
                self.times.swap(kept, at);
                self.values.swap(kept, at);
                kept += 1;
                if at < end {
                    self.thinned = kept;
                }
            }
        }
        self.times.truncate(kept);
        self.values.truncate(kept);
    }

    /// The last sample of its step, and both sides of a reset.
    fn worth_keeping(&self, at: usize, step: i64) -> bool {
        let (Some(time), Some(value)) = (self.times.get(at), self.values.get(at)) else { return false };
        let (Some(next_time), Some(next)) = (self.times.get(at + 1), self.values.get(at + 1)) else { return true };
        time.div_euclid(step) != next_time.div_euclid(step) || next < value || *value == 0.0
    }

    /// A value that stays the same is a line, and a line has two ends.
    fn hold(&mut self, time: i64, value: f64) {
        let count = self.values.len();
        if count > self.thinned + 1 && self.values.get(count - 2) == Some(&value) {
            if let Some(last) = self.times.last_mut() {
                *last = time;
            }
        } else {
            self.add(time, value);
        }
    }

    fn add(&mut self, time: i64, value: f64) {
        self.times.push(time);
        self.values.push(value);
    }
}

fn growth(before: f64, after: f64) -> f64 {
    if after < before { after } else { after - before }
}

/// How much of the time from `earlier` to `later` lies in the window.
pub(crate) fn share(earlier: i64, later: i64, from: i64, to: i64) -> f64 {
    let inside = later.min(to) - earlier.max(from);
    if inside <= 0 || later <= earlier { 0.0 } else { inside as f64 / (later - earlier) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(start: i64, samples: &[(i64, f64)]) -> Points {
        let mut points = Points::default();
        for (time, value) in samples {
            points.push(Kind::Counter, start, *time, *value);
        }
        points
    }

    #[test]
    fn increase_table() {
        // (what, start, samples, from, to, expected)
        type Row = (&'static str, i64, &'static [(i64, f64)], i64, i64, f64);
        let table: &[Row] = &[
            ("plain", 0, &[(1000, 10.0), (2000, 15.0), (3000, 30.0)], 1000, 3000, 20.0),
            ("one sample, no start: unknown growth", 0, &[(1000, 10.0)], 0, 3000, 0.0),
            ("new series shows its first increase at once", 500, &[(1000, 10.0)], 0, 3000, 10.0),
            ("began before the window: its share", 1000, &[(11_000, 100.0)], 6000, 11_000, 50.0),
            ("reset by fall", 0, &[(1000, 100.0), (2000, 4.0)], 1000, 2000, 4.0),
            ("window cuts between samples", 0, &[(0, 0.0), (1000, 10.0), (2000, 30.0)], 500, 1500, 15.0),
            ("after the last sample", 0, &[(0, 0.0), (1000, 10.0)], 2000, 3000, 0.0),
            ("held", 1, &[(1000, 10.0), (2000, 10.0), (3000, 10.0), (4000, 10.0), (5000, 12.0)], 1000, 5000, 2.0),
            (
                "old or equal samples are refused",
                0,
                &[(1000, 10.0), (900, 50.0), (1000, 60.0), (2000, 11.0)],
                0,
                2000,
                1.0,
            ),
        ];
        for (what, start, samples, from, to, expected) in table {
            let grown = counter(*start, samples).increase(*from, *to);
            assert!((grown - expected).abs() < 1e-9, "{what}: {grown} instead of {expected}");
        }
    }

    #[test]
    fn a_new_start_is_a_reset_even_when_the_value_is_higher() {
        let mut points = counter(500, &[(1000, 10.0)]);
        points.push(Kind::Counter, 1500, 2000, 25.0);
        assert_eq!(points.increase(1000, 2000), 25.0);
    }

    #[test]
    fn growth_after_a_rest_is_not_spread_over_the_rest() {
        let mut points = counter(0, &[(1000, 10.0)]);
        points.rest(59_500);
        points.push(Kind::Counter, 0, 60_000, 11.0);
        assert_eq!((points.increase(1000, 59_500), points.increase(59_500, 60_000)), (0.0, 1.0));
        points.rest(1);
        assert_eq!(points.last(), Some((60_000, 11.0)));
    }

    #[test]
    fn a_steady_value_costs_two_samples() {
        let mut points = counter(0, &[(1000, 10.0)]);
        for time in 2..500 {
            assert_eq!(points.push(Kind::Counter, 0, time * 1000, 10.0), Some(false));
        }
        assert_eq!(points.len(), 2);
        assert_eq!(points.last(), Some((499_000, 10.0)));
    }

    #[test]
    fn thinning_keeps_the_growth_and_the_resets() {
        let mut points = Points::default();
        let mut value = 0.0;
        let mut total = 0.0;
        for at in 1..2000_i64 {
            value = if at == 700 { 3.0 } else { value + 2.0 };
            total += if at == 700 { 3.0 } else { 2.0 };
            points.push(Kind::Counter, 1, at * 500, value);
            points.thin(Thinning { fine: 60_000, step: 5_000 });
        }
        assert!(points.len() < 800, "{}", points.len());
        let grown = points.increase(0, 1_000_000);
        assert!((grown - total).abs() < 1e-6, "{grown} instead of {total}");
    }

    #[test]
    fn trims_by_age_and_by_number() {
        let mut points = counter(0, &[]);
        for at in 0..100 {
            points.push(Kind::Gauge, 0, at, at as f64 + 0.5);
        }
        assert_eq!(points.trim(50, 1000), 0);
        assert_eq!(points.first_time(), Some(49));
        assert_eq!(points.trim(50, 10), 41);
        assert_eq!(points.len(), 10);
        assert_eq!(points.at(95), Some(95.5));
        assert_eq!(points.at(1), None);
    }
}
