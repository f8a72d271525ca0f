//! The proxy role: it gets an identity, subscribes to its configuration, serves traffic on worker threads, and answers
//! questions about itself.
//!
//! Decisions are `orrery-core`'s, traffic is `orrery-engine`'s, configuration comes through `orrery-xds`; this crate
//! puts them together and knows how each starts, becomes ready and ends.

mod admin;
mod agent;
mod bound;
mod config;
mod logging;
mod readiness;
mod stats;

pub use agent::{Issued, issue};
pub use bound::{Bound, build};
pub use config::{Config, ControlPlane, Interception, NodeKind, Ports};
pub use logging::{LevelError, LogLevel};
