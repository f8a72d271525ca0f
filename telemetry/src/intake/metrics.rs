//! OTLP metrics into series.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, DataPointFlags, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
};
use orrery_store::{Moment, Reading, SeriesStore};

use super::{Refused, Resource, labels_of, millis, plain_name};
use crate::shared::Shared;

/// Instrumentation scope of what proxies push.
const OURS: &str = "orrery";

/// One message being taken.
struct Intake<'a> {
    store: &'a mut SeriesStore,
    resource: &'a Resource,
    now: i64,
    /// When the same sender last told what had changed.
    told: Option<i64>,
    changed: bool,
    refused: Refused,
}

/// Takes all metrics of a message; says what was refused.
pub(crate) fn take_metrics(shared: &Shared, message: &[ResourceMetrics]) -> Refused {
    let now = shared.now();
    let mut refused = Refused::default();
    let mut changed = false;
    for part in message {
        let resource = Resource::read(part.resource.as_ref());
        let told = shared.targets.lock().note(&resource, now, told_at(part));
        let mut store = shared.series.write();
        let mut intake = Intake { store: &mut store, resource: &resource, now, told, changed: false, refused };
        for metric in part.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            intake.take(metric);
        }
        changed |= intake.changed;
        refused = intake.refused;
    }
    if changed {
        shared.tell();
    }
    if refused.count > 0 {
        tracing::debug!(count = refused.count, reason = refused.reason, "samples refused");
    }
    refused
}

impl Intake<'_> {
    fn take(&mut self, metric: &Metric) {
        let name = plain_name(&metric.name);
        match &metric.data {
            Some(Data::Sum(sum)) if is_cumulative(sum.aggregation_temporality) => {
                for point in &sum.data_points {
                    let start = millis(point.start_time_unix_nano);
                    self.take_number(&name, point, |value| match sum.is_monotonic {
                        true => Reading::Counter { start, value },
                        false => Reading::Gauge { value },
                    });
                }
            }
            Some(Data::Gauge(gauge)) => {
                for point in &gauge.data_points {
                    self.take_number(&name, point, |value| Reading::Gauge { value });
                }
            }
            Some(Data::Histogram(histogram)) if is_cumulative(histogram.aggregation_temporality) => {
                for point in &histogram.data_points {
                    self.take_histogram(&name, point);
                }
            }
            Some(Data::Sum(_) | Data::Histogram(_)) => {
                self.refused.add(format!("metric {name}: only cumulative temporality is taken"));
            }
            Some(Data::ExponentialHistogram(_) | Data::Summary(_)) => {
                self.refused.add(format!("metric {name}: exponential histograms and summaries are not taken"));
            }
            None => self.refused.add(format!("metric {name} has no data")),
        }
        self.store.describe(&name, &metric.description);
    }

    fn take_number<'r>(&mut self, name: &str, point: &NumberDataPoint, reading: impl Fn(f64) -> Reading<'r>) {
        let value = match point.value {
            Some(Value::AsDouble(value)) => value,
            Some(Value::AsInt(value)) => value as f64,
            None => return,
        };
        if point.flags & DataPointFlags::NoRecordedValueMask as u32 == 0 {
            self.append(name, &point.attributes, point.time_unix_nano, reading(value));
        }
    }

    fn take_histogram(&mut self, name: &str, point: &HistogramDataPoint) {
        if point.flags & DataPointFlags::NoRecordedValueMask as u32 != 0 {
            return;
        }
        let reading = Reading::Histogram {
            start: millis(point.start_time_unix_nano),
            bounds: &point.explicit_bounds,
            counts: &point.bucket_counts,
            sum: point.sum.unwrap_or(0.0),
        };
        self.append(name, &point.attributes, point.time_unix_nano, reading);
    }

    fn append(&mut self, name: &str, attributes: &[KeyValue], time: u64, reading: Reading<'_>) {
        let owned = labels_of(attributes);
        let mut labels: Vec<(&str, &str)> = owned.iter().map(|(name, value)| (&**name, &**value)).collect();
        labels.extend(self.resource.labels());
        let moment = Moment { now: self.now, time: millis(time), rested: self.told };
        match self.store.append(name, &mut labels, moment, reading) {
            Ok(changed) => self.changed |= changed,
            Err(error) => self.refused.add(format!("metric {name}: {error}")),
        }
    }
}

/// The time of a message from a sender that leaves out what did not change, which is what our own proxies do.
fn told_at(part: &ResourceMetrics) -> Option<i64> {
    let scope = part.scope_metrics.first()?;
    let ours = scope.scope.as_ref().is_some_and(|scope| scope.name == OURS);
    let first = scope.metrics.first().filter(|_| ours)?;
    let time = match first.data.as_ref()? {
        Data::Sum(sum) => sum.data_points.first()?.time_unix_nano,
        Data::Gauge(gauge) => gauge.data_points.first()?.time_unix_nano,
        Data::Histogram(histogram) => histogram.data_points.first()?.time_unix_nano,
        Data::ExponentialHistogram(_) | Data::Summary(_) => return None,
    };
    Some(millis(time))
}

fn is_cumulative(temporality: i32) -> bool {
    temporality == AggregationTemporality::Cumulative as i32
}
