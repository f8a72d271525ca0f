//! How long calls took: bucketed durations that can be added up, and their quantiles as Prometheus computes them.

use std::sync::Arc;

/// Durations observed in a window, milliseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Durations {
    /// Finite upper bounds of the buckets, ascending.
    pub bounds: Arc<[f64]>,
    /// Calls in each bucket (not cumulative), and one more number for those above all bounds.
    pub counts: Vec<f64>,
}

impl Durations {
    /// Number of calls.
    pub fn count(&self) -> f64 {
        self.counts.iter().sum()
    }

    /// Adds calls; those in other buckets cannot be added and are left out.
    pub fn add(&mut self, other: &Self) {
        if self.counts.is_empty() {
            self.clone_from(other);
        } else if self.bounds == other.bounds {
            for (total, count) in self.counts.iter_mut().zip(&other.counts) {
                *total += count;
            }
        }
    }

    /// The duration that the share `q` (0 to 1) of calls stayed within, interpolated inside its bucket, milliseconds.
    /// Above all bounds it is the highest bound. `None` without calls.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let rank = q.clamp(0.0, 1.0) * self.count();
        let (mut below, mut lower) = (0.0, 0.0);
        for (upper, count) in self.bounds.iter().zip(&self.counts) {
            if *count > 0.0 && below + count >= rank {
                return Some(lower + (upper - lower) * (rank - below) / count);
            }
            below += count;
            lower = *upper;
        }
        self.bounds.last().copied().filter(|_| self.count() > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_sum() {
        let durations = |counts: [f64; 3]| Durations { bounds: Arc::from([1.0, 5.0]), counts: counts.to_vec() };
        let mut sum = Durations::default();
        assert_eq!(sum.quantile(0.5), None);
        sum.add(&durations([10.0, 0.0, 0.0]));
        assert_eq!(sum.quantile(0.5), Some(0.5));
        sum.add(&durations([0.0, 10.0, 0.0]));
        sum.add(&Durations { bounds: Arc::from([7.0]), counts: vec![100.0, 0.0] });
        assert_eq!((sum.count(), sum.quantile(0.75)), (20.0, Some(3.0)));
        sum.add(&durations([0.0, 0.0, 80.0]));
        assert_eq!(sum.quantile(0.99), Some(5.0));
    }
}
