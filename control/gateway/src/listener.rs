//! Listeners of Gateways and ListenerSets: the servers that they come to, and what is told of them.

use orrery_api::gateway_api::{GROUP, KubernetesGateway, Listener, ListenerTlsMode, NamespacesFrom, RouteNamespaces};
use orrery_api::{Labels, Located, Object, Place as Line, Server, ServerHost, ServerProtocol};

use crate::class::Controller;
use crate::condition::{Condition, Fault};
use crate::conflict::Conflict;
use crate::grant::Grants;
use crate::sources::Sources;
use crate::tls::{self, ListenerCredentials, Place};

/// What came of a listener.
#[derive(Debug)]
pub(crate) struct BuiltListener {
    pub(crate) report: ListenerReport,
    /// `None` where nothing can be served.
    pub(crate) server: Option<(Server, std::collections::BTreeSet<String>)>,
    /// The port that proxies would listen on, were everything valid.
    pub(crate) port: Option<u16>,
    pub(crate) valid: bool,
}

/// What status says of a listener.
#[derive(Clone, Debug)]
pub(crate) struct ListenerReport {
    pub(crate) name: String,
    /// Kinds of routes that may attach.
    pub(crate) kinds: Vec<&'static str>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) attached: u32,
}

/// Whose listener it is.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) sources: Sources<'a>,
    pub(crate) grants: &'a Grants,
    /// Gateway or ListenerSet.
    pub(crate) object: &'a Object,
    pub(crate) gateway: &'a KubernetesGateway,
    pub(crate) controller: Controller,
}

/// The network that a gateway is of: it passes TLS on into the mesh, at this port unless another label names one.
const NETWORK: &str = "topology.istio.io/network";
const NETWORK_PORT: &str = "networking.istio.io/gatewayPort";
const NETWORK_PORT_DEFAULT: &str = "15443";
const MODE_OPTION: &str = "gateway.istio.io/listener-protocol";

/// A listener that another excludes.
pub(crate) fn conflicting(listener: &Listener, conflict: Conflict) -> ListenerReport {
    let fault = Fault::new(conflict.reason(), "another listener that comes before it takes what it asks for");
    let (kinds, all_kinds) = kinds(listener);
    let mut conditions = vec![
        Condition::broken("Accepted", &fault),
        Condition::broken("Programmed", &fault),
        Condition { holds: true, ..Condition::broken("Conflicted", &fault) },
    ];
    if !all_kinds {
        conditions.push(invalid_kinds());
    }
    ListenerReport { name: listener.name.clone(), kinds, conditions, attached: 0 }
}

/// What a listener comes to. `in_set`: it is one of a ListenerSet.
pub(crate) fn built(owner: Owner<'_>, listener: &Listener, in_set: bool) -> BuiltListener {
    let port = listener.effective_port();
    let place = Place { sources: owner.sources, grants: owner.grants, owner: &owner.object.key };
    let validation = port.and_then(|port| tls::validation_of(&owner.gateway.tls, port));
    let credentials = listener
        .tls
        .as_ref()
        .map(|tls| tls::credentials(place, tls, validation, passes_to_mesh(&owner.object.meta.labels, listener, port)));
    let fault = credentials.as_ref().and_then(|made| made.fault.as_ref());
    let protocol = protocol(owner.controller, &listener.protocol);
    let needs_tls = credentials.is_none() && matches!(listener.protocol.as_str(), "HTTPS" | "TLS");
    let unsupported = unsupported(owner.controller, listener, port, protocol.as_ref().err(), needs_tls && in_set);
    let invalid = fault.is_some() || port.is_none() || protocol.is_err() || (needs_tls && in_set);
    let server = match (port, protocol) {
        (Some(port), Ok(protocol)) if !needs_tls => {
            let (tls, granted) = match credentials {
                Some(ListenerCredentials { ref tls, ref granted, .. }) => (Some(tls.clone()), granted.clone()),
                None => (None, Default::default()),
            };
            Some((server(owner, listener, port, protocol, tls), granted))
        }
        _ => None,
    };
    let conditions = conditions(listener, fault, unsupported.as_ref(), needs_tls && in_set);
    let (kinds, _) = kinds(listener);
    let report = ListenerReport { name: listener.name.clone(), kinds, conditions, attached: 0 };
    BuiltListener { report, server, port: port.filter(|_| !needs_tls), valid: !invalid }
}

