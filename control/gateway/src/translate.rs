//! All Gateway API objects at once: the Istio objects that mean the same, and what every status says.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use orrery_api::gateway_api::{GROUP, ParentReference};
use orrery_api::{Key, Kind, Meta, Object, Spec};
use serde_json::{Value, json};

use crate::class::controller_of;
use crate::gateway::{Gateways, Served};
use crate::grant::Grants;
use crate::parent::Parent;
use crate::policy::{Callers, Policies};
use crate::reach::Reach;
use crate::routes::{Context, Routes};
use crate::sources::{Lookup, Sources};
use crate::status;

/// What the objects come to.
#[derive(Debug, Default)]
pub struct Translation {
    derived: Vec<Object>,
    /// GatewayClasses that are ours.
    classes: BTreeSet<Key>,
    gateways: Gateways,
    routes: Routes,
    policies: Policies,
}

/// The kinds that are Gateway API's own; without an object of these there is nothing to translate.
pub const TRANSLATED: [Kind; 12] = [
    Kind::BackendTlsPolicy,
    Kind::BackendTrafficPolicy,
    Kind::GatewayClass,
    Kind::GrpcRoute,
    Kind::HttpRoute,
    Kind::InferencePool,
    Kind::KubernetesGateway,
    Kind::ListenerSet,
    Kind::ReferenceGrant,
    Kind::TcpRoute,
    Kind::TlsRoute,
    Kind::UdpRoute,
];

/// Translates all objects.
pub fn translate(lookup: &dyn Lookup) -> Translation {
    let sources = Sources::new(lookup);
    let grants = Grants::of(&sources);
    let mut gateways = Gateways::of(sources, &grants);
    let routes = Routes::of(Context { sources, grants: &grants, gateways: &gateways });
    count(&routes, &mut gateways);
    let policies = Policies::of(sources, &callers(sources, &gateways));
    let is_ours = |object: &&Object| controller_of(&sources, &object.key.name).is_some();
    let classes = sources.of_kind(Kind::GatewayClass).into_iter().filter(is_ours);
    let classes = classes.map(|object| object.key.clone()).collect();
    let derived = derived(&gateways, &routes, &policies);
    Translation { derived, classes, gateways, routes, policies }
}

impl Translation {
    /// Gateways, VirtualServices and DestinationRules. Their names have a `~`, which names of given objects cannot have.
    pub fn derived(&self) -> &[Object] {
        &self.derived
    }

    /// The status of an object, if it is one that has a status of ours.
    pub fn status(&self, object: &Object, reach: &dyn Reach) -> Option<Value> {
        match &object.spec {
            Spec::GatewayClass(_) => self.classes.contains(&object.key).then(|| status::of_class(object)),
            Spec::KubernetesGateway(_) | Spec::ListenerSet(_) => {
                self.gateways.served.get(&object.key).map(|served| status::of_served(object, served, reach))
            }
            Spec::GrpcRoute(_) | Spec::HttpRoute(_) | Spec::TcpRoute(_) | Spec::TlsRoute(_) | Spec::UdpRoute(_) => {
                self.routes.reports.get(&object.key).map(|report| status::of_route(object, report))
            }
            Spec::BackendTlsPolicy(_) | Spec::BackendTrafficPolicy(_) => {
                self.policies.reports.get(&object.key).map(|report| status::of_policy(object, report))
            }
            _ if object.key.kind == Kind::InferencePool => Some(status::of_pool(object)),
            _ => None,
        }
    }
}

/// Counts the routes of every listener.
fn count(routes: &Routes, gateways: &mut Gateways) {
    let mut counts: HashMap<(&Key, usize), u32> = HashMap::new();
    for report in routes.reports.values() {
        let mut seen = BTreeSet::new();
        for attachment in report.attachments.iter().filter(|one| one.refused.is_none()) {
            let Parent::Listener { owner, listener, .. } = &attachment.to else { continue };
            if seen.insert((owner, listener.listener)) {
                *counts.entry((owner, listener.listener)).or_default() += 1;
            }
        }
    }
    for ((owner, at), count) in counts {
        if let Some(Served::Here(report)) = gateways.served.get_mut(owner)
            && let Some(listener) = report.listeners.get_mut(at)
        {
            listener.attached = count;
        }
    }
}

