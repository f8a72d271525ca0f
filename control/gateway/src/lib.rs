//! Gateway API in terms of Istio: Gateways, routes, grants and policies to the Istio objects that mean the same, and to the
//! status of every object, as Istio's controller decides both, with what it lacks of the standard.
//!
//! No I/O, no clock. It knows what the objects mean together; it does not know proxies, endpoints or who asks.

mod backend;
mod class;
mod condition;
mod conflict;
mod connection;
mod destinations;
mod filter;
mod gateway;
mod grant;
mod grpc;
mod hostname;
mod http;
mod listener;
mod order;
mod outcome;
mod parent;
mod policy;
mod reach;
mod routes;
mod rule;
mod sources;
mod status;
mod tls;
mod translate;

pub use reach::{Reach, ReachedService};
pub use sources::Lookup;
pub use translate::{TRANSLATED, Translation, translate};

#[cfg(test)]
mod cases;
#[cfg(test)]
mod golden;
