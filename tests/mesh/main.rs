//! The whole mesh as `orrery demo` starts it: what a person sees, steers and breaks.

mod analysis;
mod bad_input;
mod graph;
mod lifecycle;
mod namespaces;
mod poison;
mod routing;
