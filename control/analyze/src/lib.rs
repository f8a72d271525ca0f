//! Analysis of configuration: what is valid by itself and yet cannot work, with Istio's codes.
//!
//! Input is every document of a directory or of a living mesh, of any kind. An analyzer is a function over all of them; it
//! reports findings, each with a code, the resource, its file and line, and what to do about it.

mod analyzers;
mod code;
mod finding;
mod host;
mod hosts;
mod injection;
mod mesh_config;
mod resource;
mod snapshot;
mod value;

pub use analyzers::{ALL, Analyzer, ON_DEMAND, find};
pub use code::{Code, Level};
pub use finding::{Finding, Suppression, UnknownSuppression};
pub use resource::{Kept, Resource};
pub use snapshot::{Snapshot, SnapshotBuilder};

use finding::Report;

/// Runs analyzers, the most severe findings first; what a resource's annotation suppresses is left out.
pub fn analyze(snapshot: &Snapshot, analyzers: &[Analyzer]) -> Vec<Finding> {
    let mut report = Report::default();
    for analyzer in analyzers {
        (analyzer.run)(snapshot, &mut report);
    }
    report.into_findings()
}
