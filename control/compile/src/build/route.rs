//! Routes: of virtual services where there are any, and the plain way to each service's port otherwise.

mod action;
mod answer;
mod filters;
mod gateway_api;
mod headers;
mod matching;
mod retry;

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::{
    Decorator, DirectResponseAction, Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost,
};
use orrery_api::{HttpMatch, HttpRoute, Key, Object, RouteSemantics, VirtualService};

use self::headers::Changes;
use self::matching::{prefix, route_match};
use self::retry::retry_policy;
use super::cluster::outbound_name;
use super::value::{duration, fields, flag, metadata, number, text};
use crate::delegate::{self, EffectiveRoute};
use crate::registry::{RegistryService, ServicePortInfo};
use crate::world::World;

pub(super) use self::action::cluster;

/// Longest body of an answer that a proxy gives itself, in bytes (Istio's limit).
const LONGEST_BODY: u32 = 1 << 20;

/// For whom routes are made.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) world: &'a World,
    pub(super) namespace: &'a str,
    pub(super) labels: &'a orrery_api::Labels,
    /// `mesh`, or `namespace/name` of a gateway.
    pub(super) gateway: &'a str,
    /// Requests come over TLS that ends here.
    pub(super) has_tls: bool,
}

/// A route configuration whose clusters are looked up when a request comes.
pub(super) fn table(name: &str, virtual_hosts: Vec<VirtualHost>) -> RouteConfiguration {
    RouteConfiguration {
        name: name.to_owned(),
        virtual_hosts,
        validate_clusters: flag(false),
        max_direct_response_body_size_bytes: number(LONGEST_BODY),
        ..Default::default()
    }
}

/// The routes of an inbound port: everything to the application.
pub(super) fn inbound(name: &str, service: &RegistryService, port: &ServicePortInfo) -> RouteConfiguration {
    let to = Some(ClusterSpecifier::Cluster(name.to_owned()));
    let action = RouteAction { cluster_specifier: to, ..timeouts(Duration::ZERO) };
    let route = Route {
        name: "default".to_owned(),
        r#match: Some(prefix("/")),
        action: Some(Action::Route(action)),
        decorator: decorator(format!("{}:{}/*", service.host, port.number)),
        ..Default::default()
    };
    let host = VirtualHost {
        name: format!("inbound|http|{}", port.number),
        domains: vec!["*".to_owned()],
        routes: vec![route],
        ..Default::default()
    };
    table(name, vec![host])
}

/// Requests for hosts that nobody knows: to a cluster, or refused.
pub(super) fn fallback(unknown: Option<&str>) -> VirtualHost {
    let (name, action) = match unknown {
        Some(cluster) => {
            let to = Some(ClusterSpecifier::Cluster(cluster.to_owned()));
            ("allow_any", Action::Route(RouteAction { cluster_specifier: to, ..timeouts(Duration::ZERO) }))
        }
        None => ("block_all", Action::DirectResponse(DirectResponseAction { status: 502, ..Default::default() })),
    };
    let route = Route { name: name.to_owned(), r#match: Some(prefix("/")), action: Some(action), ..Default::default() };
    VirtualHost { name: name.to_owned(), domains: vec!["*".to_owned()], routes: vec![route], ..Default::default() }
}

/// An action with the time that an exchange may take, zero for any. It bounds deadlines of gRPC clients too.
#[allow(deprecated, reason = "its successor cannot say that a client's deadline counts and nothing else does")]
fn timeouts(timeout: Duration) -> RouteAction {
    RouteAction { timeout: duration(timeout), max_grpc_timeout: duration(timeout), ..Default::default() }
}

/// The way to a service's port when no virtual service says otherwise.
pub(super) fn plain(caller: &Caller<'_>, service: &RegistryService, port: u16) -> Route {
    let cluster = outbound_name(port, "", &service.host);
    let hash_policy = action::hash(caller, service, "", port);
    let action = RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(cluster)),
        retry_policy: Some(retry_policy(None, !hash_policy.is_empty())),
        hash_policy,
        ..timeouts(Duration::ZERO)
    };
    Route {
        name: "default".to_owned(),
        r#match: Some(prefix("/")),
        action: Some(Action::Route(action)),
        decorator: decorator(format!("{}:{port}/*", service.host)),
        ..Default::default()
    }
}

/// The routes of a virtual service for a port, in its order; one per match. Nothing comes behind a route that takes
/// everything.
pub(super) fn of_virtual_service(
    caller: &Caller<'_>,
    object: &Object,
    service: &VirtualService,
    port: u16,
) -> Vec<Route> {
    let mut routes = Vec::new();
    for EffectiveRoute { object, http } in delegate::routes(caller.world, object, service) {
        if http.matches.is_empty() {
            let made = route(caller, object, &http, port, None, service.semantics);
            let takes_all = takes_everything(&made);
            routes.push(made);
            if takes_all {
                return routes;
            }
        }
        for one in http.matches.iter().filter(|one| applies(caller, object, one, port)) {
            let made = route(caller, object, &http, port, Some(one), service.semantics);
            let takes_all = takes_everything(&made);
            routes.push(made);
            if takes_all {
                return routes;
            }
        }
    }
    routes
}

