//! What the mesh did in the last hour, in memory: time series of the golden signals, and traces.
//!
//! This crate holds samples and spans, answers selections over them, and forgets what is too old or too much. It does
//! not know where they come from (OTLP or anything else), reads no clock (every call takes the time), does no I/O, and
//! knows nothing about services, graphs or pages.

pub mod buckets;
pub mod export;
pub mod family;
pub mod labels;
pub mod matcher;
pub mod points;
pub mod quantile;
pub mod query;
pub mod reading;
pub mod series;
pub mod traces;

pub use buckets::BucketDelta;
pub use family::{Family, Kind, Series};
pub use labels::LabelSet;
pub use matcher::{Matcher, Selector, SelectorError};
pub use quantile::quantile;
pub use reading::{AppendError, Limits, Moment, Reading, Refusals};
pub use series::SeriesStore;
pub use traces::{Span, SpanKind, TagValue, TraceLimits, TraceQuery, TraceStore};