fn server(
    owner: Owner<'_>,
    listener: &Listener,
    port: u16,
    protocol: Option<ServerProtocol>,
    tls: Option<orrery_api::ServerTls>,
) -> Server {
    Server {
        name: String::new(),
        port,
        port_name: "default".to_owned(),
        // What carries the mesh's tunnels is never asked for its routes.
        protocol: protocol.unwrap_or(ServerProtocol::Tcp),
        bind: None,
        hosts: hosts(owner, listener),
        tls,
    }
}

fn conditions(
    listener: &Listener,
    tls: Option<&Fault>,
    unsupported: Option<&Fault>,
    tls_missing: bool,
) -> Vec<Condition> {
    let no_roots = tls
        .filter(|fault| {
            matches!(fault.reason, "InvalidCACertificateRef" | "InvalidCACertificateKind" | "RefNotPermitted")
        })
        .map(|fault| Fault { reason: "NoValidCACertificate", ..fault.clone() });
    let bad = (tls.is_some() || tls_missing).then(|| Fault::new("Invalid", "its TLS cannot be served"));
    let resolved = match kinds(listener) {
        (_, false) => invalid_kinds(),
        (_, true) => Condition::unless("ResolvedRefs", tls, "everything that it refers to is there"),
    };
    vec![
        Condition::unless("Accepted", unsupported.or(no_roots.as_ref()), "it is valid"),
        Condition::unless("Programmed", bad.as_ref(), "proxies have it"),
        Condition {
            kind: "Conflicted",
            holds: false,
            reason: "NoConflicts",
            message: "no other listener excludes it".to_owned(),
        },
        resolved,
    ]
}

fn invalid_kinds() -> Condition {
    let fault = Fault::new("InvalidRouteKinds", "it allows kinds of routes that its protocol cannot carry");
    Condition::broken("ResolvedRefs", &fault)
}

/// What the protocol is among Istio's; `Ok(None)`: tunnels of the mesh.
fn protocol(controller: Controller, protocol: &str) -> Result<Option<ServerProtocol>, String> {
    match protocol {
        "HTTP" => Ok(Some(ServerProtocol::Http)),
        "HTTPS" => Ok(Some(ServerProtocol::Https)),
        "TLS" => Ok(Some(ServerProtocol::Tls)),
        "TCP" => Ok(Some(ServerProtocol::Tcp)),
        "UDP" => Ok(Some(ServerProtocol::Udp)),
        "HBONE" => match controller {
            Controller::Mesh | Controller::EastWest => Ok(None),
            Controller::Istio | Controller::Orrery | Controller::Remote => {
                Err("HBONE is for waypoints and east-west gateways".to_owned())
            }
        },
        other if other.to_ascii_uppercase() != other => {
            Err(format!("there is no protocol {other:?}; protocols are written in upper case"))
        }
        other => Err(format!("there is no protocol {other:?}: HTTP, HTTPS, TLS, TCP and UDP are known")),
    }
}

/// Why a listener is not accepted for its protocol and port.
fn unsupported(
    controller: Controller,
    listener: &Listener,
    port: Option<u16>,
    protocol: Option<&String>,
    tls_missing: bool,
) -> Option<Fault> {
    const REASON: &str = "UnsupportedProtocol";
    let mode = listener.tls.as_ref().and_then(|tls| tls.mode);
    let tunnel = port == Some(15_008) && listener.protocol == "HBONE";
    if tls_missing {
        return Some(Fault::new(REASON, format!("{} needs tls", listener.protocol)));
    }
    match controller {
        Controller::Mesh if !tunnel => Some(Fault::new(REASON, "a waypoint listens for HBONE at port 15008")),
        Controller::EastWest
            if !(tunnel && mode == Some(ListenerTlsMode::Terminate))
                && (port == Some(15_008)
                    || listener.protocol != "TLS"
                    || mode != Some(ListenerTlsMode::Passthrough)) =>
        {
            let message = "an east-west gateway ends HBONE at port 15008, and passes TLS on at others";
            Some(Fault::new(REASON, message))
        }
        Controller::Mesh | Controller::EastWest | Controller::Istio | Controller::Orrery | Controller::Remote => {
            protocol.map(|message| Fault::new(REASON, message.clone())).or_else(|| {
                port.is_none()
                    .then(|| Fault::new(REASON, format!("{} has no port of its own: name one", listener.protocol)))
            })
        }
    }
}

