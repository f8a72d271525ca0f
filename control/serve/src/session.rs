//! The state machine of one xDS stream: what the client subscribed to, what it has, what comes next.
//!
//! Pure: requests and published sets go in, pushes come out, and the time is an argument. It knows
//! nothing of gRPC. One push per type is outstanding; while it is, newer sets replace each other.
//! A publication says where it differs from the last one, so what it costs grows with that alone.
//!
//! Changes are pushed make before break: clusters, their endpoints, listeners, routes, and only
//! when all of these were acknowledged, the removal of clusters and endpoints.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use orrery_resource::{Difference, Name, Resource, ResourceSet, ResourceType};
use tokio::time::Instant;

use watch::{Outstanding, Watch};

mod watch;

/// How long listeners and routes wait for the client to ask for the endpoints of clusters that it just got.
const ENDPOINT_WAIT: Duration = Duration::from_millis(500);
/// Bodies of one push, in bytes; what is left follows after the acknowledgement. So little is in memory for each of many
/// clients at once.
const PUSH_BYTES: usize = 64 * 1024;
/// Most names that a client may subscribe to, per type.
const MOST_NAMES: usize = 100_000;

/// Which of the two protocols the stream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// `DeltaAggregatedResources`.
    Delta,
    /// `StreamAggregatedResources`.
    StateOfTheWorld,
}

/// A delta request, without its node.
#[derive(Debug, Clone, Default)]
pub struct DeltaUpdate {
    /// `resource_names_subscribe`.
    pub subscribe: Vec<String>,
    /// `resource_names_unsubscribe`.
    pub unsubscribe: Vec<String>,
    /// `initial_resource_versions`, name to version.
    pub initial_versions: HashMap<String, String>,
    /// `response_nonce`; empty when nothing is acknowledged.
    pub nonce: String,
    /// `error_detail.message`: the client refused what the nonce names.
    pub error: Option<String>,
}

/// A state-of-the-world request, without its node.
#[derive(Debug, Clone, Default)]
pub struct WorldUpdate {
    /// `resource_names`.
    pub names: Vec<String>,
    /// `response_nonce`; empty in a first request.
    pub nonce: String,
    /// `error_detail.message`: the client refused what the nonce names.
    pub error: Option<String>,
}

/// What a request said about an earlier push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing: it only changes the subscription.
    None,
    /// It names another push than the outstanding one.
    Stale,
    /// The client runs what was pushed.
    Ack(Delivered),
    /// The client refused it and keeps what it had.
    Nack(Delivered, String),
}

/// A push that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Its nonce.
    pub nonce: String,
    /// Revision of the set that it came from.
    pub revision: u64,
    /// Names of the resources that it held.
    pub names: Vec<String>,
    /// When it was made.
    pub since: Instant,
}

/// The client subscribes to more names than anybody needs.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the stream subscribes to {0} {1} resources, at most {MOST_NAMES} are allowed")]
pub struct TooManyNames(usize, ResourceType);

/// One response to send.
#[derive(Debug, Clone)]
pub struct Push {
    /// Type of everything in it.
    pub kind: ResourceType,
    /// Identifies the push on this stream.
    pub nonce: String,
    /// Revision of the set that it comes from.
    pub revision: u64,
    /// Resources by name. In state-of-the-world clusters and listeners: all of them.
    pub resources: Vec<(Name, Arc<Resource>)>,
    /// Names that do not exist any more, or never did (delta only).
    pub removed: Vec<Name>,
}

/// Clusters that were pushed and whose endpoints the client has still to ask for.
#[derive(Debug)]
struct Hold {
    clusters: BTreeSet<Name>,
    until: Instant,
}

/// The state of one stream.
#[derive(Debug)]
pub struct Session {
    variant: Variant,
    pushes: u64,
    set: Option<ResourceSet>,
    watches: [Option<Watch>; 5],
    hold: Option<Hold>,
}

impl Session {
    /// A stream on which nothing was said yet.
    pub fn new(variant: Variant) -> Self {
        Self { variant, pushes: 0, set: None, watches: Default::default(), hold: None }
    }

