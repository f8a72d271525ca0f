//! Routes: where each attaches, the VirtualServices that all of them come to, and what their status says.

use std::collections::BTreeMap;

use orrery_api::gateway_api::{ConnectionRoute, ParentReference};
use orrery_api::{
    ExportTo, HttpMatch, HttpRoute, Key, Kind, Object, RouteSemantics, Spec, TcpRoute, TlsRoute, VirtualService,
};

use crate::backend::{Caller, located};
use crate::condition::Fault;
use crate::connection;
use crate::gateway::{DERIVED, Gateways};
use crate::grant::Grants;
use crate::hostname::intersection;
use crate::order::most_specific_first;
use crate::outcome::Outcome;
use crate::parent::{Attachment, Parent, attachments};
use crate::sources::{Sources, age};
use crate::{grpc, http};

/// Everything that is looked at for a route.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) sources: Sources<'a>,
    pub(crate) grants: &'a Grants,
    pub(crate) gateways: &'a Gateways,
}

/// What came of a route object.
#[derive(Debug)]
pub(crate) struct RouteReport {
    pub(crate) attachments: Vec<Attachment>,
    /// What is wrong with its rules, for gateways and within the mesh.
    pub(crate) at_gateways: Option<Fault>,
    pub(crate) in_mesh: Option<Fault>,
}

/// All routes.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    pub(crate) reports: BTreeMap<Key, RouteReport>,
    pub(crate) derived: Vec<Derived>,
}

/// A derived VirtualService.
#[derive(Debug)]
pub(crate) struct Derived {
    pub(crate) key: Key,
    pub(crate) created: String,
    /// Routes that it was made of.
    pub(crate) parents: Vec<Key>,
    pub(crate) service: VirtualService,
}

/// Most routes of one object, over all listeners and host names; the rest of what it asks for has no effect.
const MOST_ROUTES: usize = 50_000;

/// A host's part of a route object, before those of all objects are put together.
struct Piece<'a> {
    object: &'a Object,
    service: VirtualService,
}

impl Routes {
    pub(crate) fn of(context: Context<'_>) -> Self {
        let mut routes = Self::default();
        let mut pieces: BTreeMap<String, Vec<Piece<'_>>> = BTreeMap::new();
        for kind in [Kind::HttpRoute, Kind::GrpcRoute] {
            for object in context.sources.of_kind(kind) {
                routes.requests(context, object, &mut pieces);
            }
        }
        for (name, pieces) in pieces {
            routes.derived.extend(merged(&name, pieces));
        }
        for kind in [Kind::TlsRoute, Kind::TcpRoute, Kind::UdpRoute] {
            for object in context.sources.of_kind(kind) {
                match &object.spec {
                    Spec::TlsRoute(route) => routes.tls(context, object, route),
                    Spec::TcpRoute(route) | Spec::UdpRoute(route) => routes.connections(context, object, route),
                    _ => {}
                }
            }
        }
        routes
    }

