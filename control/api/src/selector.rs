//! Labels and what selects by them.

use std::collections::BTreeMap;

use crate::reader::Fields;

/// Labels, or the labels that a selector asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(pub BTreeMap<String, String>);

impl Labels {
    /// Whether something with these labels is selected: it has all that are asked for.
    pub fn select(&self, labels: &Self) -> bool {
        self.0.iter().all(|(key, value)| labels.0.get(key) == Some(value))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `workloadSelector.labels`; one without labels selects everything, as if it were not there.
pub(crate) fn workload_selector(spec: &Fields<'_>) -> Option<Labels> {
    let selector = spec.fields("workloadSelector")?;
    let labels = Labels(selector.text_map("labels"));
    selector.finish(&["labels"]);
    (!labels.is_empty()).then_some(labels)
}
