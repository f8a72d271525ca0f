//! Schemas of Istio's kinds: which fields there are, what they hold, and the rules between them.
//!
//! A document is checked as the API server checks it by Istio's custom resource definitions and as Istio's webhook does
//! after that: all violations at once, each with the place and the API server's words for it. Whether the mesh acts on what is
//! valid is not for this crate.

mod check;
mod istio;
mod rules;
mod shape;

pub use check::{Violation, check};

use shape::Object;

/// The schema of a kind's `spec`, whatever the version of the API group; nothing for kinds that have none here.
fn spec_of(group: &str, kind: &str) -> Option<&'static Object> {
    istio::KINDS.iter().find(|known| known.group == group && known.kind == kind).map(|known| known.spec)
}
