//! What becomes of a request once its head is clean: route, injected faults, cross-origin rules, then an answer of the
//! proxy's own or a destination. The phases are in the order of Envoy's filters: fault, CORS, router.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, LOCATION};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use thiserror::Error;

use crate::cors::{CorsPolicy, CorsVerdict};
use crate::fault::{AbortAnswer, FaultPlan};
use crate::forward::{apply, location, pick_cluster, rewrite_path};
use crate::listener::HttpConnectionManager;
use crate::matching::RequestView;
use crate::route::{
    Forward, HeaderOp, HeaderOps, HostRewrite, Redirect, Route, RouteAction, RouteTable, VirtualHost, WeightedCluster,
};
use crate::select::{NoRoute, Selected, select};

/// The random numbers that one request's decisions take, independent of each other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Draws {
    /// For routes that take a share of requests.
    pub route: u32,
    /// For a split.
    pub cluster: u64,
    pub delay: u32,
    pub abort: u32,
}

/// What a request was matched to, and what comes of that.
#[derive(Debug)]
pub struct Decided<'a> {
    pub matched: Matched<'a>,
    /// An injected delay: nothing else happens before it is over.
    pub delay: Option<Duration>,
    /// A page of another origin may read the answer, whoever answers.
    pub permission: Option<Permission>,
    pub action: Action<'a>,
}

/// Where a request was routed to.
#[derive(Clone, Copy, Debug)]
pub struct Matched<'a> {
    pub table: &'a RouteTable,
    pub virtual_host: &'a VirtualHost,
    pub route: &'a Route,
    /// The destination that was drawn, when the route forwards to one. A split without weights has none.
    pub destination: Option<&'a WeightedCluster>,
}

/// What is done for a request.
#[derive(Debug)]
pub enum Action<'a> {
    Forward(Plan<'a>),
    /// The proxy's own answer, as the route or its cross-origin policy says it.
    Answer(Box<OwnAnswer<'a>>),
    /// The answer of an injected fault.
    Abort(AbortAnswer),
    /// A split whose weights are all 0.
    NoDestination,
    /// The route does nothing: 404 with flag NR.
    NoAction,
}

/// An answer of the proxy's own.
#[derive(Debug)]
pub struct OwnAnswer<'a> {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Option<&'a Bytes>,
}

/// What applies to a request that is forwarded.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    pub table: &'a RouteTable,
    pub virtual_host: &'a VirtualHost,
    pub route: &'a Route,
    pub forward: &'a Forward,
    pub destination: &'a WeightedCluster,
}

/// A page of another origin that may read the answer.
#[derive(Clone, Debug)]
pub struct Permission {
    policy: Arc<CorsPolicy>,
    origin: HeaderValue,
}

/// A path rewrite made something that is no path.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the rewritten path is no valid path")]
pub struct InvalidRewrite;

/// Decides for one request.
///
/// # Errors
/// When no virtual host or no route takes it.
pub fn decide<'a>(
    manager: &HttpConnectionManager,
    table: &'a RouteTable,
    request: &RequestView<'_>,
    draws: Draws,
) -> Result<Decided<'a>, NoRoute> {
    let Selected { virtual_host, route } = select(table, request, draws.route)?;
    let destination = match &route.action {
        RouteAction::Forward(forward) => pick_cluster(&forward.clusters, draws.cluster),
        RouteAction::Redirect(_) | RouteAction::DirectResponse { .. } | RouteAction::None => None,
    };
    let matched = Matched { table, virtual_host, route, destination };
    let fault = route.fault.as_ref().filter(|_| manager.fault_filter);
    let FaultPlan { delay, abort } = fault.map(|fault| fault.decide(draws.delay, draws.abort)).unwrap_or_default();
    let mut permission = None;
    let action = match abort {
        Some(answer) => Action::Abort(answer),
        None => match cross_origin(manager, route, request, &mut permission) {
            Some(headers) => Action::answer(StatusCode::OK, headers, None),
            None => routed(matched, request),
        },
    };
    Ok(Decided { matched, delay, permission, action })
}

