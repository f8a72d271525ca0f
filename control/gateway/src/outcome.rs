//! What came of a route's rules: Istio's routes, and the faults that its status tells of.

use crate::condition::Fault;

/// Routes, of which some may be broken.
#[derive(Clone, Debug)]
pub(crate) struct Outcome<T> {
    pub(crate) routes: Vec<T>,
    pub(crate) fault: Option<Fault>,
}

impl<T> Default for Outcome<T> {
    fn default() -> Self {
        Self { routes: Vec::new(), fault: None }
    }
}

/// A rule's route, or why the whole route object has none.
pub(crate) type Converted<T> = Result<(T, Option<Fault>), Fault>;

impl<T> Outcome<T> {
    /// Of all rules; one that cannot be had at all leaves the object without routes.
    pub(crate) fn of(rules: impl IntoIterator<Item = Converted<T>>) -> Self {
        let mut outcome = Self::default();
        for rule in rules {
            match rule {
                Ok((route, fault)) => {
                    outcome.routes.push(route);
                    outcome.fault = fault.or(outcome.fault);
                }
                Err(fault) => return Self { routes: Vec::new(), fault: Some(fault) },
            }
        }
        outcome
    }
}
