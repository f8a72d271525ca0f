//! One type's subscription on one stream: wanted names, what the client has, the push that it has to answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::{Delivered, DeltaUpdate, Reply};
use crate::resources::{Resource, ResourceType, Resources};

/// The name that stands for all resources.
const ALL: &str = "*";

/// What the client has under a name.
#[derive(Debug)]
pub(super) enum Known {
    /// It was sent on this stream.
    Sent(Arc<Resource>),
    /// The client brought this version along from an earlier stream.
    Reported(String),
    /// The client was told that there is no such resource.
    Absent,
}

/// A push without an answer so far.
#[derive(Debug)]
pub(super) struct Outstanding {
    pub(super) nonce: String,
    pub(super) revision: u64,
    pub(super) names: Vec<String>,
    pub(super) since: Instant,
}

/// What the client should get next.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) changed: Vec<(String, Arc<Resource>)>,
    pub(super) removed: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Watch {
    pub(super) wildcard: bool,
    pub(super) names: BTreeSet<String>,
    pub(super) known: BTreeMap<String, Known>,
    pub(super) outstanding: Option<Outstanding>,
    /// The first request gets an answer even when that is empty: clients wait for it.
    pub(super) unanswered: bool,
    pub(super) last_nonce: String,
    /// State of the world: names were given once, so that no names mean none, not all.
    named: bool,
    /// The resources with which the client was last found to be in step, so that comparing again is free.
    in_step: Option<Arc<Resources>>,
}

impl Watch {
    pub(super) fn delta(kind: ResourceType, update: DeltaUpdate) -> Self {
        let all_names = update.subscribe.is_empty() && kind.is_collection();
        let mut watch = Self::empty(all_names);
        watch.unanswered = update.initial_versions.is_empty();
        watch.resubscribe(&update.subscribe, &update.unsubscribe);
        for (name, version) in update.initial_versions {
            if watch.wants(&name) {
                watch.known.insert(name, Known::Reported(version));
            }
        }
        watch
    }

    pub(super) fn world(kind: ResourceType, names: Vec<String>) -> Self {
        let mut watch = Self::empty(false);
        watch.replace_names(kind, names);
        watch.unanswered = true;
        watch
    }

    fn empty(wildcard: bool) -> Self {
        Self {
            wildcard,
            names: BTreeSet::new(),
            known: BTreeMap::new(),
            outstanding: None,
            unanswered: false,
            last_nonce: String::new(),
            named: false,
            in_step: None,
        }
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }

    /// Takes the answer to a push, if the nonce names one.
    pub(super) fn answered(&mut self, nonce: &str, error: Option<String>) -> Reply {
        if nonce.is_empty() {
            return Reply::None;
        }
        match self.outstanding.take_if(|push| push.nonce == nonce) {
            Some(push) => {
                let Outstanding { nonce, revision, names, since } = push;
                let delivered = Delivered { nonce, revision, names, since };
                match error {
                    None => Reply::Ack(delivered),
                    Some(message) => Reply::Nack(delivered, message),
                }
            }
            // Requests that change the subscription repeat the nonce of what was answered before.
            None if self.last_nonce == nonce => Reply::None,
            None => Reply::Stale,
        }
    }

    /// Subscribing again to a name asks for it again; so the client's copy is forgotten.
    pub(super) fn resubscribe(&mut self, subscribe: &[String], unsubscribe: &[String]) {
        if !subscribe.is_empty() || !unsubscribe.is_empty() {
            self.in_step = None;
        }
        for name in subscribe {
            if name == ALL {
                self.wildcard = true;
            } else {
                self.names.insert(name.clone());
                self.known.remove(name);
            }
        }
        for name in unsubscribe {
            if name == ALL {
                self.wildcard = false;
                let names = &self.names;
                self.known.retain(|name, _| names.contains(name));
            } else {
                self.names.remove(name);
                self.known.remove(name);
            }
        }
    }

