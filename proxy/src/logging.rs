//! The log level, changed while the process runs. Whoever installs the subscriber says how.

use std::sync::Arc;

use thiserror::Error;

/// Reads and changes the process's log level.
#[derive(Clone)]
pub struct LogLevel {
    read: Arc<dyn Fn() -> String + Send + Sync>,
    change: Arc<Change>,
}

type Change = dyn Fn(&str) -> Result<(), LevelError> + Send + Sync;

/// A level that was not understood.
#[derive(Clone, Debug, Error)]
#[error("{wanted:?} is no log level: {reason}; use off, error, warn, info, debug, trace, or crate=level pairs")]
pub struct LevelError {
    pub wanted: String,
    pub reason: String,
}

impl LogLevel {
    pub fn new(
        read: impl Fn() -> String + Send + Sync + 'static,
        change: impl Fn(&str) -> Result<(), LevelError> + Send + Sync + 'static,
    ) -> Self {
        Self { read: Arc::new(read), change: Arc::new(change) }
    }

    /// A level that cannot be changed.
    pub fn fixed(level: &'static str) -> Self {
        let refuse = |wanted: &str| {
            Err(LevelError { wanted: wanted.to_owned(), reason: "this process cannot change its level".to_owned() })
        };
        Self::new(move || level.to_owned(), refuse)
    }

    /// The level in force.
    pub fn current(&self) -> String {
        (self.read)()
    }

    /// Changes it.
    ///
    /// # Errors
    /// When it is not understood; the level stays.
    pub fn set(&self, level: &str) -> Result<(), LevelError> {
        (self.change)(level)
    }
}
