//! Who pushed lately: where Prometheus finds the same numbers, and which of them are gateways.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use crate::intake::Resource;

/// Time since the last push after which a sender is no longer offered, milliseconds.
const FORGOTTEN: i64 = 300_000;

/// How often a proxy pushes, milliseconds.
const PUSH: i64 = 500;
/// Messages that are this close follow on each other.
const SOON: i64 = 2000;
/// A proxy with nothing new sends all that it has at least this often.
const COMPLETE: i64 = 12_000;

/// Senders by instance.
#[derive(Debug)]
pub(crate) struct Targets {
    most: usize,
    seen: HashMap<String, Sender>,
}

#[derive(Debug)]
struct Sender {
    resource: Resource,
    last: i64,
    told: Option<i64>,
}

/// One entry of Prometheus' HTTP service discovery.
#[derive(Debug, Serialize)]
pub(crate) struct Discovered {
    targets: [String; 1],
    labels: BTreeMap<&'static str, String>,
}

impl Targets {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, seen: HashMap::new() }
    }

    /// Remembers a sender; one more than the limit is not remembered. `told` is the time of a message that leaves out
    /// what did not change; the answer is until when what it has did not change.
    pub(crate) fn note(&mut self, resource: &Resource, now: i64, told: Option<i64>) -> Option<i64> {
        if let Some(sender) = self.seen.get_mut(&resource.instance) {
            sender.last = now;
            if sender.resource != *resource {
                sender.resource.clone_from(resource);
            }
            let before = sender.told;
            if told.is_some() {
                sender.told = told;
            }
            return rested(before?, told?);
        }
        if self.seen.len() < self.most {
            self.seen.insert(resource.instance.clone(), Sender { resource: resource.clone(), last: now, told });
        }
        None
    }

    pub(crate) fn expire(&mut self, now: i64) {
        self.seen.retain(|_, sender| sender.last >= now - FORGOTTEN);
    }

    pub(crate) fn len(&self) -> usize {
        self.seen.len()
    }

    /// Senders that Prometheus can scrape, sorted by address.
    pub(crate) fn discovered(&self, now: i64) -> Vec<Discovered> {
        let current = self.seen.values().filter(|sender| sender.last >= now - FORGOTTEN);
        let mut all: Vec<Discovered> = current
            .filter_map(|Sender { resource, .. }| {
                let address = resource.scrape.clone()?;
                let mut labels = BTreeMap::from([("__metrics_path__", "/stats/prometheus".to_owned())]);
                labels.extend(resource.labels().into_iter().map(|(name, value)| (name, value.to_owned())));
                labels.retain(|name, value| !value.is_empty() && *name != "instance");
                Some(Discovered { targets: [address], labels })
            })
            .collect();
        all.sort_by(|a, b| a.targets.cmp(&b.targets));
        all
    }

    /// Gateways, as namespace and app.
    pub(crate) fn gateways(&self) -> BTreeSet<(String, String)> {
        let gateways = self.seen.values().map(|sender| &sender.resource).filter(|resource| resource.is_gateway);
        gateways.map(|resource| (resource.namespace.clone(), resource.app.clone())).collect()
    }
}

/// A sender that was silent for a while had nothing to tell until just now, or was cut off if it missed the complete
/// message that comes at least every `COMPLETE`.
fn rested(before: i64, told: i64) -> Option<i64> {
    match told - before {
        ..=0 => None,
        1..=SOON => Some(before),
        silent if silent <= COMPLETE => Some(told - PUSH),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_growth_happened() {
        let table =
            [(500, Some(0)), (2000, Some(0)), (5000, Some(4500)), (12_000, Some(11_500)), (30_000, None), (0, None)];
        for (told, expected) in table {
            let (mut targets, resource) = (Targets::new(1), Resource::default());
            assert_eq!(targets.note(&resource, 0, Some(0)), None);
            assert_eq!(targets.note(&resource, 0, None), None, "another scope says nothing");
            assert_eq!(targets.note(&resource, 0, Some(told)), expected, "{told}");
        }
    }
}
