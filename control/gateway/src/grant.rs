//! Which references into other namespaces are allowed.

use std::collections::{BTreeSet, HashMap};

use orrery_api::{Kind, Spec};

use crate::sources::Sources;

/// All ReferenceGrants, by who refers where.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    allowed: HashMap<Pair, Allowed>,
}

/// A kind of a namespace and what it refers to.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Pair {
    from: (String, String, String),
    to: (String, String, String),
}

#[derive(Debug, Default)]
struct Allowed {
    all: bool,
    names: BTreeSet<String>,
}

/// Who refers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Referrer<'a> {
    pub(crate) kind: Kind,
    pub(crate) namespace: &'a str,
}

impl Grants {
    pub(crate) fn of(sources: &Sources<'_>) -> Self {
        let mut grants = Self::default();
        for object in sources.of_kind(Kind::ReferenceGrant) {
            let Spec::ReferenceGrant(grant) = &object.spec else { continue };
            for from in &grant.from {
                for to in &grant.to {
                    let pair = Pair {
                        from: (from.group.clone(), from.kind.clone(), from.namespace.clone()),
                        to: (to.group.clone(), to.kind.clone(), object.key.namespace.clone()),
                    };
                    let allowed = grants.allowed.entry(pair).or_default();
                    match &to.name {
                        None => allowed.all = true,
                        Some(name) => {
                            allowed.names.insert(name.clone());
                        }
                    }
                }
            }
        }
        grants
    }

    /// Whether an object of this group, kind, namespace and name may be referred to; in the own namespace everything may.
    pub(crate) fn allow(&self, from: Referrer<'_>, group: &str, kind: &str, namespace: &str, name: &str) -> bool {
        if from.namespace == namespace {
            return true;
        }
        let pair = Pair {
            from: (from.kind.group().to_owned(), from.kind.in_documents().to_owned(), from.namespace.to_owned()),
            to: (group.to_owned(), kind.to_owned(), namespace.to_owned()),
        };
        self.allowed.get(&pair).is_some_and(|allowed| allowed.all || allowed.names.contains(name))
    }
}
