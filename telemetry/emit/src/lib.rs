//! What any process of the mesh emits: the catalogue of metrics, their series, the text that Prometheus scrapes,
//! spans, access logs, and the OTLP push.
//!
//! It is a leaf: it knows neither connections nor configuration. Callers look handles up once and then only add.

pub mod access_log;
pub mod catalogue;
mod exposition;
pub mod flags;
pub mod histogram;
pub mod labels;
mod otlp;
pub mod process;
pub mod push;
pub mod registry;
pub mod series;
pub mod spans;