/// The Gateways whose routes call Services and ServiceEntries.
fn callers(sources: Sources<'_>, gateways: &Gateways) -> Callers {
    let mut callers = Callers::new();
    for kind in [Kind::HttpRoute, Kind::GrpcRoute, Kind::TlsRoute, Kind::TcpRoute, Kind::UdpRoute] {
        for object in sources.of_kind(kind) {
            let (parents, backends) = references(object);
            for gateway in parents.iter().filter(|parent| parent.is(GROUP, "Gateway")) {
                let namespace = gateway.namespace.as_ref().unwrap_or(&object.key.namespace).clone();
                let key = Key { kind: Kind::KubernetesGateway, namespace, name: gateway.name.clone() };
                let Some(controller) = gateways.controllers.get(&key) else { continue };
                for backend in &backends {
                    callers.entry(backend.clone()).or_default().insert((key.clone(), controller.of_routes()));
                }
            }
        }
    }
    callers
}

/// Parents of a route, and the Services that it calls.
fn references(object: &Object) -> (&[ParentReference], BTreeSet<Key>) {
    let (parents, backends): (&[ParentReference], Vec<_>) = match &object.spec {
        Spec::HttpRoute(route) => {
            let all = route.rules.iter().flat_map(|rule| &rule.backends);
            (&route.parents, all.map(|backend| &backend.backend).collect())
        }
        Spec::GrpcRoute(route) => {
            let all = route.rules.iter().flat_map(|rule| &rule.backends);
            (&route.parents, all.map(|backend| &backend.backend).collect())
        }
        Spec::TlsRoute(route) | Spec::TcpRoute(route) | Spec::UdpRoute(route) => {
            (&route.parents, route.rules.iter().flat_map(|rule| &rule.backends).collect())
        }
        _ => (&[], Vec::new()),
    };
    let services =
        backends.into_iter().filter(|backend| backend.object.group.is_empty() && backend.object.kind == "Service");
    let key = |backend: &orrery_api::gateway_api::BackendReference| Key {
        kind: Kind::Service,
        namespace: backend.object.namespace.as_ref().unwrap_or(&object.key.namespace).clone(),
        name: backend.object.name.clone(),
    };
    (parents, services.map(key).collect())
}

fn derived(gateways: &Gateways, routes: &Routes, policies: &Policies) -> Vec<Object> {
    let mut objects = BTreeMap::new();
    for (key, created, gateway) in &gateways.derived {
        objects.insert(key.clone(), made(key, created, &[], Spec::Gateway(gateway.clone())));
    }
    for one in &routes.derived {
        objects.insert(
            one.key.clone(),
            made(&one.key, &one.created, &one.parents, Spec::VirtualService(one.service.clone())),
        );
    }
    for one in &policies.derived {
        objects.insert(
            one.key.clone(),
            made(&one.key, &one.created, &one.parents, Spec::DestinationRule(one.rule.clone())),
        );
    }
    objects.into_values().collect()
}

/// An object that nobody wrote. Its document says what it was made of, and all that it says, so that two are equal when
/// they say the same.
fn made(key: &Key, created: &str, parents: &[Key], spec: Spec) -> Object {
    let raw = json!({
        "kind": key.kind.as_str(),
        "metadata": { "name": key.name, "namespace": key.namespace },
        "madeOf": parents.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "spec": format!("{spec:?}"),
    });
    let meta = Meta { created: created.to_owned(), ..Meta::default() };
    Object { key: key.clone(), meta, spec, file: "(derived)".to_owned(), raw }
}
