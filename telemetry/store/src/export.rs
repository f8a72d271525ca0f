//! The newest sample of every selected series in Prometheus' text format, for `/federate`.

use std::fmt::Write;

use crate::family::{Data, Family, Kind, Series};
use crate::matcher::Selector;
use crate::series::SeriesStore;

/// Age after which a series without new samples is no longer current, milliseconds (Prometheus' lookback).
const CURRENT: i64 = 300_000;

impl SeriesStore {
    /// All samples that are current at `now` and that any selector accepts, sorted by metric. Histograms are selected by
    /// the names that they are written as (`_bucket`, `_sum`, `_count`).
    pub fn export(&self, selectors: &[Selector], now: i64) -> String {
        let mut families: Vec<&Family> = self.families().collect();
        families.sort_by(|a, b| a.name().cmp(b.name()));
        let mut out = String::new();
        for family in families {
            let mut lines = String::new();
            for series in
                family.all().iter().filter(|series| series.last_time().is_some_and(|last| last >= now - CURRENT))
            {
                write_series(&mut lines, family.name(), series, selectors);
            }
            if !lines.is_empty() {
                header(&mut out, family);
                out.push_str(&lines);
            }
        }
        out
    }
}

fn header(out: &mut String, family: &Family) {
    let kind = match family.kind() {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    if !family.help().is_empty() {
        let help = family.help().replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(out, "# HELP {} {help}", family.name());
    }
    let _ = writeln!(out, "# TYPE {} {kind}", family.name());
}

fn write_series(out: &mut String, name: &str, series: &Series, selectors: &[Selector]) {
    let wanted = |name: &str| selectors.iter().any(|selector| selector.accepts(name, series.labels()));
    match &series.data {
        Data::Points(points) => {
            if let Some((time, value)) = points.last()
                && wanted(name)
            {
                line(out, name, series, None, (number(value), time));
            }
        }
        Data::Buckets(buckets) => {
            let Some((time, counts, sum)) = buckets.last() else { return };
            let (bucket, total) = (format!("{name}_bucket"), counts.iter().sum::<u64>());
            if wanted(&bucket) {
                let bounds = buckets.bounds().iter().map(|bound| number(*bound)).chain([String::from("+Inf")]);
                let mut below = 0;
                for (bound, count) in bounds.zip(counts) {
                    below += count;
                    line(out, &bucket, series, Some(&bound), (below.to_string(), time));
                }
            }
            for (name, value) in [(format!("{name}_sum"), number(sum)), (format!("{name}_count"), total.to_string())] {
                if wanted(&name) {
                    line(out, &name, series, None, (value, time));
                }
            }
        }
    }
}

fn line(out: &mut String, name: &str, series: &Series, bound: Option<&str>, (value, time): (String, i64)) {
    out.push_str(name);
    let mut open = '{';
    for (label, value) in series.labels().iter().chain(bound.map(|bound| ("le", bound))) {
        let _ = write!(out, "{open}{label}=\"");
        for c in value.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
        out.push('"');
        open = ',';
    }
    if open == ',' {
        out.push('}');
    }
    let _ = writeln!(out, " {value} {time}");
}

fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".into()
    } else if value == f64::NEG_INFINITY {
        "-Inf".into()
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::{Limits, Reading};

    #[test]
    fn text_format() {
        let mut store = SeriesStore::new(Limits::default());
        let at = (2000, 2000);
        store
            .append("up_total", &mut vec![("b", "x\"\\\n"), ("a", "1")], at, Reading::Counter { start: 1, value: 2.5 })
            .unwrap();
        store.describe("up_total", "What\nis up.");
        let histogram = Reading::Histogram { start: 1, bounds: &[0.5, 10.0], counts: &[1, 2, 3], sum: 99.0 };
        store.append("lat", &mut vec![], at, histogram).unwrap();
        let all = [Selector::parse("{__name__=~\".+\"}").unwrap()];
        let expected = "# TYPE lat histogram\nlat_bucket{le=\"0.5\"} 1 2000\nlat_bucket{le=\"10\"} 3 2000\n\
            lat_bucket{le=\"+Inf\"} 6 2000\nlat_sum 99 2000\nlat_count 6 2000\n# HELP up_total What\\nis up.\n\
            # TYPE up_total counter\nup_total{a=\"1\",b=\"x\\\"\\\\\\n\"} 2.5 2000\n";
        assert_eq!(store.export(&all, 3000), expected);
        assert_eq!(
            store.export(&[Selector::parse("lat_count").unwrap()], 3000),
            "# TYPE lat histogram\nlat_count 6 2000\n"
        );
        assert_eq!(store.export(&all, 400_000), "");
    }
}
