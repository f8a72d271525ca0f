//! Rules of TLSRoutes, TCPRoutes and UDPRoutes as Istio's routes of connections.

use orrery_api::gateway_api::{BackendReference, ConnectionRule};
use orrery_api::{Destination, HeaderOperations, L4Match, TcpRoute, TlsMatch, TlsRoute, WeightedDestination};

use crate::backend::{Backend, Caller, located};
use crate::condition::Fault;
use crate::hostname::{intersection, meet};
use crate::outcome::Converted;

/// A destination that nothing is behind: connections to it are closed.
const NOBODY: (&str, &str, u16) = ("internal.cluster.local", "zero-weight", 65_535);

/// The route of a rule of TCP or UDP.
pub(crate) fn tcp(caller: &Caller<'_>, rule: &ConnectionRule) -> Converted<TcpRoute> {
    let (route, fault) = weighted(caller, &rule.backends)?;
    Ok((TcpRoute { matches: Vec::new(), route }, fault))
}

/// The route of a rule of TLS for some server names.
pub(crate) fn tls(caller: &Caller<'_>, rule: &ConnectionRule, hostnames: &[String]) -> Converted<TlsRoute> {
    let (route, fault) = weighted(caller, &rule.backends)?;
    let names: Vec<String> = if hostnames.is_empty() { vec!["*".to_owned()] } else { hostnames.to_vec() };
    let sni_hosts = names.into_iter().map(located).collect();
    Ok((TlsRoute { matches: vec![TlsMatch { sni_hosts, l4: L4Match::default() }], route }, fault))
}

fn weighted(
    caller: &Caller<'_>,
    backends: &[BackendReference],
) -> Result<(Vec<WeightedDestination>, Option<Fault>), Fault> {
    let mut fault = None;
    let mut all = Vec::new();
    for reference in backends.iter().filter(|reference| reference.weight > 0) {
        let Backend { destination, fault: own } = caller.backend(reference)?;
        fault = own.or(fault);
        all.push(WeightedDestination { destination, weight: reference.weight, headers: HeaderOperations::default() });
    }
    match all.as_mut_slice() {
        [] => all.push(nobody()),
        [only] => only.weight = 1,
        [_, _, ..] => {}
    }
    Ok((all, fault))
}

fn nobody() -> WeightedDestination {
    let (host, subset, port) = NOBODY;
    let destination =
        Destination { host: located(host.to_owned()), subset: Some(located(subset.to_owned())), port: Some(port) };
    WeightedDestination { destination, weight: 1, headers: HeaderOperations::default() }
}

/// Routes for connections to one port of a service.
pub(crate) fn tcp_at_port(routes: &[TcpRoute], port: Option<u16>) -> Vec<TcpRoute> {
    let mut routes = routes.to_vec();
    if port.is_some() {
        for route in &mut routes {
            route.matches = vec![L4Match { port, ..L4Match::default() }];
        }
    }
    routes
}

/// Routes for connections to a service within the mesh: a route without names of its own has those of the service.
pub(crate) fn tls_in_mesh(routes: &[TlsRoute], port: Option<u16>, hosts: &[String]) -> Vec<TlsRoute> {
    let mut routes = routes.to_vec();
    for one in routes.iter_mut().flat_map(|route| &mut route.matches) {
        if matches!(one.sni_hosts.as_slice(), [name] if name.value == "*") {
            one.sni_hosts = hosts.iter().cloned().map(located).collect();
        }
        one.l4.port = port;
    }
    routes
}

/// Of several names of a route those that a host has.
pub(crate) fn tls_for_host(routes: &[TlsRoute], host: &str) -> Vec<TlsRoute> {
    let mut routes = routes.to_vec();
    for one in routes.iter_mut().flat_map(|route| &mut route.matches) {
        if one.sni_hosts.len() > 1 {
            one.sni_hosts.retain(|name| meet(host, &name.value));
        }
    }
    routes
}

/// Routes with the part of their names that a listener has; without such a part there is no route.
pub(crate) fn tls_at_listener(routes: &[TlsRoute], hostname: &str) -> Vec<TlsRoute> {
    let mut routes = routes.to_vec();
    for one in routes.iter_mut().flat_map(|route| &mut route.matches) {
        let names = one.sni_hosts.iter().filter_map(|name| intersection(&name.value, hostname));
        one.sni_hosts = names.map(str::to_owned).map(located).collect();
    }
    routes.retain(|route| route.matches.iter().any(|one| !one.sni_hosts.is_empty()));
    routes
}
