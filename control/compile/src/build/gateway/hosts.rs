//! Virtual hosts of a gateway's routes: where hosts of servers and of virtual services meet.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::virtual_host::TlsRequirementType;
use envoy_types::pb::envoy::config::route::v3::{DirectResponseAction, Route, RouteConfiguration, VirtualHost};
use orrery_api::{Gateway, Key, Object, ServerHost, VirtualService};

use super::Scene;
use super::merge::Attached;
use crate::build::route;
use crate::names::covers;
use crate::proxy::Proxy;
use crate::world::World;

/// Virtual services by the Gateways that they are bound to, oldest first.
#[derive(Debug, Default)]
pub(super) struct Bound<'a>(HashMap<String, Vec<BoundService<'a>>>);

/// A virtual service that a Gateway's proxies see.
#[derive(Clone, Copy, Debug)]
pub(super) struct BoundService<'a> {
    pub(super) object: &'a Object,
    pub(super) service: &'a VirtualService,
    /// Short names resolved.
    pub(super) hosts: &'a [String],
}

impl<'a> Bound<'a> {
    pub(super) fn of(world: &'a World, proxy: &Proxy, gateways: &[(&Key, &Gateway)]) -> Self {
        let names = gateways.iter().map(|(key, _)| format!("{}/{}", key.namespace, key.name));
        let services = |name: &str| {
            let bound = world.index().bound_to(name).filter_map(|(key, hosts)| {
                let (object, service) = world.virtual_service(key)?;
                let seen = service.export_to.includes(&key.namespace, &proxy.namespace);
                seen.then_some(BoundService { object, service, hosts })
            });
            bound.collect()
        };
        Self(names.map(|name| (name.clone(), services(&name))).collect())
    }

    pub(super) fn to(&self, gateway: &str) -> &[BoundService<'a>] {
        self.0.get(gateway).map_or(&[], Vec::as_slice)
    }
}

/// The routes of servers that share a listener or a filter chain. `others` are servers of the same port whose requests
/// must not come here.
pub(super) fn table(
    scene: &Scene<'_>,
    name: &str,
    servers: &[Attached<'_>],
    others: &[Attached<'_>],
) -> RouteConfiguration {
    let mut hosts = Hosts::default();
    for attached in servers {
        hosts.add(scene, attached, servers);
    }
    for attached in servers.iter().filter(|one| one.is_gateway_api()) {
        for host in &attached.server.hosts {
            // Requests for the hosts of a listener are this listener's, whether or not it has a route for them.
            hosts.entry(&host.host.value, attached);
        }
    }
    if servers.iter().any(Attached::is_gateway_api) {
        for host in others.iter().flat_map(|other| &other.server.hosts) {
            hosts.misdirect(&host.host.value);
        }
    }
    RouteConfiguration { ignore_port_in_host_matching: true, ..route::table(name, hosts.0.into_values().collect()) }
}

/// Virtual hosts by their domain.
#[derive(Default)]
struct Hosts(BTreeMap<String, VirtualHost>);

impl Hosts {
    fn add(&mut self, scene: &Scene<'_>, attached: &Attached<'_>, servers: &[Attached<'_>]) {
        let caller = scene.caller(attached);
        for bound in scene.bound.to(&attached.name).iter().filter(|bound| !bound.service.http.is_empty()) {
            let meeting = meeting(&attached.server.hosts, bound);
            let meeting: Vec<String> = meeting.into_iter().filter(|host| belongs(host, attached, servers)).collect();
            if meeting.is_empty() {
                continue;
            }
            let routes = route::of_virtual_service(&caller, bound.object, bound.service, attached.server.port);
            for host in meeting {
                self.entry(&host, attached).routes.extend(routes.iter().cloned());
            }
        }
        if redirects(attached) {
            for host in &attached.server.hosts {
                self.entry(&host.host.value, attached);
            }
        }
    }

    fn entry(&mut self, host: &str, attached: &Attached<'_>) -> &mut VirtualHost {
        let entry = self.0.entry(host.to_owned()).or_insert_with(|| VirtualHost {
            name: format!("{host}:{}", attached.server.port),
            domains: vec![host.to_owned()],
            include_request_attempt_count: true,
            ..Default::default()
        });
        if redirects(attached) {
            entry.require_tls = TlsRequirementType::All.into();
        }
        entry
    }

    /// Requests for this host came over a connection for another one (RFC 9110 section 15.5.20).
    fn misdirect(&mut self, host: &str) {
        self.0.entry(host.to_owned()).or_insert_with(|| VirtualHost {
            name: format!("misdirected {host}"),
            domains: vec![host.to_owned()],
            routes: vec![Route {
                name: "misdirected".to_owned(),
                r#match: Some(route::prefix("/")),
                action: Some(Action::DirectResponse(DirectResponseAction { status: 421, ..Default::default() })),
                ..Default::default()
            }],
            ..Default::default()
        });
    }
}

fn redirects(attached: &Attached<'_>) -> bool {
    attached.server.tls.as_ref().is_some_and(|tls| tls.https_redirect)
}

/// Where hosts of a server and of a virtual service meet: the narrower of each two.
pub(super) fn meeting(hosts: &[ServerHost], bound: &BoundService<'_>) -> BTreeSet<String> {
    let namespace = &bound.object.key.namespace;
    let open = hosts.iter().filter(|one| one.namespace.as_ref().is_none_or(|wanted| wanted == namespace));
    open.flat_map(|one| {
        let wanted = one.host.value.as_str();
        bound.hosts.iter().filter_map(move |host| {
            let narrower =
                if covers(wanted, host) { Some(host.as_str()) } else { covers(host, wanted).then_some(wanted) };
            narrower.map(str::to_ascii_lowercase)
        })
    })
    .collect()
}

/// Whether no other Gateway API listener has a host that fits better.
fn belongs(host: &str, attached: &Attached<'_>, servers: &[Attached<'_>]) -> bool {
    let fit = |one: &Attached<'_>| {
        let covering = one.server.hosts.iter().filter(|known| covers(&known.host.value, host));
        covering.map(|known| specificity(&known.host.value)).max()
    };
    let own = fit(attached);
    !attached.is_gateway_api() || servers.iter().filter(|other| other.is_gateway_api()).all(|other| fit(other) <= own)
}

/// A name before patterns, longer patterns before shorter ones.
fn specificity(pattern: &str) -> (bool, usize) {
    (!pattern.starts_with('*'), pattern.len())
}
