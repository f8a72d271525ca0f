//! Quantiles of a bucketed histogram, as `histogram_quantile` of Prometheus computes them for classic histograms.

/// The value below which the share `q` (0 to 1) of observations lies, by linear interpolation inside the bucket.
///
/// `bounds` are the finite upper bounds, ascending; `counts` has one entry for each bound and one more for everything
/// above, not cumulative. `None` if nothing was observed. A quantile in the last bucket is the highest finite bound.
pub fn quantile(q: f64, bounds: &[f64], counts: &[f64]) -> Option<f64> {
    let total: f64 = counts.iter().sum();
    if total <= 0.0 || bounds.is_empty() || !q.is_finite() {
        return None;
    }
    let rank = q.clamp(0.0, 1.0) * total;
    let mut below = 0.0;
    let mut lower = None;
    for (upper, count) in bounds.iter().zip(counts) {
        if below + count >= rank && *count > 0.0 {
            let start = match lower {
                Some(lower) => lower,
                None if *upper <= 0.0 => return Some(*upper),
                None => 0.0,
            };
            return Some(start + (upper - start) * ((rank - below) / count));
        }
        below += count;
        lower = Some(*upper);
    }
    bounds.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values computed by hand from the definition in the Prometheus documentation.
    #[test]
    fn hand_computed() {
        let bounds = [0.5, 1.0, 5.0, 10.0];
        // (q, counts per bucket, expected)
        let table: &[(f64, [f64; 5], Option<f64>)] = &[
            (0.5, [0.0, 10.0, 0.0, 0.0, 0.0], Some(0.75)),
            (0.5, [10.0, 0.0, 0.0, 0.0, 0.0], Some(0.25)),
            (0.9, [10.0, 10.0, 70.0, 10.0, 0.0], Some(5.0)),
            (0.95, [10.0, 10.0, 70.0, 10.0, 0.0], Some(7.5)),
            (0.99, [0.0, 0.0, 50.0, 50.0, 0.0], Some(9.9)),
            (0.99, [0.0, 0.0, 1.0, 0.0, 9.0], Some(10.0)),
            (1.0, [0.0, 4.0, 0.0, 0.0, 0.0], Some(1.0)),
            (0.5, [0.0; 5], None),
        ];
        for (q, counts, expected) in table {
            let got = quantile(*q, &bounds, counts);
            match (got, expected) {
                (Some(got), Some(expected)) => assert!((got - expected).abs() < 1e-9, "{q} {counts:?}: {got}"),
                (got, expected) => assert_eq!(got, *expected, "{q} {counts:?}"),
            }
        }
    }
}
