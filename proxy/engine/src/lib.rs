//! The data plane's pipeline: a connection is taken, its requests pass named phases, go to an upstream, and leave one
//! record each. Worker threads share nothing that a request has to lock.
//!
//! It does not know xDS (a snapshot of `orrery-core` types is handed in), where telemetry goes (`orrery-emit`), nor
//! how bytes are carried (`orrery-net`).

mod attempt;
mod body;
mod connection;
mod datagram;
mod engine;
mod exchange;
mod headers;
pub mod hop;
mod live;
mod mirror;
pub mod node;
pub mod normalise;
mod peer;
mod record;
pub mod reject;
mod request;
mod secrets;
mod send;
mod series;
mod tcp;
mod trace;
mod tunnel;
mod worker;

pub use engine::{Applied, ConnectionCounts, Engine, EngineConfig, EngineError};
