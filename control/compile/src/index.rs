//! Objects by kind and namespace, and routes and rules by the hosts that they name; kept up to date change by change.
//!
//! Everything is in the order in which conflicts are decided: oldest first, then by name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use orrery_api::{DestinationRule, Key, Kind, Object, Spec};

use crate::build::gateway_name;
use crate::fact::{Fact, Recorder, Touched};
use crate::names::{candidate, covers};

/// In the place of a label's value: every value decides. It is none that a label can have.
const ANY: &str = "*";
/// The label of a gateway's workload with the gateway's name.
pub(crate) const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

/// An object's place in the order: when it was created, and its key.
type Rank = Arc<(String, Key)>;

/// What compilation looks up for every service, endpoint and proxy.
#[derive(Debug)]
pub(crate) struct Index {
    kinds: HashMap<Kind, BTreeSet<Rank>>,
    namespaces: HashMap<(Kind, String), BTreeSet<Rank>>,
    pub(crate) destination_rules: ByHost,
    pub(crate) virtual_services: ByHost,
    /// VirtualServices by the gateways that they are bound to.
    bound: HashMap<String, BTreeSet<Rank>>,
    recorder: Arc<Recorder>,
    entries: HashMap<Key, Entry>,
    /// Objects by the services that names in them would stand for, if those services existed.
    waiting: HashMap<String, BTreeSet<Key>>,
    /// Labels of proxies that objects ask for, and how many do.
    selected: HashMap<(String, String), usize>,
}

/// Where an object is in the index.
#[derive(Debug)]
struct Entry {
    rank: Rank,
    hosts: Vec<String>,
    candidates: Vec<String>,
    gateways: Vec<String>,
    selected: Vec<(String, String)>,
}

/// Objects by the hosts that they name, short names resolved.
#[derive(Debug)]
pub(crate) struct ByHost {
    kind: Kind,
    recorder: Arc<Recorder>,
    all: BTreeMap<Rank, Vec<String>>,
    exact: HashMap<String, BTreeSet<Rank>>,
    /// `*` and `*.example.com`.
    wildcard: BTreeMap<Rank, Vec<String>>,
}

impl Index {
    pub(crate) fn new(recorder: &Arc<Recorder>) -> Self {
        Self {
            kinds: HashMap::new(),
            namespaces: HashMap::new(),
            destination_rules: ByHost::new(Kind::DestinationRule, recorder),
            virtual_services: ByHost::new(Kind::VirtualService, recorder),
            bound: HashMap::new(),
            recorder: Arc::clone(recorder),
            entries: HashMap::new(),
            waiting: HashMap::new(),
            selected: HashMap::new(),
        }
    }

    pub(crate) fn add(
        &mut self,
        object: &Object,
        domain: &str,
        resolve: impl Fn(&str) -> String,
        touched: &mut Touched,
    ) {
        let key = &object.key;
        let written: Vec<&str> = match &object.spec {
            Spec::DestinationRule(rule) => vec![&rule.host.value],
            Spec::VirtualService(service) => service.hosts.iter().map(|host| host.value.as_str()).collect(),
            _ => Vec::new(),
        };
        let entry = Entry {
            rank: Arc::new((object.meta.created.clone(), key.clone())),
            hosts: written.iter().map(|host| resolve(host)).collect(),
            candidates: written.iter().filter_map(|host| candidate(host, domain)).collect(),
            gateways: gateways(object),
            selected: selected(object),
        };
        for gateway in &entry.gateways {
            self.bound.entry(gateway.clone()).or_default().insert(Arc::clone(&entry.rank));
            touched.facts.insert(Fact::Bound(gateway.clone()));
        }
        for label in &entry.selected {
            let count = self.selected.entry(label.clone()).or_default();
            *count += 1;
            touched.selectors |= *count == 1;
        }
        self.kinds.entry(key.kind).or_default().insert(Arc::clone(&entry.rank));
        self.namespaces.entry((key.kind, key.namespace.clone())).or_default().insert(Arc::clone(&entry.rank));
        for candidate in &entry.candidates {
            self.waiting.entry(candidate.clone()).or_default().insert(key.clone());
        }
        if let Some(by_host) = self.by_host(key.kind) {
            by_host.add(&entry, touched);
        }
        self.entries.insert(key.clone(), entry);
    }