    /// The protocol that the stream speaks.
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// Replaces what is to be served; `changed` says where it differs from what was published before. What was not pushed
    /// yet is never pushed.
    pub fn publish(&mut self, set: ResourceSet, changed: &Difference) {
        let all = self.set.is_none().then(|| Difference::all(&set));
        let changed = all.as_ref().unwrap_or(changed);
        for (kind, watch) in ResourceType::ALL.into_iter().zip(&mut self.watches) {
            if let Some(watch) = watch {
                watch.changed(changed.names(kind), self.set.as_ref());
            }
        }
        self.set = Some(set);
    }

    /// Takes a delta request.
    pub fn delta(&mut self, kind: ResourceType, update: DeltaUpdate) -> Result<Reply, TooManyNames> {
        let subscribe = self.names(kind, update.subscribe);
        let reported: Vec<(Name, String)> = update.initial_versions.into_iter().map(|(n, v)| (n.into(), v)).collect();
        let set = self.set.as_ref();
        let slot = &mut self.watches[kind.index()];
        let reply = match slot {
            None => {
                let watch = slot.insert(Watch::new(kind));
                watch.unanswered = reported.is_empty();
                if subscribe.is_empty() && kind.is_collection() {
                    watch.want_all(set);
                }
                watch.resubscribe(subscribe, &update.unsubscribe, set);
                watch.report(reported);
                Reply::None
            }
            Some(watch) => {
                let reply = watch.answered(&update.nonce, update.error);
                watch.resubscribe(subscribe, &update.unsubscribe, set);
                reply
            }
        };
        self.check_size(kind)?;
        Ok(reply)
    }

    /// Takes a state-of-the-world request.
    pub fn world(&mut self, kind: ResourceType, update: WorldUpdate) -> Result<Reply, TooManyNames> {
        let names = self.names(kind, update.names);
        let set = self.set.as_ref();
        let slot = &mut self.watches[kind.index()];
        let reply = match slot {
            Some(watch) if !update.nonce.is_empty() => {
                if watch.last_nonce != update.nonce {
                    return Ok(Reply::Stale);
                }
                let reply = watch.answered(&update.nonce, update.error);
                watch.replace_names(names, set);
                reply
            }
            Some(_) | None => {
                slot.insert(Watch::new(kind)).replace_names(names, set);
                Reply::None
            }
        };
        self.check_size(kind)?;
        Ok(reply)
    }

    /// Names as the set has them, so that they are in memory once.
    fn names(&self, kind: ResourceType, names: Vec<String>) -> Vec<Name> {
        let known = |name: &str| Some(Arc::clone(self.set.as_ref()?.entry(kind, name)?.0));
        names.into_iter().map(|name| known(&name).unwrap_or_else(|| name.into())).collect()
    }

    /// The next response to send, if one is due. Call until `None` after every request and every publication.
    pub fn next(&mut self, now: Instant) -> Option<Push> {
        let set = self.set.clone()?;
        self.release_hold(now);
        for kind in ResourceType::ALL {
            if self.is_open(kind)
                && let Some(push) = self.push(kind, &set, false, now)
            {
                return Some(push);
            }
        }
        if self.is_settled() {
            for kind in [ResourceType::Cluster, ResourceType::Endpoint] {
                if let Some(push) = self.push(kind, &set, true, now) {
                    return Some(push);
                }
            }
        }
        None
    }

    /// When [`Session::next`] may give something although nothing new came in.
    pub fn wake_at(&self) -> Option<Instant> {
        self.hold.as_ref().map(|hold| hold.until)
    }

    /// Since when the oldest unanswered push waits.
    pub fn waiting_since(&self) -> Option<Instant> {
        self.outstanding().map(|push| push.since).min()
    }

    /// The revision that the client has answered completely. Ask after [`Session::next`] gave `None`.
    pub fn synced(&self) -> Option<u64> {
        let any = self.watches.iter().any(Option::is_some);
        let set = self.set.as_ref()?;
        (any && self.is_settled()).then(|| set.revision())
    }

    /// Names that the client subscribed to, and whether it asked for all.
    pub fn subscription(&self, kind: ResourceType) -> Option<(&BTreeSet<Name>, bool)> {
        self.watches[kind.index()].as_ref().map(|watch| (&watch.names, watch.wildcard))
    }

    fn outstanding(&self) -> impl Iterator<Item = &Outstanding> {
        self.watches.iter().flatten().filter_map(|watch| watch.outstanding.as_ref())
    }

