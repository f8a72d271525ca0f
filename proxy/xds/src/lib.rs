//! The proxy's side of xDS: one delta ADS stream, Envoy's messages turned into `orrery-core` values, and complete
//! snapshots published.
//!
//! A resource that cannot be used is refused by name while the others are kept; what was good before stays in force.
//! The crate does not know where certificates come from, nor what is done with a snapshot.

mod client;
// Fields that Envoy deprecates are still sent by control planes, and are read here.
#[allow(deprecated)]
mod decode;
mod offline;
mod session;
mod status;
mod store;

pub use client::{AdsConfig, Node, run};
pub use offline::{Offline, decode_offline};
pub use status::AdsStatus;