    /// State of the world: each request holds all the names.
    pub(super) fn replace_names(&mut self, kind: ResourceType, names: Vec<String>) {
        let mut names: BTreeSet<String> = names.into_iter().collect();
        let star = names.remove(ALL);
        self.named |= star || !names.is_empty();
        let wildcard = star || (names.is_empty() && kind.is_collection() && !self.named);
        if wildcard == self.wildcard && names == self.names {
            return;
        }
        self.in_step = None;
        // A new name is answered even when there is no such resource.
        self.unanswered |= names.iter().any(|name| !self.wants(name));
        self.wildcard = wildcard;
        self.names = names;
        if !wildcard {
            let names = &self.names;
            self.known.retain(|name, _| names.contains(name));
        }
    }

    /// What differs between the client and `available`, up to a size. `defer` leaves out what only removes.
    pub(super) fn next_batch(&mut self, available: &Arc<Resources>, defer: bool, limit: usize) -> Batch {
        if self.in_step.as_ref().is_some_and(|resources| Arc::ptr_eq(resources, available)) {
            return Batch::default();
        }
        let mut batch = Batch::default();
        let complete = self.collect_changed(available, limit, &mut batch);
        let deferred = self.collect_removed(available, defer, &mut batch);
        if complete && !deferred && batch.changed.is_empty() && batch.removed.is_empty() {
            self.in_step = Some(Arc::clone(available));
        }
        batch
    }

    fn collect_changed(&self, available: &Resources, limit: usize, batch: &mut Batch) -> bool {
        let mut size = 0usize;
        let mut take = |name: &String, resource: &Arc<Resource>| {
            if self.has(name, resource) {
                return true;
            }
            let more = size.saturating_add(resource.body.value.len());
            if more > limit && size > 0 {
                return false;
            }
            size = more;
            batch.changed.push((name.clone(), Arc::clone(resource)));
            true
        };
        if self.wildcard {
            available.iter().all(|(name, resource)| take(name, resource))
        } else {
            self.names.iter().all(|name| available.get(name).is_none_or(|resource| take(name, resource)))
        }
    }

    /// Returns whether a removal was left for later.
    fn collect_removed(&self, available: &Resources, defer: bool, batch: &mut Batch) -> bool {
        let mut deferred = false;
        for (name, known) in &self.known {
            match known {
                Known::Absent => {}
                Known::Sent(_) | Known::Reported(_) if available.contains_key(name) => {}
                Known::Sent(_) | Known::Reported(_) if defer => deferred = true,
                Known::Sent(_) | Known::Reported(_) => batch.removed.push(name.clone()),
            }
        }
        let missing =
            self.names.iter().filter(|name| !available.contains_key(*name) && !self.known.contains_key(*name));
        batch.removed.extend(missing.cloned());
        deferred
    }

    fn has(&self, name: &str, resource: &Resource) -> bool {
        match self.known.get(name) {
            Some(Known::Sent(sent)) => sent.version == resource.version,
            Some(Known::Reported(version)) => **version == *resource.version,
            Some(Known::Absent) | None => false,
        }
    }

    /// Everything that a whole response holds: what is wanted, and what is still to be removed later.
    pub(super) fn everything(&self, available: &Resources) -> Vec<(String, Arc<Resource>)> {
        self.known
            .iter()
            .filter_map(|(name, known)| match (available.get(name), known) {
                (Some(resource), _) => Some((name.clone(), Arc::clone(resource))),
                (None, Known::Sent(resource)) => Some((name.clone(), Arc::clone(resource))),
                (None, Known::Reported(_) | Known::Absent) => None,
            })
            .collect()
    }

    /// Notes what a push tells the client.
    pub(super) fn learn(&mut self, changed: &[(String, Arc<Resource>)], removed: &[String]) {
        for (name, resource) in changed {
            self.known.insert(name.clone(), Known::Sent(Arc::clone(resource)));
        }
        self.forget(removed);
    }

    /// Notes that the client does not have these any more.
    pub(super) fn forget(&mut self, removed: &[String]) {
        for name in removed {
            if self.names.contains(name) {
                self.known.insert(name.clone(), Known::Absent);
            } else {
                self.known.remove(name);
            }
        }
    }

    pub(super) fn send_again(&mut self, name: &str) {
        self.in_step = None;
        self.known.remove(name);
    }
}