    fn is_settled(&self) -> bool {
        self.hold.is_none() && self.outstanding().next().is_none()
    }

    fn waits(&self, kind: ResourceType) -> bool {
        self.watches[kind.index()].as_ref().is_some_and(|watch| watch.outstanding.is_some())
    }

    /// Whether a type may be pushed now, so that nothing refers to what the client does not have yet.
    fn is_open(&self, kind: ResourceType) -> bool {
        use ResourceType::{Cluster, Endpoint, Listener, Route, Secret};
        if self.waits(kind) {
            return false;
        }
        match kind {
            Cluster | Secret => true,
            Endpoint => !self.waits(Cluster),
            Listener => !self.waits(Cluster) && !self.waits(Endpoint) && self.hold.is_none(),
            Route => !self.waits(Cluster) && !self.waits(Endpoint) && !self.waits(Listener) && self.hold.is_none(),
        }
    }

    fn check_size(&self, kind: ResourceType) -> Result<(), TooManyNames> {
        let size = self.watches[kind.index()].as_ref().map_or(0, |watch| watch.names.len());
        if size > MOST_NAMES { Err(TooManyNames(size, kind)) } else { Ok(()) }
    }

    fn release_hold(&mut self, now: Instant) {
        let Some(hold) = &mut self.hold else { return };
        let endpoints = self.watches[ResourceType::Endpoint.index()].as_ref();
        let set = self.set.as_ref();
        hold.clusters.retain(|name| {
            let exists = set.is_some_and(|set| set.get(ResourceType::Endpoint, name).is_some());
            exists && !endpoints.is_some_and(|watch| watch.knows(name))
        });
        if hold.clusters.is_empty() || hold.until <= now {
            self.hold = None;
        }
    }

    /// Makes the push of one type, or nothing when the client has everything. `breaking` removes what
    /// others may have referred to until now.
    fn push(&mut self, kind: ResourceType, set: &ResourceSet, breaking: bool, now: Instant) -> Option<Push> {
        let world = self.variant == Variant::StateOfTheWorld;
        let watch = self.watches[kind.index()].as_mut()?;
        let defer = !breaking && matches!(kind, ResourceType::Cluster | ResourceType::Endpoint);
        let whole = world && kind.is_collection();
        let batch = watch.next_batch(set, defer, if whole { usize::MAX } else { PUSH_BYTES });
        let mut resources = batch.changed;
        let mut removed = batch.removed;
        let silent = world && !whole; // A removal has no form there; the parent resource goes instead.
        if silent {
            removed.clear();
        }
        if resources.is_empty() && removed.is_empty() && !watch.unanswered {
            return None;
        }
        let changed: Vec<Name> = resources.iter().map(|(name, _)| Arc::clone(name)).collect();
        let names = changed.iter().chain(&removed).map(ToString::to_string).collect();
        if whole {
            resources = watch.everything(set);
            removed.clear();
        }
        self.pushes += 1;
        let nonce = self.pushes.to_string();
        watch.unanswered = false;
        watch.last_nonce.clone_from(&nonce);
        watch.outstanding = Some(Outstanding { nonce: nonce.clone(), revision: set.revision(), names, since: now });
        if kind == ResourceType::Cluster {
            self.after_clusters(&changed, set, now);
        }
        Some(Push { kind, nonce, revision: set.revision(), resources, removed })
    }

    /// A client that gets a changed cluster warms it up with endpoints: those go out again, and first.
    fn after_clusters(&mut self, clusters: &[Name], set: &ResourceSet, now: Instant) {
        let with_endpoints = clusters.iter().filter_map(|name| set.entry(ResourceType::Endpoint, name));
        let watch = &mut self.watches[ResourceType::Endpoint.index()];
        let mut missing = BTreeSet::new();
        for (name, _) in with_endpoints {
            match watch {
                Some(watch) if watch.wants(name) => watch.send_again(name),
                Some(_) | None => {
                    missing.insert(Arc::clone(name));
                }
            }
        }
        if missing.is_empty() {
            return;
        }
        let until = now + ENDPOINT_WAIT;
        match &mut self.hold {
            Some(hold) => {
                hold.clusters.append(&mut missing);
                hold.until = until;
            }
            None => self.hold = Some(Hold { clusters: missing, until }),
        }
    }
}

#[cfg(test)]
mod tests;
