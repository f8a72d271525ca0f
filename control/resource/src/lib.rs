//! One proxy's resources: their types, names and versions, in maps that proxies and revisions share.
//!
//! Compilation makes them and the server sends them. Neither what resources mean nor who has them is known here.

mod kind;
mod set;

pub use kind::ResourceType;
pub use set::{Difference, Layer, Name, Resource, ResourceSet};