    /// An HTTPRoute or GRPCRoute.
    fn requests<'a>(
        &mut self,
        context: Context<'a>,
        object: &'a Object,
        pieces: &mut BTreeMap<String, Vec<Piece<'a>>>,
    ) {
        let (parents, hostnames): (&[ParentReference], &[String]) = match &object.spec {
            Spec::HttpRoute(route) => (&route.parents, &route.hostnames),
            Spec::GrpcRoute(route) => (&route.parents, &route.hostnames),
            _ => return,
        };
        let convert = |caller: &Caller<'_>| match &object.spec {
            Spec::HttpRoute(route) => {
                Outcome::of(route.rules.iter().enumerate().flat_map(|(at, rule)| http::routes(caller, rule, at)))
            }
            Spec::GrpcRoute(route) => {
                Outcome::of(route.rules.iter().enumerate().flat_map(|(at, rule)| grpc::routes(caller, rule, at)))
            }
            _ => Outcome::default(),
        };
        let (attachments, mut at_gateways, in_mesh) = self.converted(context, object, parents, hostnames, convert);
        let mut made = 0;
        for one in attachments.iter().filter(|one| one.refused.is_none()) {
            let (mut routes, hosts, key) = match &one.to {
                Parent::Listener { listener, .. } => {
                    (at_gateways.routes.clone(), or_all(hostnames), listener.gateway.clone())
                }
                Parent::Mesh { target } => {
                    let port = one.reference.port;
                    let key = port.map_or_else(String::new, |port| format!("/{port}"));
                    let key = format!("{}{key}", object.key.namespace);
                    (at_port(&in_mesh.routes, port), mesh_hosts(context.sources, target), key)
                }
            };
            if routes.is_empty() {
                continue;
            }
            most_specific_first(&mut routes);
            made += routes.len() * hosts.len();
            if made > MOST_ROUTES {
                let message = format!("its rules, host names and listeners make more than {MOST_ROUTES} routes");
                at_gateways.fault = Some(Fault::new("UnsupportedValue", message));
                break;
            }
            for host in hosts.iter().filter(|host| one.has_host(host)) {
                let service = virtual_service(object, one, host, Rules { http: routes.clone(), ..Rules::default() });
                pieces.entry(format!("{key}/{host}")).or_default().push(Piece { object, service });
            }
        }
        self.report(object, attachments, at_gateways.fault, in_mesh.fault);
    }

    fn connections(&mut self, context: Context<'_>, object: &Object, route: &ConnectionRoute) {
        let convert = |caller: &Caller<'_>| Outcome::of(route.rules.iter().map(|rule| connection::tcp(caller, rule)));
        let (attachments, at_gateways, in_mesh) = self.converted(context, object, &route.parents, &[], convert);
        let word = if object.key.kind == Kind::UdpRoute { "udp" } else { "tcp" };
        let mut count = 0;
        for one in attachments.iter().filter(|one| one.refused.is_none()) {
            let (routes, hosts): (Vec<TcpRoute>, Vec<String>) = match &one.to {
                Parent::Listener { .. } => (at_gateways.routes.clone(), vec!["*".to_owned()]),
                Parent::Mesh { target } => {
                    (connection::tcp_at_port(&in_mesh.routes, one.reference.port), mesh_hosts(context.sources, target))
                }
            };
            for host in hosts {
                let rules = Rules { tcp: routes.clone(), ..Rules::default() };
                self.add(
                    object,
                    &format!("{}~{word}~{count}", object.key.name),
                    virtual_service(object, one, &host, rules),
                );
                count += 1;
            }
        }
        self.report(object, attachments, at_gateways.fault, in_mesh.fault);
    }

    fn tls(&mut self, context: Context<'_>, object: &Object, route: &ConnectionRoute) {
        let convert = |caller: &Caller<'_>| {
            Outcome::of(route.rules.iter().map(|rule| connection::tls(caller, rule, &route.hostnames)))
        };
        let (attachments, at_gateways, in_mesh) =
            self.converted(context, object, &route.parents, &route.hostnames, convert);
        let mut count = 0;
        for one in attachments.iter().filter(|one| one.refused.is_none()) {
            for (host, routes) in tls_hosts(context, one, &at_gateways.routes, &in_mesh.routes, &route.hostnames) {
                let rules = Rules { tls: routes, ..Rules::default() };
                self.add(
                    object,
                    &format!("{}~tls~{count}", object.key.name),
                    virtual_service(object, one, &host, rules),
                );
                count += 1;
            }
        }
        self.report(object, attachments, at_gateways.fault, in_mesh.fault);
    }

    /// Attachments, and the rules as they are at gateways and within the mesh, as far as the route is at either.
    fn converted<'a, T>(
        &self,
        context: Context<'a>,
        object: &'a Object,
        parents: &[ParentReference],
        hostnames: &[String],
        convert: impl Fn(&Caller<'a>) -> Outcome<T>,
    ) -> (Vec<Attachment>, Outcome<T>, Outcome<T>) {
        let attachments = attachments(&context.sources, context.gateways, object, parents, hostnames);
        let is_mesh = |one: &Attachment| matches!(one.to, Parent::Mesh { .. });
        let caller = Caller { sources: context.sources, grants: Some(context.grants), route: object };
        let mut outcomes = (Outcome::default(), Outcome::default());
        if !attachments.iter().all(is_mesh) {
            outcomes.0 = convert(&caller);
        }
        if attachments.iter().any(is_mesh) {
            outcomes.1 = convert(&Caller { grants: None, ..caller });
        }
        (attachments, outcomes.0, outcomes.1)
    }

    fn add(&mut self, object: &Object, name: &str, service: VirtualService) {
        let key = Key {
            kind: Kind::VirtualService,
            namespace: object.key.namespace.clone(),
            name: format!("{name}~{DERIVED}"),
        };
        let created = object.meta.created.clone();
        self.derived.push(Derived { key, created, parents: vec![object.key.clone()], service });
    }

    fn report(
        &mut self,
        object: &Object,
        attachments: Vec<Attachment>,
        at_gateways: Option<Fault>,
        in_mesh: Option<Fault>,
    ) {
        self.reports.insert(object.key.clone(), RouteReport { attachments, at_gateways, in_mesh });
    }
}

