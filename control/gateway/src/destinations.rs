//! Backends of HTTP and gRPC rules: shares of the calls, and what is changed for each.

use orrery_api::gateway_api::{HttpBackend, HttpFilter};
use orrery_api::{HttpMatch, HttpRoute, WeightedDestination};

use crate::backend::{Backend, Caller};
use crate::condition::Fault;
use crate::filter::{Applied, apply};
use crate::outcome::Converted;

/// The routes that share a rule's calls, and what is wrong with backends.
pub(crate) struct Split {
    pub(crate) routes: Vec<HttpRoute>,
    pub(crate) fault: Option<Fault>,
}

/// A backend with what is changed for it.
struct Part {
    weight: u32,
    destination: WeightedDestination,
    changed: HttpRoute,
    /// Changes that a share of a route cannot have: they need a route of their own.
    apart: bool,
}

/// Puts backends onto a route. Without a backend that gets calls they are answered with 500.
///
/// # Errors
/// When a reference or filter is so wrong that the route object has no routes.
pub(crate) fn destinations(caller: &Caller<'_>, backends: &[HttpBackend], route: &HttpRoute) -> Result<Split, Fault> {
    let mut fault = None;
    let mut parts = Vec::new();
    for backend in backends.iter().filter(|backend| backend.backend.weight > 0) {
        let Backend { destination, fault: own } = caller.backend(&backend.backend)?;
        fault = own.or(fault);
        let Applied { route: changed, fault: own } = apply(caller, &backend.filters, HttpRoute::default())?;
        fault = own.or(fault);
        let headers = changed.headers.clone();
        let weight = backend.backend.weight;
        let destination = WeightedDestination { destination, weight, headers };
        parts.push(Part { weight, destination, changed, apart: backend.filters.iter().any(is_of_routes) });
    }
    let split = parts.iter().any(|part| part.apart);
    let routes = match parts.as_mut_slice() {
        [] => vec![HttpRoute { direct_response: Some((500, Vec::new())), ..route.clone() }],
        [only] if !split => {
            only.destination.weight = 1;
            vec![HttpRoute { route: vec![only.destination.clone()], ..route.clone() }]
        }
        parts if split => apart(parts, route),
        _ => {
            let all = parts.into_iter().map(|part| part.destination).collect();
            vec![HttpRoute { route: all, ..route.clone() }]
        }
    };
    Ok(Split { routes, fault })
}

/// A rule's routes for each of its matches, or for everything where there is none.
pub(crate) fn for_each_match(
    routes: &[HttpRoute],
    matches: Vec<HttpMatch>,
    fault: Option<&Fault>,
) -> Vec<Converted<HttpRoute>> {
    let matches: Vec<Vec<HttpMatch>> = match matches.is_empty() {
        true => vec![Vec::new()],
        false => matches.into_iter().map(|one| vec![one]).collect(),
    };
    let mut all = Vec::new();
    for one in &matches {
        let own = |route: &HttpRoute| HttpRoute { matches: one.clone(), ..route.clone() };
        all.extend(routes.iter().map(|route| Ok((own(route), fault.cloned()))));
    }
    all
}

/// Changes of headers belong to a share of a route; all others to a route.
fn is_of_routes(filter: &HttpFilter) -> bool {
    match filter {
        HttpFilter::RequestHeaders(_) | HttpFilter::ResponseHeaders(_) => false,
        HttpFilter::Mirror(_)
        | HttpFilter::Redirect(_)
        | HttpFilter::Rewrite(_)
        | HttpFilter::Cors(_)
        | HttpFilter::Extension(_)
        | HttpFilter::Unknown(_) => true,
    }
}

/// A route for each backend. One random number decides for all of them, so shares are those of the ones before too.
fn apart(parts: &[Part], route: &HttpRoute) -> Vec<HttpRoute> {
    let sum: u64 = parts.iter().map(|part| u64::from(part.weight)).sum();
    let mut before = 0;
    let mut routes = Vec::new();
    for part in parts {
        before += u64::from(part.weight);
        let mut own = route.clone();
        own.share = (before < sum).then_some((before, sum));
        own.mirrors.extend(part.changed.mirrors.iter().cloned());
        own.redirect = part.changed.redirect.clone().or(own.redirect);
        own.rewrite = part.changed.rewrite.clone().or(own.rewrite);
        own.cors = part.changed.cors.clone().or(own.cors);
        if own.redirect.is_none() {
            own.route = vec![WeightedDestination { weight: 1, ..part.destination.clone() }];
        }
        routes.push(own);
    }
    routes
}
