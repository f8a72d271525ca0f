//! Which facts each compiled unit read, and so which units a change makes stale.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use orrery_resource::Name;

use super::{ProxyId, ViewId};
use crate::build::cluster::ClusterKey;
use crate::fact::{Fact, Touched};
use crate::names::covers;

/// Something that is compiled by itself, and again when a fact that it read has changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Unit {
    /// A service's clusters and endpoints, as some proxies see them.
    Clusters(Arc<ClusterKey>),
    /// What a host adds to a view.
    Part(ViewId, Name),
    /// A route table of a view.
    Table(ViewId, Name),
    /// What a view has whatever hosts there are.
    Frame(ViewId),
    /// A proxy's own resources.
    Own(ProxyId),
}

/// Facts and units, both ways.
#[derive(Debug, Default)]
pub(super) struct Depends {
    ids: HashMap<Fact, u32>,
    /// By a fact's id: the fact, and who read it.
    readers: Vec<(Option<Fact>, HashSet<Unit>)>,
    /// Ids of facts that nobody reads any more.
    free: Vec<u32>,
    reads: HashMap<Unit, Box<[u32]>>,
}

impl Depends {
    /// Notes what a unit read when it was made the last time.
    pub(super) fn set(&mut self, unit: Unit, facts: BTreeSet<Fact>) {
        let mut ids: Vec<u32> = facts.into_iter().map(|fact| self.id(fact)).collect();
        ids.sort_unstable();
        if self.reads.get(&unit).is_some_and(|known| **known == *ids) {
            return;
        }
        for id in &ids {
            if let Some((_, readers)) = self.readers.get_mut(*id as usize) {
                readers.insert(unit.clone());
            }
        }
        let last = self.reads.insert(unit.clone(), ids.clone().into_boxed_slice()).unwrap_or_default();
        for id in last.iter().filter(|id| ids.binary_search(id).is_err()) {
            self.leave(*id, &unit);
        }
    }

    /// Forgets a unit that is no more.
    pub(super) fn forget(&mut self, unit: &Unit) {
        for id in self.reads.remove(unit).unwrap_or_default() {
            self.leave(id, unit);
        }
    }

    fn leave(&mut self, id: u32, unit: &Unit) {
        let Some((fact, readers)) = self.readers.get_mut(id as usize) else { return };
        readers.remove(unit);
        if readers.is_empty()
            && let Some(fact) = fact.take()
        {
            self.ids.remove(&fact);
            self.free.push(id);
        }
    }

    fn id(&mut self, fact: Fact) -> u32 {
        if let Some(id) = self.ids.get(&fact) {
            return *id;
        }
        let slot = (Some(fact.clone()), HashSet::new());
        let id = match self.free.pop() {
            Some(id) => {
                if let Some(free) = self.readers.get_mut(id as usize) {
                    *free = slot;
                }
                id
            }
            None => {
                self.readers.push(slot);
                // More facts than that do not fit into memory.
                u32::try_from(self.readers.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.ids.insert(fact, id);
        id
    }

    /// Units that read something that is not as it was.
    pub(super) fn stale(&self, touched: &Touched) -> BTreeSet<Unit> {
        let mut ids: BTreeSet<u32> = touched.facts.iter().filter_map(|fact| self.ids.get(fact).copied()).collect();
        if !touched.patterns.is_empty() {
            ids.extend(self.ids.iter().filter(|(fact, _)| is_covered(fact, touched)).map(|(_, id)| *id));
        }
        ids.iter().filter_map(|id| self.readers.get(*id as usize)).flat_map(|(_, readers)| readers).cloned().collect()
    }
}

fn is_covered(fact: &Fact, touched: &Touched) -> bool {
    match fact {
        Fact::Naming(kind, host) => touched.patterns.iter().any(|(of, pattern)| of == kind && covers(pattern, host)),
        Fact::Object(_)
        | Fact::Kind(_)
        | Fact::Namespaced(..)
        | Fact::Bound(_)
        | Fact::Service(_)
        | Fact::Endpoints(_)
        | Fact::Services
        | Fact::Settings
        | Fact::Address(_) => false,
    }
}
