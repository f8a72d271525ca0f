//! Where configuration comes from: a directory of YAML files as a stream of changes.
//!
//! Nothing behind the stream can tell which source it came from. A file with mistakes keeps its last good objects.

mod dir;

use std::sync::Arc;

use orrery_api::{Key, Object, Problem};
use thiserror::Error;
use tokio::sync::mpsc;

/// One change of the configuration.
#[derive(Debug)]
pub enum Change {
    /// An object is new or different.
    Put(Arc<Object>),
    /// An object is gone.
    Gone(Key),
    /// A file has these mistakes; none means that they are mended.
    Refused { file: String, problems: Vec<Problem> },
    /// Everything that was there at the start has been told.
    Loaded,
}

/// Why a directory cannot be watched.
#[derive(Debug, Error)]
pub enum SourceError {
    #[error("the configuration directory {path} cannot be used: {source}")]
    Directory { path: std::path::PathBuf, source: std::io::Error },
    #[error("changes of {path} cannot be watched: {source}")]
    Watch { path: std::path::PathBuf, source: notify::Error },
}

/// Changes that may wait for their reader.
const QUEUE: usize = 1_024;

/// Reads a directory and all below it, and follows it until `stop`.
///
/// # Errors
/// When the directory cannot be made, read or watched.
pub fn watch(
    directory: std::path::PathBuf,
    stop: tokio_util::sync::CancellationToken,
) -> Result<mpsc::Receiver<Change>, SourceError> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    dir::follow(directory, sender, stop)?;
    Ok(receiver)
}