    pub(crate) fn remove(&mut self, key: &Key, touched: &mut Touched) {
        let Some(entry) = self.entries.remove(key) else { return };
        take(&mut self.kinds, &key.kind, &entry.rank);
        take(&mut self.namespaces, &(key.kind, key.namespace.clone()), &entry.rank);
        for candidate in &entry.candidates {
            take(&mut self.waiting, candidate, key);
        }
        for gateway in &entry.gateways {
            take(&mut self.bound, gateway, &entry.rank);
            touched.facts.insert(Fact::Bound(gateway.clone()));
        }
        for label in &entry.selected {
            if let Some(count) = self.selected.get_mut(label) {
                *count -= 1;
                if *count == 0 {
                    self.selected.remove(label);
                    touched.selectors = true;
                }
            }
        }
        if let Some(by_host) = self.by_host(key.kind) {
            by_host.remove(&entry, touched);
        }
    }

    fn by_host(&mut self, kind: Kind) -> Option<&mut ByHost> {
        [&mut self.destination_rules, &mut self.virtual_services].into_iter().find(|by_host| by_host.kind == kind)
    }

    pub(crate) fn selects(&self, key: &str, value: &str) -> bool {
        [value, ANY].into_iter().any(|value| self.selected.contains_key(&(key.to_owned(), value.to_owned())))
    }

    /// VirtualServices that are bound to a gateway, with their resolved hosts.
    pub(crate) fn bound_to(&self, gateway: &str) -> impl Iterator<Item = (&Key, &[String])> {
        self.recorder.note(|| Fact::Bound(gateway.to_owned()));
        let ranks = self.bound.get(gateway).into_iter().flatten();
        ranks.filter_map(|rank| Some((&rank.1, self.entries.get(&rank.1)?.hosts.as_slice())))
    }

    /// Objects in which a name means this host if it is a service.
    pub(crate) fn waiting_for(&self, host: &str) -> Vec<Key> {
        self.waiting.get(host).into_iter().flatten().cloned().collect()
    }

    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.kinds.get(&kind).map_or(0, BTreeSet::len)
    }

    pub(crate) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Key> {
        keys(self.kinds.get(&kind))
    }

    pub(crate) fn of_kind_in(&self, kind: Kind, namespace: &str) -> impl Iterator<Item = &Key> {
        keys(self.namespaces.get(&(kind, namespace.to_owned())))
    }
}

impl ByHost {
    fn new(kind: Kind, recorder: &Arc<Recorder>) -> Self {
        Self {
            kind,
            recorder: Arc::clone(recorder),
            all: BTreeMap::new(),
            exact: HashMap::new(),
            wildcard: BTreeMap::new(),
        }
    }

    fn add(&mut self, entry: &Entry, touched: &mut Touched) {
        for host in &entry.hosts {
            match host.starts_with('*') {
                true => self.wildcard.entry(Arc::clone(&entry.rank)).or_default().push(host.clone()),
                false => {
                    self.exact.entry(host.clone()).or_default().insert(Arc::clone(&entry.rank));
                }
            }
        }
        self.all.insert(Arc::clone(&entry.rank), entry.hosts.clone());
        self.touch(entry, touched);
    }

    fn remove(&mut self, entry: &Entry, touched: &mut Touched) {
        for host in &entry.hosts {
            take(&mut self.exact, host, &entry.rank);
        }
        self.wildcard.remove(&entry.rank);
        self.all.remove(&entry.rank);
        self.touch(entry, touched);
    }

    fn touch(&self, entry: &Entry, touched: &mut Touched) {
        for host in &entry.hosts {
            match host.starts_with('*') {
                true => drop(touched.patterns.insert((self.kind, host.clone()))),
                false => drop(touched.facts.insert(Fact::Naming(self.kind, host.clone()))),
            }
        }
        touched.facts.insert(Fact::Kind(self.kind));
    }

