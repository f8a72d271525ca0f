//! What goes into the store, what it may hold, and why a sample is refused.

use crate::family::Kind;

/// What the store may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Age at which samples are forgotten, milliseconds.
    pub retention: i64,
    /// Age up to which every sample is kept, milliseconds.
    pub fine: i64,
    /// Distance between older samples, milliseconds.
    pub step: i64,
    /// Series at one time; a sample of one more is refused.
    pub series: usize,
    /// Samples of one series; one more pushes out its oldest.
    pub samples: usize,
}

/// A sample as it arrives. Times are Unix milliseconds; `start` is when the series began, 0 if unknown.
#[derive(Clone, Copy, Debug)]
pub enum Reading<'a> {
    /// A counter's value.
    Counter {
        /// When it was zero.
        start: i64,
        /// The value since then.
        value: f64,
    },
    /// A gauge's value.
    Gauge {
        /// The value.
        value: f64,
    },
    /// A histogram's counts since `start`.
    Histogram {
        /// When all counts were zero.
        start: i64,
        /// Finite upper bounds, ascending.
        bounds: &'a [f64],
        /// Observations in each bucket (not cumulative over buckets), one more than `bounds`.
        counts: &'a [u64],
        /// Sum of the observed values.
        sum: f64,
    },
}

/// When a sample was taken, all in Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// This machine's clock.
    pub now: i64,
    /// The sample's time.
    pub time: i64,
    /// For senders that leave out what did not change: until when they would have told of a change of this series.
    pub rested: Option<i64>,
}

/// Why a sample was not taken. The sender must change for all but `TooManySeries`, where the operator can raise a limit.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum AppendError {
    /// The limit of series is reached.
    #[error("too many series: raise the limit, or send fewer label values")]
    TooManySeries,
    /// Not newer than what is stored, or much newer than now.
    #[error("sample time is not after the last sample of its series, or is too far from the present")]
    OutOfOrder,
    /// The metric exists with another kind.
    #[error("metric was seen before with another type")]
    KindChanged,
    /// Name, labels, bounds or values cannot be used.
    #[error("malformed sample: name, labels, bucket bounds or value out of range")]
    Malformed,
}

/// How many samples were refused, by reason, since the store was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// By [`AppendError::TooManySeries`].
    pub too_many_series: u64,
    /// By [`AppendError::OutOfOrder`].
    pub out_of_order: u64,
    /// By [`AppendError::KindChanged`].
    pub kind_changed: u64,
    /// By [`AppendError::Malformed`].
    pub malformed: u64,
    /// Samples pushed out of their series before their time.
    pub pushed_out: u64,
}

impl From<(i64, i64)> for Moment {
    /// `now` and `time`.
    fn from((now, time): (i64, i64)) -> Self {
        Self { now, time, rested: None }
    }
}

impl Default for Limits {
    /// One hour, the last two minutes as dense as they came and then every 5 s, 50,000 series of 4,000 samples.
    fn default() -> Self {
        Self { retention: 3_600_000, fine: 120_000, step: 5_000, series: 50_000, samples: 4_000 }
    }
}

impl Reading<'_> {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Counter { .. } => Kind::Counter,
            Self::Gauge { .. } => Kind::Gauge,
            Self::Histogram { .. } => Kind::Histogram,
        }
    }
}
