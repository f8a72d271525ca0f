//! What the subscription has received and refused, for the admin interface.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde_json::{Value, json};

/// Shared between the subscription and whoever asks.
#[derive(Clone, Debug, Default)]
pub struct AdsStatus(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    connected: bool,
    connections: u64,
    last_error: Option<String>,
    received: BTreeMap<&'static str, u64>,
    refused: u64,
    /// The last refusals by resource.
    refusals: BTreeMap<String, String>,
    snapshots: u64,
    last_snapshot: Option<SystemTime>,
}

/// Refusals remembered.
const REFUSALS: usize = 100;

impl AdsStatus {
    pub(crate) fn connected(&self) {
        let mut state = self.state();
        state.connected = true;
        state.connections += 1;
    }

    pub(crate) fn disconnected(&self, error: String) {
        let mut state = self.state();
        state.connected = false;
        state.last_error = Some(error);
    }

    pub(crate) fn received(&self, kind: &'static str, resources: usize) {
        *self.state().received.entry(kind).or_default() += resources as u64;
    }

    pub(crate) fn accepted(&self, resource: &str) {
        self.state().refusals.remove(resource);
    }

    pub(crate) fn refused(&self, resource: &str, reason: &str) {
        let mut state = self.state();
        state.refused += 1;
        if state.refusals.len() < REFUSALS || state.refusals.contains_key(resource) {
            state.refusals.insert(resource.to_owned(), reason.to_owned());
        }
    }

    pub(crate) fn published(&self) {
        let mut state = self.state();
        state.snapshots += 1;
        state.last_snapshot = Some(SystemTime::now());
    }

    /// Everything, as JSON.
    pub fn report(&self) -> Value {
        let state = self.state();
        let age = state.last_snapshot.and_then(|at| at.elapsed().ok()).map(|age| age.as_secs_f64());
        json!({
            "connected": state.connected,
            "connections": state.connections,
            "last_error": state.last_error,
            "received": state.received,
            "refused_total": state.refused,
            "refused": state.refusals,
            "snapshots": state.snapshots,
            "seconds_since_last_snapshot": age,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
