//! The xDS server: Aggregated Discovery Service, delta and state of the world, for any Envoy v3 client.
//!
//! [`session`] is the pure state machine of one stream. [`AdsServer`] runs streams over gRPC, and
//! [`Hub`] is how whoever owns the configuration publishes to them and hears of them. This crate
//! knows nothing of what resources mean, of files, of Kubernetes, or of how peers were authenticated.

pub mod hub;
pub mod node;
pub mod service;
pub mod session;
mod stream;
mod wire;

pub use hub::{ConnectionId, Event, Hub, Limits};
pub use node::{NodeIdentity, Peer};
pub use orrery_resource::{Difference, Resource, ResourceSet, ResourceType};
pub use service::AdsServer;
pub use session::{Push, Session, Variant};
