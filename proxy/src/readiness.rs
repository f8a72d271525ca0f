//! Whether the proxy can take traffic: it has an identity, a complete configuration, and its sockets.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

/// What must be there before traffic comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Waiting {
    Certificate,
    Configuration,
    Listeners,
    /// Set again when the proxy drains.
    Draining,
}

/// Shared between those who work towards readiness and those who are asked for it.
#[derive(Clone, Debug)]
pub(crate) struct Readiness(Arc<RwLock<BTreeSet<Waiting>>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(RwLock::new(BTreeSet::from([Waiting::Certificate, Waiting::Configuration, Waiting::Listeners]))))
    }
}

impl Readiness {
    pub(crate) fn done(&self, step: Waiting) {
        let mut left = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if left.remove(&step) && left.is_empty() {
            tracing::info!("ready");
        }
    }

    pub(crate) fn wait(&self, step: Waiting) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(step);
    }

    /// What is missing; empty when ready.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let left = self.0.read().unwrap_or_else(PoisonError::into_inner);
        left.iter().map(|step| step.reason()).collect()
    }
}

impl Waiting {
    fn reason(self) -> &'static str {
        match self {
            Self::Certificate => "no certificate from the certificate authority yet",
            Self::Configuration => "no complete configuration from the control plane yet",
            Self::Listeners => "listeners are not bound yet",
            Self::Draining => "draining: no new traffic, please",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_must_be_done_and_draining_undoes_it() {
        let readiness = Readiness::default();
        assert_eq!(readiness.missing().len(), 3);
        for step in [Waiting::Certificate, Waiting::Configuration, Waiting::Listeners] {
            readiness.done(step);
        }
        assert!(readiness.missing().is_empty());
        readiness.wait(Waiting::Draining);
        assert_eq!(readiness.missing(), ["draining: no new traffic, please"]);
    }
}
