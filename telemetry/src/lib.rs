//! The telemetry aggregator: takes what proxies push, keeps the last hour, and answers for it: as a live graph, as Kiali's,
//! Jaeger's and Prometheus' JSON and text, and as pages.
//!
//! It knows wire formats and sockets. What a metric means is `orrery-graph`'s business, how samples are kept
//! `orrery-store`'s, how a page looks `orrery-ui`'s. It never changes anything outside itself: no request has a side
//! effect.

mod api;
mod bound;
mod config;
mod drawing;
mod error;
mod intake;
mod observe;
mod params;
mod shared;
mod stream;
mod summary;
mod targets;

#[cfg(test)]
mod tests;

pub use bound::{Bound, build};
pub use config::{Config, Limits, Listen};
pub use error::BuildError;
