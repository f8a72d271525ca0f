//! What connected proxies have, compiled again only where a change touched it.
//!
//! Proxies that see the mesh alike share a [`view`]: clusters, endpoints, outbound listeners and route tables. A view is
//! made of parts, one a host; views share the clusters of a host. A proxy adds what is its own. Each of these units notes
//! what it read of the world ([`crate::fact`]), and a change makes those again that read what it touched. A unit that comes
//! out as it was changes nothing further.

mod depends;
mod table;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use orrery_resource::{Difference, Layer, Name, Resource, ResourceSet, ResourceType};

pub(crate) use table::Draft;
pub(crate) use view::Part;

use crate::build;
use crate::build::cluster::ClusterKey;
use crate::compile::Compiled;
use crate::fact::{Fact, Touched};
use crate::proxy::{Audience, Proxy, ProxyKind};
use crate::world::World;
use depends::{Depends, Unit};
use table::Drafts;
use view::View;

/// A resource with its type and name.
pub(crate) type Placed = (ResourceType, Name, Arc<Resource>);

/// A proxy, as whoever connects it numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProxyId(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct ViewId(u64);

/// How often each kind of unit was compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Services' clusters with their endpoints.
    pub clusters: u64,
    /// What a host adds to a view: its virtual hosts and listeners.
    pub parts: u64,
    /// Route tables put together.
    pub tables: u64,
    /// Proxies' own resources, and what views have whatever hosts there are.
    pub frames: u64,
}

/// What a proxy has to be told.
#[derive(Clone, Debug)]
pub struct Publication {
    pub proxy: ProxyId,
    pub set: ResourceSet,
    /// Where the set differs from the proxy's last one.
    pub changed: Difference,
}

/// The compiler.
#[derive(Debug, Default)]
pub struct Compiler {
    shared: Shared,
    views: BTreeMap<ViewId, View>,
    proxies: BTreeMap<ProxyId, Member>,
    last_view: u64,
}

/// What views have in common.
#[derive(Debug, Default)]
struct Shared {
    depends: Depends,
    clusters: BTreeMap<Arc<ClusterKey>, Clusters>,
    drafts: Drafts,
    counts: Counts,
}

#[derive(Debug)]
struct Clusters {
    resources: Vec<Placed>,
    views: BTreeSet<ViewId>,
}

#[derive(Debug)]
struct Member {
    proxy: Proxy,
    view: ViewId,
    own: Layer,
    resources: Vec<Placed>,
    changed: Difference,
}

impl Compiler {
    /// Takes a proxy in; what it has at this revision.
    pub fn connect(&mut self, world: &World, id: ProxyId, proxy: Proxy, revision: u64) -> ResourceSet {
        let audience = proxy.audience(|key, value| world.selects(key, value));
        self.connect_as(world, id, proxy, audience, revision)
    }

    pub(crate) fn connect_as(
        &mut self,
        world: &World,
        id: ProxyId,
        proxy: Proxy,
        audience: Audience,
        revision: u64,
    ) -> ResourceSet {
        self.disconnect(id);
        let view = self.join(world, id, audience);
        let mut member =
            Member { proxy, view, own: Layer::default(), resources: Vec::new(), changed: Difference::default() };
        self.shared.own(world, id, &mut member);
        member.changed = Difference::default();
        self.proxies.insert(id, member);
        self.set(id, revision).unwrap_or_default()
    }

    /// Lets a proxy go, and its view with the last of those who share it.
    pub fn disconnect(&mut self, id: ProxyId) {
        let Some(member) = self.proxies.remove(&id) else { return };
        self.shared.depends.forget(&Unit::Own(id));
        self.leave(member.view, id);
    }

    /// What a proxy has.
    pub fn set(&self, id: ProxyId, revision: u64) -> Option<ResourceSet> {
        let member = self.proxies.get(&id)?;
        let view = self.views.get(&member.view)?;
        Some(ResourceSet::of(revision, view.layer.clone(), member.own.clone()))
    }

    /// A connected proxy.
    pub fn proxy(&self, id: ProxyId) -> Option<&Proxy> {
        self.proxies.get(&id).map(|member| &member.proxy)
    }

    /// How much was compiled so far.
    pub fn counts(&self) -> Counts {
        self.shared.counts
    }

    /// How many views the proxies share.
    pub fn views(&self) -> usize {
        self.views.len()
    }

