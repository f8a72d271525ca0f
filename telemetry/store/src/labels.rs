//! Label sets: sorted, without empty values, and with every string stored once.
//!
//! Knows nothing about metrics; Prometheus' rule that an empty label value is an absent label is applied here.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashSet;

/// A sorted set of label names and values. Cheap to clone; two sets with the same content are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelSet(Arc<[(Arc<str>, Arc<str>)]>);

/// Every distinct label string, once.
#[derive(Debug, Default)]
pub struct Symbols {
    strings: HashSet<Arc<str>, RandomState>,
}

impl LabelSet {
    /// The value of a label, or `None` when the label is absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.shared(name).map(|value| &**value)
    }

    /// As [`Self::get`], for callers that keep the value.
    pub fn shared(&self, name: &str) -> Option<&Arc<str>> {
        let at = self.0.binary_search_by(|(label, _)| (**label).cmp(name)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// All labels in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether this is exactly the set that `sorted` spells.
    pub(crate) fn is(&self, sorted: &[(&str, &str)]) -> bool {
        self.0.len() == sorted.len()
            && self.0.iter().zip(sorted).all(|((name, value), (n, v))| **name == **n && **value == **v)
    }
}

/// Sorts labels by name and removes those without a value; of two with the same name the first stays.
pub(crate) fn normalise(labels: &mut Vec<(&str, &str)>) {
    labels.retain(|(_, value)| !value.is_empty());
    labels.sort_by_key(|(name, _)| *name);
    labels.dedup_by(|(later, _), (first, _)| later == first);
}

impl Symbols {
    /// The stored form of sorted labels.
    pub(crate) fn label_set(&mut self, sorted: &[(&str, &str)]) -> LabelSet {
        LabelSet(sorted.iter().map(|(name, value)| (self.intern(name), self.intern(value))).collect())
    }

    /// The one shared copy of a string.
    pub(crate) fn intern(&mut self, text: &str) -> Arc<str> {
        self.strings.get_or_insert_with(text, |text| Arc::from(text)).clone()
    }

    /// Forgets strings that nothing uses any more.
    pub(crate) fn prune(&mut self) {
        self.strings.retain(|text| Arc::strong_count(text) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_drops_empty_values_and_shares_strings() {
        let mut symbols = Symbols::default();
        let mut labels = vec![("z", "1"), ("a", "1"), ("gone", ""), ("a", "2")];
        normalise(&mut labels);
        let set = symbols.label_set(&labels);
        assert_eq!(set.iter().collect::<Vec<_>>(), [("a", "1"), ("z", "1")]);
        assert_eq!(set.get("gone"), None);
        assert!(Arc::ptr_eq(set.shared("a").unwrap(), set.shared("z").unwrap()));
        drop(set);
        symbols.prune();
        assert!(symbols.strings.is_empty());
    }
}
