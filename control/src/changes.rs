//! From the configuration directory's stream of changes to the state: the one place that knows that stream.

use std::collections::BTreeMap;

use orrery_api::Problem;
use orrery_source::Change;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::state::State;

/// What a change did.
#[derive(Debug, Default)]
pub(crate) struct Update {
    /// What proxies may have to be told, as `kind/namespace/name`.
    pub(crate) cause: Option<String>,
    /// The directory was read completely.
    pub(crate) loaded: bool,
    /// Mistakes in the file that changed; its objects stay as they were.
    pub(crate) refused: usize,
}

/// Mistakes in the directory's files, by file, until they are mended.
pub(crate) type Problems = BTreeMap<String, Vec<Problem>>;

/// Starts to watch the configuration directory.
pub(crate) fn watch(config: &Config, stop: CancellationToken) -> anyhow::Result<mpsc::Receiver<Change>> {
    Ok(orrery_source::watch(config.config_dir.clone(), stop)?)
}

/// Takes a change into the state. What the state has already is no change.
pub(crate) fn take(state: &mut State, change: Change) -> Update {
    match change {
        Change::Put(object) => {
            let key = object.key();
            let changed = state.put(*object);
            Update { cause: changed.then(|| key.to_string()), ..Update::default() }
        }
        Change::Gone(key) => {
            let changed = state.remove(&key);
            Update { cause: changed.then(|| key.to_string()), ..Update::default() }
        }
        Change::Refused { file, problems } => {
            for problem in &problems {
                tracing::error!("{problem}");
            }
            let refused = problems.len();
            state.set_problems(file, problems);
            Update { refused, ..Update::default() }
        }
        Change::Loaded => Update { loaded: true, ..Update::default() },
    }
}