    /// Compiles what the changes of the world since the last time touched; what has to be told to whom.
    pub fn update(&mut self, world: &mut World, revision: u64) -> Vec<Publication> {
        let touched = world.take_touched();
        let world = &*world;
        let stale = self.shared.depends.stale(&touched);
        let hosts = hosts(&touched);
        for (id, view) in &mut self.views {
            let parts = stale.iter().filter_map(|unit| match unit {
                Unit::Part(of, host) if of == id => Some(Arc::clone(host)),
                Unit::Part(..) | Unit::Clusters(_) | Unit::Table(..) | Unit::Frame(_) | Unit::Own(_) => None,
            });
            let parts: BTreeSet<Name> = parts.chain(hosts.iter().cloned()).collect();
            self.shared.parts(world, *id, view, &parts);
        }
        for unit in &stale {
            match unit {
                Unit::Clusters(key) => self.shared.clusters(world, key, &mut self.views),
                Unit::Table(view, table) => {
                    if let Some(view) = self.views.get_mut(view) {
                        view.stale_tables.insert(Arc::clone(table));
                    }
                }
                Unit::Frame(view) => {
                    if let Some(view) = self.views.get_mut(view) {
                        view.stale_frame = true;
                    }
                }
                Unit::Own(proxy) => {
                    if let Some(member) = self.proxies.get_mut(proxy) {
                        self.shared.own(world, *proxy, member);
                    }
                }
                Unit::Part(..) => {}
            }
        }
        for (id, view) in &mut self.views {
            self.shared.tables(world, *id, view);
        }
        let mut publications = self.publications(revision);
        if touched.selectors {
            self.regroup(world, revision, &mut publications);
        }
        publications
    }

    fn publications(&mut self, revision: u64) -> Vec<Publication> {
        let mut publications = Vec::new();
        let changes: BTreeMap<ViewId, Difference> =
            self.views.iter_mut().map(|(id, view)| (*id, view.take_changes())).collect();
        for (id, member) in &mut self.proxies {
            let Some(view) = self.views.get(&member.view) else { continue };
            let mut changed = std::mem::take(&mut member.changed);
            if let Some(shared) = changes.get(&member.view) {
                changed.extend(shared);
            }
            if !changed.is_empty() {
                let set = ResourceSet::of(revision, view.layer.clone(), member.own.clone());
                publications.push(Publication { proxy: *id, set, changed });
            }
        }
        publications
    }

    /// Other labels decide now who sees the mesh alike: proxies move to the views that are theirs.
    fn regroup(&mut self, world: &World, revision: u64, publications: &mut Vec<Publication>) {
        let ids: Vec<ProxyId> = self.proxies.keys().copied().collect();
        for id in ids {
            let Some(member) = self.proxies.get(&id) else { continue };
            let audience = member.proxy.audience(|key, value| world.selects(key, value));
            let from = member.view;
            let Some(before) = self.views.get(&from).filter(|view| view.audience != audience) else { continue };
            let own = member.own.clone();
            let before = ResourceSet::of(revision, before.layer.clone(), own.clone());
            let to = self.join(world, id, audience);
            self.leave(from, id);
            let Some(view) = self.views.get(&to) else { continue };
            let set = ResourceSet::of(revision, view.layer.clone(), own);
            if let Some(member) = self.proxies.get_mut(&id) {
                member.view = to;
            }
            let changed = differences(&before, &set);
            match publications.iter_mut().find(|publication| publication.proxy == id) {
                Some(publication) => {
                    publication.set = set;
                    publication.changed.extend(&changed);
                }
                None if changed.is_empty() => {}
                None => publications.push(Publication { proxy: id, set, changed }),
            }
        }
    }

    /// The view of an audience, made if nobody has it yet.
    fn join(&mut self, world: &World, id: ProxyId, audience: Audience) -> ViewId {
        let known = self.views.iter().find(|(_, view)| view.audience == audience).map(|(id, _)| *id);
        let view_id = known.unwrap_or_else(|| {
            self.last_view += 1;
            let view_id = ViewId(self.last_view);
            let mut view = View::new(audience);
            self.shared.parts(world, view_id, &mut view, &all_hosts(world));
            self.shared.tables(world, view_id, &mut view);
            view.take_changes();
            self.views.insert(view_id, view);
            view_id
        });
        if let Some(view) = self.views.get_mut(&view_id) {
            view.members.insert(id);
        }
        view_id
    }

    fn leave(&mut self, view_id: ViewId, id: ProxyId) {
        let Some(view) = self.views.get_mut(&view_id) else { return };
        view.members.remove(&id);
        if view.members.is_empty()
            && let Some(view) = self.views.remove(&view_id)
        {
            self.shared.drop_view(view_id, &view);
        }
    }
}

