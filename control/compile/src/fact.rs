//! What compilation reads of the world, written down, so that a change finds what has to be made again.
//!
//! Every way to look at the world notes a [`Fact`] while a recording runs; every change of the world names the facts that
//! are not as they were ([`Touched`]). What was made without reading any of them is still right.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use orrery_api::{Key, Kind};

/// Something that can be read of the world, and that changes as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Fact {
    /// An object: that it exists, and what it says.
    Object(Key),
    /// All objects of a kind.
    Kind(Kind),
    /// All objects of a kind in a namespace.
    Namespaced(Kind, String),
    /// Objects of a kind (VirtualService, DestinationRule) that name this host, or have a pattern with it.
    Naming(Kind, String),
    /// VirtualServices that are bound to this gateway, as `namespace/name`.
    Bound(String),
    /// A service by its host, all but its endpoints: that there is none, too.
    Service(String),
    /// A service's endpoints.
    Endpoints(String),
    /// Which services there are, and what each is.
    Services,
    /// The services that have an endpoint at this address.
    Address(IpAddr),
    /// Mesh-wide settings.
    Settings,
}

/// Facts that are not as they were.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched {
    pub(crate) facts: BTreeSet<Fact>,
    /// Patterns of changed objects: [`Fact::Naming`] of every host that is covered.
    pub(crate) patterns: BTreeSet<(Kind, String)>,
    /// Other labels of proxies are asked for than before.
    pub(crate) selectors: bool,
}

/// Notes what is read. One recording runs at a time; without one, nothing is noted.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<Option<BTreeSet<Fact>>>);

impl Recorder {
    /// Runs `make` and returns what it read.
    pub(crate) fn record<T>(&self, make: impl FnOnce() -> T) -> (T, BTreeSet<Fact>) {
        *self.noted() = Some(BTreeSet::new());
        let made = make();
        (made, self.noted().take().unwrap_or_default())
    }

    pub(crate) fn note(&self, fact: impl FnOnce() -> Fact) {
        if let Some(noted) = self.noted().as_mut() {
            noted.insert(fact());
        }
    }

    fn noted(&self) -> MutexGuard<'_, Option<BTreeSet<Fact>>> {
        // A set is whole after each insertion, so a panic elsewhere cannot have broken it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
