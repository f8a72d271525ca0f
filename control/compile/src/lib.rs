//! Pure compilation: the world of configuration objects and one proxy's identity, to that proxy's Envoy resources.
//!
//! No I/O, no clock, no `async`. It knows what Istio's configuration means; it does not know who is connected, what they
//! have already, or where objects come from.

mod build;
mod compile;
mod compiler;
mod delegate;
mod fact;
mod fingerprint;
mod index;
mod names;
mod policy;
mod proxy;
mod references;
mod registry;
#[cfg(test)]
mod scatter;
mod settings;
mod world;

pub use compile::{Compiled, compile};
pub use compiler::{Compiler, Counts, ProxyId, Publication};
pub use orrery_resource::Resource;
pub use proxy::{Interception, Proof, Proxy, ProxyError, ProxyKind, Secrets};
pub use references::{References, validate_references};
pub use registry::{EndpointAddress, PortProtocol, Registry, RegistryService, ServiceEndpoint, ServicePortInfo};
pub use settings::{AccessLogFormat, Settings};
pub use world::World;
