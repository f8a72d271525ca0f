//! Who calls whom, how often, how well and how securely: time series in, a graph out, in Kiali's terms.
//!
//! Everything here is a pure function of series' labels and numbers and of the options. This crate does no I/O, reads no
//! clock, and knows nothing about how series are stored, HTTP, streams or where on a page a node is drawn.

pub mod build;
pub mod durations;
pub mod element;
pub mod flow;
pub mod health;
pub mod identity;
pub mod kiali;
pub mod node;
pub mod observe;
pub mod rates;
mod reduce;
pub mod security;

#[cfg(test)]
mod tests;

pub use build::{MeshGraph, Options, build};
pub use durations::Durations;
pub use element::{Edge, Live, Node};
pub use flow::{Flow, Reporter};
pub use health::Health;
pub use identity::{Identity, Service, UNKNOWN, Workload, is_known};
pub use node::{GraphType, NodeType};
pub use observe::{Counted, Latency, Observation, Observations, Window};
pub use rates::{Protocol, Rates};