/// The routes of a VirtualService.
#[derive(Default)]
struct Rules {
    http: Vec<HttpRoute>,
    tls: Vec<TlsRoute>,
    tcp: Vec<TcpRoute>,
}

fn virtual_service(object: &Object, attachment: &Attachment, host: &str, rules: Rules) -> VirtualService {
    let (gateway, export_to) = match &attachment.to {
        Parent::Listener { listener, .. } => (listener.gateway.clone(), ExportTo::All),
        // A route beside its service is for all callers; elsewhere it is for callers of its own namespace.
        Parent::Mesh { target } if target.namespace == object.key.namespace => ("mesh".to_owned(), ExportTo::All),
        Parent::Mesh { .. } => ("mesh".to_owned(), ExportTo::Only { own: true, namespaces: Vec::new() }),
    };
    VirtualService {
        hosts: vec![located(host.to_owned())],
        gateways: vec![located(gateway)],
        http: rules.http,
        tls: rules.tls,
        tcp: rules.tcp,
        export_to,
        semantics: RouteSemantics::GatewayApi,
    }
}

/// One VirtualService of all pieces for a host: the oldest object's routes first among those that are equally specific.
fn merged(name: &str, mut pieces: Vec<Piece<'_>>) -> Option<Derived> {
    pieces.sort_by(|one, other| age(one.object).cmp(&age(other.object)));
    let parents: Vec<Key> = pieces.iter().map(|piece| piece.object.key.clone()).collect();
    let mut pieces = pieces.into_iter();
    let Piece { object, mut service } = pieces.next()?;
    for piece in pieces {
        service.http.extend(piece.service.http);
    }
    most_specific_first(&mut service.http);
    let key = Key { kind: Kind::VirtualService, namespace: object.key.namespace.clone(), name: name.replace('/', "~") };
    Some(Derived { key, created: object.meta.created.clone(), parents, service })
}

fn or_all(hostnames: &[String]) -> Vec<String> {
    if hostnames.is_empty() { vec!["*".to_owned()] } else { hostnames.to_vec() }
}

/// Hosts of a Service or ServiceEntry.
fn mesh_hosts(sources: Sources<'_>, target: &Key) -> Vec<String> {
    match target.kind {
        Kind::ServiceEntry => {
            let entry = sources.service_entry(&target.namespace, &target.name);
            entry.map(|(_, entry)| entry.hosts.iter().map(|host| host.value.clone()).collect()).unwrap_or_default()
        }
        _ => vec![sources.host(&target.name, &target.namespace)],
    }
}

/// Routes for calls to one port of a service.
fn at_port(routes: &[HttpRoute], port: Option<u16>) -> Vec<HttpRoute> {
    let mut routes = routes.to_vec();
    if port.is_none() {
        return routes;
    }
    for route in &mut routes {
        for one in &mut route.matches {
            one.port = port;
        }
        if route.matches.is_empty() {
            route.matches.push(HttpMatch { port, ..HttpMatch::default() });
        }
    }
    routes
}

/// The hosts that a TLSRoute has at an attachment, each with its routes.
fn tls_hosts(
    context: Context<'_>,
    attachment: &Attachment,
    at_gateways: &[TlsRoute],
    in_mesh: &[TlsRoute],
    hostnames: &[String],
) -> Vec<(String, Vec<TlsRoute>)> {
    match &attachment.to {
        Parent::Mesh { target } => {
            let hosts = mesh_hosts(context.sources, target);
            let routes = connection::tls_in_mesh(in_mesh, attachment.reference.port, &hosts);
            hosts
                .into_iter()
                .map(|host| {
                    let own = connection::tls_for_host(&routes, &host);
                    (host, own)
                })
                .collect()
        }
        Parent::Listener { listener, .. } => match &listener.hostname {
            None => or_all(hostnames).into_iter().map(|host| (host, at_gateways.to_vec())).collect(),
            Some(wanted) => {
                let routes = connection::tls_at_listener(at_gateways, wanted);
                let all = or_all(hostnames);
                let hosts = all.iter().filter_map(|host| intersection(host, wanted));
                hosts.map(|host| (host.to_owned(), routes.clone())).collect()
            }
        },
    }
}