    /// All objects with their resolved hosts.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Key, &[String])> {
        self.recorder.note(|| Fact::Kind(self.kind));
        self.all.iter().map(|(rank, hosts)| (&rank.1, hosts.as_slice()))
    }

    /// Objects that name this very host.
    pub(crate) fn exactly(&self, host: &str) -> impl Iterator<Item = &Key> {
        self.recorder.note(|| Fact::Naming(self.kind, host.to_owned()));
        keys(self.exact.get(host))
    }

    /// Objects that have this very pattern.
    pub(crate) fn with_pattern(&self, pattern: &str) -> impl Iterator<Item = &Key> {
        self.recorder.note(|| Fact::Naming(self.kind, pattern.to_owned()));
        let having = move |(_, patterns): &(&Rank, &Vec<String>)| patterns.iter().any(|one| one == pattern);
        self.wildcard.iter().filter(having).map(|(rank, _)| &rank.1)
    }

    /// Objects with a pattern that has this host in it.
    pub(crate) fn by_pattern(&self, host: &str) -> impl Iterator<Item = &Key> {
        self.recorder.note(|| Fact::Naming(self.kind, host.to_owned()));
        let covering = move |(_, patterns): &(&Rank, &Vec<String>)| patterns.iter().any(|one| covers(one, host));
        self.wildcard.iter().filter(covering).map(|(rank, _)| &rank.1)
    }
}

/// Gateways that a VirtualService is bound to, as `namespace/name`.
fn gateways(object: &Object) -> Vec<String> {
    match &object.spec {
        Spec::VirtualService(service) => {
            service.gateways.iter().map(|one| gateway_name(&one.value, &object.key.namespace)).collect()
        }
        _ => Vec::new(),
    }
}

/// Labels whose values are compared with those of endpoints, whatever they are.
fn failover_labels(rule: &DestinationRule) -> Vec<(String, String)> {
    let said = rule.policy.iter().chain(rule.subsets.iter().filter_map(|subset| subset.policy.as_ref()));
    let policies = said.flat_map(|policy| std::iter::once(policy).chain(policy.ports.iter().map(|port| &port.policy)));
    let localities = policies.filter_map(|policy| policy.load_balancer.as_ref()?.locality.as_ref());
    let labels = localities.flat_map(|locality| &locality.failover_priority).filter(|label| !label.contains('='));
    labels.map(|label| (label.clone(), ANY.to_owned())).collect()
}

/// Labels that an object asks of proxies before it holds for what they call.
fn selected(object: &Object) -> Vec<(String, String)> {
    let owned = |labels: &BTreeMap<String, String>| -> Vec<(String, String)> {
        labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    match &object.spec {
        Spec::VirtualService(service) => {
            service.http.iter().flat_map(|http| &http.matches).flat_map(|one| owned(&one.source_labels)).collect()
        }
        Spec::DestinationRule(rule) => {
            let selector = rule.workload_selector.as_ref().map(|selector| owned(&selector.0)).unwrap_or_default();
            selector.into_iter().chain(failover_labels(rule)).collect()
        }
        Spec::Telemetry(telemetry) => {
            let selector = telemetry.selector.as_ref().map(|selector| owned(&selector.0)).unwrap_or_default();
            let gateways = telemetry.targets.iter().map(|target| (GATEWAY_NAME.to_owned(), target.name.clone()));
            selector.into_iter().chain(gateways).collect()
        }
        // These select workloads for what comes in to them, gateways, or what they export; or nothing.
        Spec::ConfigMap(_)
        | Spec::BackendTlsPolicy(_)
        | Spec::BackendTrafficPolicy(_)
        | Spec::Endpoints(_)
        | Spec::Gateway(_)
        | Spec::GatewayClass(_)
        | Spec::GrpcRoute(_)
        | Spec::HttpRoute(_)
        | Spec::KubernetesGateway(_)
        | Spec::ListenerSet(_)
        | Spec::PeerAuthentication(_)
        | Spec::Pod(_)
        | Spec::Secret(_)
        | Spec::ProxyConfig(_)
        | Spec::ReferenceGrant(_)
        | Spec::Service(_)
        | Spec::ServiceEntry(_)
        | Spec::TcpRoute(_)
        | Spec::TlsRoute(_)
        | Spec::UdpRoute(_)
        | Spec::WorkloadEntry(_)
        | Spec::Inert => Vec::new(),
    }
}

fn keys(ranks: Option<&BTreeSet<Rank>>) -> impl Iterator<Item = &Key> {
    ranks.into_iter().flatten().map(|rank| &rank.1)
}

fn take<I: std::hash::Hash + Eq, T: Ord>(sets: &mut HashMap<I, BTreeSet<T>>, at: &I, member: &T) {
    if let Some(set) = sets.get_mut(at) {
        set.remove(member);
        if set.is_empty() {
            sets.remove(at);
        }
    }
}