/// Whether a route's match is one that every request has.
pub(super) fn takes_everything(route: &Route) -> bool {
    route.r#match.as_ref().is_some_and(|one| {
        let path = match &one.path_specifier {
            Some(PathSpecifier::Prefix(prefix)) => prefix == "/",
            Some(PathSpecifier::SafeRegex(regex)) => regex.regex == ".*",
            Some(
                PathSpecifier::Path(_)
                | PathSpecifier::PathSeparatedPrefix(_)
                | PathSpecifier::ConnectMatcher(_)
                | PathSpecifier::PathMatchPolicy(_),
            )
            | None => false,
        };
        path && one.headers.is_empty() && one.query_parameters.is_empty() && one.runtime_fraction.is_none()
    })
}

/// Whether a match can hold for this caller at all: its gateway and port; without a gateway its labels and namespace.
fn applies(caller: &Caller<'_>, object: &Object, one: &HttpMatch, port: u16) -> bool {
    let named = |gateway: &str| gateway_name(gateway, &object.key.namespace) == caller.gateway;
    let source = match one.gateways.is_empty() {
        false => one.gateways.iter().any(|gateway| named(&gateway.value)),
        true => {
            one.source_namespace
                .as_deref()
                .is_none_or(|namespace| namespace.is_empty() || namespace == caller.namespace)
                && one.source_labels.iter().all(|(key, value)| caller.labels.get(key) == Some(value))
        }
    };
    source && one.port.is_none_or(|wanted| wanted == port)
}

/// A gateway as its namespace and name; `mesh` stays.
pub(crate) fn gateway_name(name: &str, namespace: &str) -> String {
    if name == "mesh" || name.contains('/') { name.to_owned() } else { format!("{namespace}/{name}") }
}

/// Says which virtual service made something.
pub(super) fn origin(key: &Key) -> Option<Metadata> {
    let path = format!("/apis/networking.istio.io/v1/namespaces/{}/virtual-service/{}", key.namespace, key.name);
    metadata(vec![("istio", fields(vec![("config", text(&path))]))])
}

fn route(
    caller: &Caller<'_>,
    object: &Object,
    http: &HttpRoute,
    port: u16,
    one: Option<&HttpMatch>,
    semantics: RouteSemantics,
) -> Route {
    let match_name = one.map_or("", |one| one.name.as_str());
    let name =
        [http.name.as_str(), match_name].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".");
    let mut matching = one.map_or_else(|| prefix("/"), |one| route_match(one, semantics));
    matching.runtime_fraction = http.share.map(matching::share);
    let mut changes = Changes::of(&http.headers);
    if let [only] = http.route.as_slice() {
        changes = changes.and(Changes::of(&only.headers));
    }
    let action = match (&http.redirect, &http.direct_response) {
        (Some(target), _) => {
            let mut redirect = answer::redirect(target, port, caller.has_tls);
            gateway_api::without_prefix_of_redirect(&matching, &mut redirect);
            Action::Redirect(redirect)
        }
        (None, Some((status, body))) => Action::DirectResponse(answer::direct(*status, body)),
        (None, None) => {
            let authority = changes.authority.as_deref();
            let mut action = action::forward(caller, object, http, port, authority, semantics);
            gateway_api::without_prefix(&matching, &mut action);
            Action::Route(action)
        }
    };
    Route {
        name,
        decorator: decorator(action::operation(caller, object, http, port, &shown(&matching))),
        r#match: Some(matching),
        action: Some(action),
        metadata: origin(&object.key),
        request_headers_to_add: changes.request_add,
        request_headers_to_remove: changes.request_remove,
        response_headers_to_add: changes.response_add,
        response_headers_to_remove: changes.response_remove,
        typed_per_filter_config: filters::per_filter(http),
        stat_prefix: one.map(|one| one.stat_prefix.clone()).unwrap_or_default(),
        ..Default::default()
    }
}

/// The path of a match, for people.
fn shown(matching: &RouteMatch) -> String {
    match &matching.path_specifier {
        Some(PathSpecifier::Prefix(prefix)) => format!("{prefix}*"),
        Some(PathSpecifier::Path(path)) => path.clone(),
        Some(PathSpecifier::SafeRegex(regex)) => regex.regex.clone(),
        Some(
            PathSpecifier::PathSeparatedPrefix(_)
            | PathSpecifier::ConnectMatcher(_)
            | PathSpecifier::PathMatchPolicy(_),
        )
        | None => "/*".to_owned(),
    }
}

fn decorator(operation: String) -> Option<Decorator> {
    Some(Decorator { operation, ..Default::default() })
}
