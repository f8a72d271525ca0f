//! Virtual hosts of services, and of virtual services for hosts that are no service.

use std::net::IpAddr;

use envoy_types::pb::envoy::config::route::v3::{Route, VirtualHost};
use orrery_api::{HttpRoute, Key, Object, RouteSemantics, VirtualService};

use super::is_bound;
use crate::build::route::{self, Caller};
use crate::registry::RegistryService;
use crate::scope::Egress;

/// By which hosts a service is asked for in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Domains {
    /// Its names, whatever port a request names: the table is for one port.
    Bare,
    /// Its names with the port; `bare`: without one as well.
    WithPort { bare: bool },
    /// Any host: the table is for the service's address.
    Any,
}

/// The virtual host of a service's port; none when no route is left for this caller.
pub(super) fn of_service(
    caller: &Caller<'_>,
    egress: &Egress,
    service: &RegistryService,
    port: u16,
    domains: Domains,
) -> Option<VirtualHost> {
    let domains = match domains {
        Domains::Any => vec!["*".to_owned()],
        Domains::Bare => names(caller, service),
        Domains::WithPort { bare } => {
            let names = names(caller, service);
            let with_port = names.iter().filter(|name| !name.contains('*')).map(|name| format!("{name}:{port}"));
            let with_port: Vec<String> = with_port.collect();
            names.into_iter().filter(|_| bare).chain(with_port).collect()
        }
    };
    named(&service.host, domains, port, routes(caller, egress, service, port))
}

/// The virtual host of a host that is no service.
pub(super) fn unregistered(
    caller: &Caller<'_>,
    object: &Object,
    service: &VirtualService,
    host: &str,
    port: u16,
) -> Option<VirtualHost> {
    let mut domains = vec![host.to_owned()];
    if !host.contains('*') {
        domains.push(format!("{host}:{port}"));
    }
    named(host, domains, port, route::of_virtual_service(caller, object, service, port))
}

fn named(host: &str, domains: Vec<String>, port: u16, routes: Vec<Route>) -> Option<VirtualHost> {
    (!routes.is_empty()).then(|| VirtualHost {
        name: format!("{host}:{port}"),
        domains,
        routes,
        include_request_attempt_count: true,
        ..Default::default()
    })
}

fn routes(caller: &Caller<'_>, egress: &Egress, service: &RegistryService, port: u16) -> Vec<Route> {
    // A mere name leads where its service leads.
    let target = service.alias_of(caller).filter(|target| target.port(port).is_some()).unwrap_or(service);
    let found = virtual_service_for(caller, egress, &service.host, port);
    let found = found.or_else(|| virtual_service_for(caller, egress, &target.host, port));
    match found {
        Some((object, virtual_service)) if !virtual_service.http.is_empty() => {
            route::of_virtual_service(caller, object, virtual_service, port)
        }
        Some(_) | None => vec![route::plain(caller, target, port)],
    }
}

/// The virtual service of the mesh for this host: an exact host before a wildcard, the longest wildcard first, and the
/// oldest of equals, which wins entirely. Of Gateway API's routes those of the caller's namespace come before all others,
/// and those for other ports are none.
fn virtual_service_for<'a>(
    caller: &Caller<'a>,
    egress: &Egress,
    host: &str,
    port: u16,
) -> Option<(&'a Object, &'a VirtualService)> {
    let world = caller.world;
    let all = &world.index().virtual_services;
    let bound = |key: &'a Key| {
        let (object, service) = world.virtual_service(key)?;
        (is_for(service, port) && is_bound(caller, egress, object, service)).then_some((object, service))
    };
    let is_own = |(object, service): &(&Object, &VirtualService)| {
        service.semantics == RouteSemantics::GatewayApi && object.key.namespace == caller.namespace
    };
    let own = all.exactly(host).filter_map(bound).find(is_own);
    own.or_else(|| all.exactly(host).chain(all.by_pattern(host)).find_map(bound))
}

/// Whether a virtual service has routes for a port; one of Istio's counts as if it had.
fn is_for(service: &VirtualService, port: u16) -> bool {
    let is_for = |http: &HttpRoute| {
        http.matches.is_empty() || http.matches.iter().any(|one| one.port.is_none_or(|wanted| wanted == port))
    };
    service.semantics == RouteSemantics::Istio || service.http.iter().any(is_for)
}

/// Every name by which a caller of this namespace may know a service.
fn names(caller: &Caller<'_>, service: &RegistryService) -> Vec<String> {
    let suffix = format!(".svc.{}", caller.world.settings().domain);
    let mut names = vec![service.host.clone()];
    if service.host.ends_with(&suffix) {
        let (name, namespace) = (&service.name, &service.namespace);
        if namespace == caller.namespace {
            names.push(name.clone());
        }
        names.push(format!("{name}.{namespace}"));
        names.push(format!("{name}.{namespace}.svc"));
    }
    if service.is_headless() {
        let pods: Vec<String> = names.iter().map(|name| format!("*.{name}")).collect();
        names.extend(pods);
    }
    if !service.host.starts_with('*') {
        names.push(format!("{}.", service.host));
    }
    names.extend(service.ips().map(|ip| match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }));
    names
}