impl Shared {
    /// Makes parts of a view again; those of unregistered hosts all, if the ports changed on which they are called.
    fn parts(&mut self, world: &World, id: ViewId, view: &mut View, hosts: &BTreeSet<Name>) {
        let ports = view.ports();
        let (registered, others): (Vec<&Name>, Vec<&Name>) =
            hosts.iter().partition(|host| world.registry().service(host).is_some());
        for host in registered {
            self.part(world, id, view, host);
        }
        for host in &others {
            self.part(world, id, view, host);
        }
        if ports != view.ports() {
            let unregistered =
                view.parts.iter().filter(|(_, part)| part.unregistered).map(|(host, _)| Arc::clone(host));
            let rest: Vec<Name> = unregistered.filter(|host| !others.contains(&host)).collect();
            for host in others.into_iter().chain(&rest) {
                self.part(world, id, view, host);
            }
        }
    }

    fn part(&mut self, world: &World, id: ViewId, view: &mut View, host: &Name) {
        self.counts.parts += 1;
        let ports = view.ports();
        let make = || build::part(world, &view.audience, host, &ports);
        let (made, reads) = world.recorder().record(make);
        let part = made.map(|mut part| {
            part.hosts = part.hosts.into_iter().map(|draft| self.drafts.share(draft)).collect();
            part
        });
        let unit = Unit::Part(id, Arc::clone(host));
        match &part {
            Some(_) => self.depends.set(unit, reads),
            None => self.depends.forget(&unit),
        }
        let next = part.as_ref().and_then(|part| part.clusters.clone());
        let last = view.put(host, part).and_then(|part| part.clusters);
        if last != next {
            let before = last.as_ref().map(|key| self.release(key, id)).unwrap_or_default();
            let now = next.map(|key| self.acquire(world, key, id)).unwrap_or_default();
            view.swap(&before, &now);
        }
    }

    fn acquire(&mut self, world: &World, key: Arc<ClusterKey>, view: ViewId) -> Vec<Placed> {
        if !self.clusters.contains_key(&key) {
            let resources = self.make_clusters(world, &key, &[]);
            self.clusters.insert(Arc::clone(&key), Clusters { resources, views: BTreeSet::new() });
        }
        let Some(clusters) = self.clusters.get_mut(&key) else { return Vec::new() };
        clusters.views.insert(view);
        clusters.resources.clone()
    }

    fn release(&mut self, key: &Arc<ClusterKey>, view: ViewId) -> Vec<Placed> {
        let Some(clusters) = self.clusters.get_mut(key) else { return Vec::new() };
        clusters.views.remove(&view);
        let resources = clusters.resources.clone();
        if clusters.views.is_empty() {
            self.clusters.remove(key);
            self.depends.forget(&Unit::Clusters(Arc::clone(key)));
        }
        resources
    }

    /// Makes a service's clusters again, for all views that have them.
    fn clusters(&mut self, world: &World, key: &Arc<ClusterKey>, views: &mut BTreeMap<ViewId, View>) {
        let Some(last) = self.clusters.get(key).map(|clusters| clusters.resources.clone()) else { return };
        let next = self.make_clusters(world, key, &last);
        let Some(clusters) = self.clusters.get_mut(key) else { return };
        for id in &clusters.views {
            if let Some(view) = views.get_mut(id) {
                view.swap(&last, &next);
            }
        }
        clusters.resources = next;
    }

    fn make_clusters(&mut self, world: &World, key: &Arc<ClusterKey>, last: &[Placed]) -> Vec<Placed> {
        self.counts.clusters += 1;
        let mut compiled = Compiled::default();
        let ((), reads) = world.recorder().record(|| build::cluster::of_key(world, key, &mut compiled));
        self.depends.set(Unit::Clusters(Arc::clone(key)), reads);
        compiled.placed(last)
    }