/// Kinds of routes that may attach, and whether all that are allowed are among them.
pub(crate) fn kinds(listener: &Listener) -> (Vec<&'static str>, bool) {
    let ends_here = listener.tls.as_ref().and_then(|tls| tls.mode) == Some(ListenerTlsMode::Terminate);
    let carried: &[&'static str] = match listener.protocol.as_str() {
        "HTTP" | "HTTPS" => &["HTTPRoute", "GRPCRoute"],
        "TCP" => &["TCPRoute"],
        "UDP" => &["UDPRoute"],
        "TLS" if ends_here => &["TLSRoute", "TCPRoute"],
        "TLS" => &["TLSRoute"],
        _ => &[],
    };
    let allowed = &listener.allowed_routes.kinds;
    if allowed.is_empty() {
        return (carried.to_vec(), true);
    }
    let is_allowed = |kind: &&&'static str| allowed.iter().any(|one| one.group == GROUP && one.kind == **kind);
    let both: Vec<&'static str> = carried.iter().filter(is_allowed).copied().collect();
    let all = both.len() == allowed.len();
    (both, all)
}

/// The hosts of a listener, each with a namespace whose routes may have it.
fn hosts(owner: Owner<'_>, listener: &Listener) -> Vec<ServerHost> {
    let hostname = listener.hostname.as_deref().unwrap_or("*");
    let host = |namespace: Option<&str>| ServerHost {
        namespace: namespace.map(str::to_owned),
        host: Located { value: hostname.to_owned(), place: Line::default() },
    };
    match allowed_namespaces(&owner, &listener.allowed_routes.namespaces) {
        Namespaces::All => vec![host(None)],
        Namespaces::These(names) if names.is_empty() => vec![host(Some(NOBODY))],
        Namespaces::These(names) => names.iter().map(|name| host(Some(name))).collect(),
    }
}

/// A namespace that nobody has.
const NOBODY: &str = "~";

enum Namespaces {
    All,
    These(Vec<String>),
}

fn allowed_namespaces(owner: &Owner<'_>, allowed: &RouteNamespaces) -> Namespaces {
    match allowed.from {
        None | Some(NamespacesFrom::Same) => Namespaces::These(vec![owner.object.key.namespace.clone()]),
        Some(NamespacesFrom::All) => Namespaces::All,
        Some(NamespacesFrom::None) => Namespaces::These(Vec::new()),
        Some(NamespacesFrom::Selector) => {
            let selects = |labels: &Labels| allowed.selector.as_ref().is_some_and(|selector| selector.selects(labels));
            let all = owner.sources.namespaces().into_iter();
            let mut names: Vec<String> =
                all.filter(|(_, labels)| selects(labels)).map(|(name, _)| name.to_owned()).collect();
            names.sort_unstable();
            Namespaces::These(names)
        }
    }
}

/// Whether TLS goes on into the mesh by the name of a cluster.
fn passes_to_mesh(labels: &Labels, listener: &Listener, port: Option<u16>) -> bool {
    let option = listener.tls.as_ref().and_then(|tls| tls.options.get(MODE_OPTION));
    if option.is_some_and(|mode| mode == "auto-passthrough") {
        return true;
    }
    let expected = labels.get(NETWORK_PORT).unwrap_or(NETWORK_PORT_DEFAULT);
    labels.get(NETWORK).is_some() && port.is_some_and(|port| port.to_string() == expected)
}
