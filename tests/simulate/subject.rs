//! Who answers the calls of a case.

pub(crate) mod core;
mod mesh;
pub(crate) mod real;

use std::collections::BTreeMap;

use crate::answer::Answer;
use crate::case::{Call, From, ObjectRef};
use crate::cluster::Cluster;

/// What is known beside the answers.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Certificates of Secrets, in DER.
    certificates: BTreeMap<ObjectRef, Vec<u8>>,
    /// By how many standard errors a share may differ.
    pub(crate) errors: f64,
}

/// A subject that has the cluster's configuration in force.
pub(crate) trait Subject {
    /// Takes the configuration as it is now; `refused` are the objects that have to be refused.
    ///
    /// # Errors
    /// What was refused besides, by the control plane or by a proxy, and what was not refused.
    fn configure(&mut self, cluster: &Cluster, refused: &[ObjectRef]) -> Result<(), Vec<String>>;

    /// By how many standard errors a share may differ from what is expected.
    fn standard_errors(&self) -> f64;

    /// Whether it is the one to make calls from there.
    fn answers(&self, from: &From) -> bool;

    /// Makes a call as often as it says.
    ///
    /// # Errors
    /// When the call itself makes no sense: nobody to call from, no such address.
    fn call(&mut self, cluster: &mut Cluster, call: &Call) -> Result<Vec<Answer>, String>;

    /// Whether it is the one to ask for status.
    fn has_status(&self) -> bool;

    /// The status that the control plane gives an object, as it stands in the object; `None` when it gives none.
    ///
    /// # Errors
    /// When the control plane does not have the object.
    fn status(&mut self, key: &ObjectRef) -> Result<Option<serde_json::Value>, String>;
}

impl Facts {
    pub(crate) fn of(cluster: &Cluster, errors: f64) -> Self {
        Self { certificates: cluster.certificates(), errors }
    }

    pub(crate) fn certificate(&self, key: &ObjectRef) -> Option<Vec<u8>> {
        self.certificates.get(key).cloned()
    }
}