    /// Makes the tables and the frame of a view again that are stale.
    fn tables(&mut self, world: &World, id: ViewId, view: &mut View) {
        for table in std::mem::take(&mut view.stale_tables) {
            let unit = Unit::Table(id, Arc::clone(&table));
            let hosts = view.tables.get(&table).filter(|hosts| !hosts.is_empty());
            let Some(hosts) = hosts else {
                view.tables.remove(&table);
                self.depends.forget(&unit);
                view.take(ResourceType::Route, &table);
                continue;
            };
            self.counts.tables += 1;
            let drafts = hosts
                .iter()
                .filter_map(|(_, host)| view.parts.get(host))
                .flat_map(|part| &part.hosts)
                .map(AsRef::as_ref);
            let drafts = drafts.filter(|draft: &&Draft| draft.table == table);
            let make = || {
                let (empty, last) = build::sidecar::table(world, &table);
                table::compose(&empty, drafts, &last)
            };
            let (resource, reads) = world.recorder().record(make);
            self.depends.set(unit, reads);
            view.place(ResourceType::Route, &table, &Arc::new(resource));
        }
        if std::mem::take(&mut view.stale_frame) {
            self.counts.frames += 1;
            let mut compiled = Compiled::default();
            let ports = view.ports();
            let make = || build::frame(world, &view.audience, &ports, &mut compiled);
            let ((), reads) = world.recorder().record(make);
            self.depends.set(Unit::Frame(id), reads);
            let last = std::mem::take(&mut view.frame);
            view.frame = compiled.placed(&last);
            let next = view.frame.clone();
            view.swap(&last, &next);
        }
    }

    /// Makes a proxy's own resources again.
    fn own(&mut self, world: &World, id: ProxyId, member: &mut Member) {
        self.counts.frames += 1;
        let mut compiled = Compiled::default();
        let make = || match member.proxy.kind {
            ProxyKind::Sidecar => build::sidecar::own(world, &member.proxy, &mut compiled),
            ProxyKind::Router => build::gateway::resources(world, &member.proxy, &mut compiled),
        };
        let ((), reads) = world.recorder().record(make);
        self.depends.set(Unit::Own(id), reads);
        let last = std::mem::take(&mut member.resources);
        member.resources = compiled.placed(&last);
        for (kind, name, resource) in &member.resources {
            if !last.iter().any(|(_, _, known)| Arc::ptr_eq(known, resource)) {
                member.own.insert(*kind, Arc::clone(name), Arc::clone(resource));
                member.changed.insert(*kind, Arc::clone(name));
            }
        }
        for (kind, name, _) in last {
            if !member.resources.iter().any(|(other, kept, _)| *other == kind && *kept == name) {
                member.own.remove(kind, &name);
                member.changed.insert(kind, name);
            }
        }
    }

    fn drop_view(&mut self, id: ViewId, view: &View) {
        for (host, part) in &view.parts {
            self.depends.forget(&Unit::Part(id, Arc::clone(host)));
            if let Some(key) = &part.clusters {
                self.release(key, id);
            }
        }
        for table in view.tables.keys() {
            self.depends.forget(&Unit::Table(id, Arc::clone(table)));
        }
        self.depends.forget(&Unit::Frame(id));
    }
}

/// Hosts that may be new or gone: of services, and of virtual services.
fn hosts(touched: &Touched) -> BTreeSet<Name> {
    let named = touched.facts.iter().filter_map(|fact| match fact {
        Fact::Service(host) | Fact::Naming(orrery_api::Kind::VirtualService, host) => Some(host.as_str()),
        Fact::Naming(..)
        | Fact::Object(_)
        | Fact::Kind(_)
        | Fact::Namespaced(..)
        | Fact::Bound(_)
        | Fact::Endpoints(_)
        | Fact::Services
        | Fact::Address(_) => None,
    });
    let patterns = touched.patterns.iter().filter(|(kind, _)| *kind == orrery_api::Kind::VirtualService);
    named.chain(patterns.map(|(_, pattern)| pattern.as_str())).map(Name::from).collect()
}

/// Hosts of all services and of all virtual services.
fn all_hosts(world: &World) -> BTreeSet<Name> {
    let services = world.registry().services().map(|service| service.host.as_str());
    let routed = world.index().virtual_services.all().flat_map(|(_, hosts)| hosts).map(String::as_str);
    services.chain(routed).map(Name::from).collect()
}

/// Where `now` differs from `before` in what proxies share.
fn differences(before: &ResourceSet, now: &ResourceSet) -> Difference {
    let mut changed = Difference::default();
    for kind in ResourceType::ALL {
        for (name, resource) in now.iter(kind) {
            if before.get(kind, name).is_none_or(|known| known.version != resource.version) {
                changed.insert(kind, Arc::clone(name));
            }
        }
        for (name, _) in before.iter(kind).filter(|(name, _)| now.get(kind, name).is_none()) {
            changed.insert(kind, Arc::clone(name));
        }
    }
    changed
}

#[cfg(test)]
mod tests;
