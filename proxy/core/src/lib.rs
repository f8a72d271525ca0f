//! Pure decisions of the data plane, and the configuration that they decide on.
//!
//! Everything here is a value or a function of values: no sockets, no clock, no `async`. Time and
//! random numbers are arguments. The crate does not know Envoy's protobuf (see `orrery-xds`), nor
//! connections and pools (see `orrery-engine`).

pub mod balance;
pub mod chain;
pub mod cluster;
pub mod cors;
pub mod datagram;
pub mod decide;
pub mod edge;
pub mod fault;
pub mod forward;
pub mod grpc_messages;
pub mod listener;
pub mod matching;
pub mod names;
pub mod outlier;
pub mod retry;
pub mod route;
pub mod secret;
pub mod select;
pub mod snapshot;
