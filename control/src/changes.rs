//! From the configuration directory's stream of changes to the state: the one place that knows that stream.

use std::collections::BTreeMap;

use orrery_api::{Key, Kind, Problem};
use orrery_source::Change;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::metrics::{Family, Metrics};
use crate::state::State;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Added,
    Updated,
    Deleted,
}

/// An object that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) key: Key,
    pub(crate) event: Event,
}

/// What a change did.
#[derive(Debug, Default)]
pub(crate) struct Update {
    /// What proxies may have to be told.
    pub(crate) changed: Option<Changed>,
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
            let event = if state.get(&key).is_some() { Event::Updated } else { Event::Added };
            let changed = state.put(*object).then_some(Changed { key, event });
            Update { changed, ..Update::default() }
        }
        Change::Gone(key) => {
            let changed = state.remove(&key).then_some(Changed { key, event: Event::Deleted });
            Update { changed, ..Update::default() }
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

impl Changed {
    /// Counts the change as Istio does: traffic configuration here, what makes up services there.
    pub(crate) fn count(&self, metrics: &Metrics) {
        let family = match self.key.kind {
            Kind::Deployment
            | Kind::EndpointSlice
            | Kind::Endpoints
            | Kind::Namespace
            | Kind::Pod
            | Kind::Service
            | Kind::ServiceAccount => Family::RegistryEvents,
            Kind::DestinationRule
            | Kind::Gateway
            | Kind::PeerAuthentication
            | Kind::ServiceEntry
            | Kind::VirtualService
            | Kind::WorkloadEntry => Family::ConfigEvents,
        };
        let event = match self.event {
            Event::Added => "add",
            Event::Updated => "update",
            Event::Deleted => "delete",
        };
        metrics.add(family, &[("type", self.key.kind.as_str()), ("event", event)]);
    }
}