/// The headers that answer a preflight, if it is answered here.
fn cross_origin(
    manager: &HttpConnectionManager,
    route: &Route,
    request: &RequestView<'_>,
    permission: &mut Option<Permission>,
) -> Option<HeaderMap> {
    let policy = route.cors.as_ref().filter(|_| manager.cors_filter)?;
    match policy.judge(request.method, request.headers) {
        CorsVerdict::Plain => None,
        CorsVerdict::Allowed(origin) => {
            *permission = Some(Permission { policy: policy.clone(), origin });
            None
        }
        CorsVerdict::Preflight(origin) => Some(policy.answer_preflight(origin, request.headers)),
        CorsVerdict::RefusedPreflight => Some(HeaderMap::new()),
    }
}

fn routed<'a>(matched: Matched<'a>, request: &RequestView<'_>) -> Action<'a> {
    let Matched { table, virtual_host, route, destination } = matched;
    match (&route.action, destination) {
        (RouteAction::Forward(forward), Some(destination)) => {
            Action::Forward(Plan { table, virtual_host, route, forward, destination })
        }
        (RouteAction::Forward(_), None) => Action::NoDestination,
        (RouteAction::Redirect(redirect), _) => redirected(matched, redirect, request),
        (RouteAction::DirectResponse { status, body }, _) => {
            let mut headers = HeaderMap::new();
            matched.change_answer(&mut headers);
            Action::answer(*status, headers, Some(body))
        }
        (RouteAction::None, _) => Action::NoAction,
    }
}

fn redirected<'a>(matched: Matched<'a>, redirect: &Redirect, request: &RequestView<'_>) -> Action<'a> {
    let mut headers = HeaderMap::new();
    if let Ok(to) = HeaderValue::from_str(&location(redirect, &matched.route.matches.path, request)) {
        headers.insert(LOCATION, to);
    }
    matched.change_answer(&mut headers);
    Action::answer(redirect.status, headers, None)
}

impl<'a> Action<'a> {
    fn answer(status: StatusCode, headers: HeaderMap, body: Option<&'a Bytes>) -> Self {
        Self::Answer(Box::new(OwnAnswer { status, headers, body }))
    }
}

impl Matched<'_> {
    /// Levels of header changes, the most specific first.
    fn levels(&self) -> impl Iterator<Item = &HeaderOps> {
        let destination = self.destination.map(|destination| &destination.header_ops);
        destination.into_iter().chain([&self.route.header_ops, &self.virtual_host.header_ops, &self.table.header_ops])
    }

    fn change_answer(&self, headers: &mut HeaderMap) {
        for level in self.levels() {
            apply(&level.response, headers);
        }
    }
}

impl Plan<'_> {
    fn matched(&self) -> Matched<'_> {
        let Plan { table, virtual_host, route, destination, .. } = *self;
        Matched { table, virtual_host, route, destination: Some(destination) }
    }

    /// Makes the request what the upstream gets: header changes from the most specific level to the least, then host
    /// and path. The host is in the `host` header.
    ///
    /// # Errors
    /// When the path rewrite makes no path.
    pub fn rewrite(&self, parts: &mut Parts) -> Result<(), InvalidRewrite> {
        const AUTHORITY: HeaderName = HeaderName::from_static("host");
        for level in self.matched().levels() {
            change_request(&level.request, &mut parts.headers);
        }
        let host = match &self.forward.host_rewrite {
            Some(HostRewrite::Literal(host)) => Some(host),
            Some(HostRewrite::Endpoint) => None,
            None => self.destination.host_rewrite.as_ref(),
        };
        if let Some(host) = host {
            parts.headers.insert(AUTHORITY, host.clone());
        }
        if let Some(rewrite) = &self.forward.path_rewrite {
            let target = rewrite_path(rewrite, &self.route.matches.path, parts.uri.path(), parts.uri.query());
            parts.uri = Uri::from(PathAndQuery::try_from(target).map_err(|_invalid| InvalidRewrite)?);
        }
        Ok(())
    }

    /// Changes the headers of an upstream's answer.
    pub fn change_answer(&self, headers: &mut HeaderMap) {
        self.matched().change_answer(headers);
    }
}

/// The host may be replaced, never removed or repeated.
fn change_request(operations: &[HeaderOp], headers: &mut HeaderMap) {
    if operations.is_empty() {
        return;
    }
    let host = headers.get(HOST).cloned();
    apply(operations, headers);
    if headers.get_all(HOST).iter().count() != 1
        && let Some(host) = host
    {
        headers.insert(HOST, host);
    }
}

impl Permission {
    /// Adds to an answer what lets the page read it.
    pub fn add(self, headers: &mut HeaderMap) {
        self.policy.allow(self.origin, headers);
    }
}

#[cfg(test)]
mod tests;
