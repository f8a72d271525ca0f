//! What routes attach to: listeners, and services of the mesh; and why an attachment is refused.

use std::collections::BTreeSet;

use orrery_api::gateway_api::{GROUP, ParentReference};
use orrery_api::{Key, Kind, Labels, Object, ServerHost, Spec};

use crate::class::{Controller, controller_of};
use crate::gateway::Gateways;
use crate::hostname::{is_within, meet};
use crate::sources::Sources;

/// A listener that routes may attach to.
#[derive(Clone, Debug)]
pub(crate) struct ParentListener {
    /// The derived Gateway, as `namespace/name`.
    pub(crate) gateway: String,
    /// Kinds of routes that may attach.
    pub(crate) kinds: Vec<&'static str>,
    pub(crate) hosts: Vec<ServerHost>,
    /// As written; `None`: all.
    pub(crate) hostname: Option<String>,
    pub(crate) section: String,
    pub(crate) port: u16,
    pub(crate) protocol: String,
    /// Under whose name routes have their status.
    pub(crate) controller: Controller,
    /// Which listener of its object it is.
    pub(crate) listener: usize,
}

/// One way in which a route attaches, or tries to.
#[derive(Clone, Debug)]
pub(crate) struct Attachment {
    pub(crate) reference: ParentReference,
    pub(crate) controller: Controller,
    pub(crate) to: Parent,
    pub(crate) refused: Option<Refusal>,
}

#[derive(Clone, Debug)]
pub(crate) enum Parent {
    Listener {
        owner: Key,
        listener: Box<ParentListener>,
        /// Host names of other listeners of the port: where they fit better, requests are theirs.
        others: BTreeSet<String>,
    },
    /// A Service or ServiceEntry, for calls within the mesh.
    Mesh { target: Key },
}

/// Why an attachment is refused, in the order in which reasons are told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refusal {
    NotAllowed(String),
    NoHostname(String),
    NoParent(String),
}

impl Refusal {
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NotAllowed(_) => "NotAllowedByListeners",
            Self::NoHostname(_) => "NoMatchingListenerHostname",
            Self::NoParent(_) => "NoMatchingParent",
        }
    }

    pub(crate) fn message(&self) -> &str {
        match self {
            Self::NotAllowed(message) | Self::NoHostname(message) | Self::NoParent(message) => message,
        }
    }

    /// The lower, the nearer the route came.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::NotAllowed(_) => 1,
            Self::NoHostname(_) => 2,
            Self::NoParent(_) => 3,
        }
    }
}

/// On services and namespaces: the waypoint that calls pass.
const WAYPOINT: &str = "istio.io/use-waypoint";
const WAYPOINT_NAMESPACE: &str = "istio.io/use-waypoint-namespace";
/// Kinds of routes that services of the mesh take.
const MESH_KINDS: [Kind; 4] = [Kind::HttpRoute, Kind::GrpcRoute, Kind::TcpRoute, Kind::TlsRoute];

/// All ways in which a route attaches or tries to; references to what is not ours are left out.
pub(crate) fn attachments(
    sources: &Sources<'_>,
    gateways: &Gateways,
    route: &Object,
    parents: &[ParentReference],
    hostnames: &[String],
) -> Vec<Attachment> {
    let mut all = Vec::new();
    for reference in parents {
        let namespace = reference.namespace.as_ref().unwrap_or(&route.key.namespace);
        let Some(kind) = kind(reference) else { continue };
        let key = Key { kind, namespace: namespace.clone(), name: reference.name.clone() };
        match kind {
            Kind::Service | Kind::ServiceEntry => {
                if !is_of_others(sources, &key) {
                    all.push(to_mesh(sources, route, reference, key));
                }
            }
            _ => all.extend(to_listeners(gateways, route, reference, &key, hostnames)),
        }
    }
    all.sort_by_cached_key(|one| shown(&one.reference, &route.key.namespace));
    all
}

/// The reference in full; the order of parents in status is that of these.
pub(crate) fn shown(reference: &ParentReference, namespace: &str) -> String {
    format!(
        "{}/{}/{}/{}/{}.{}",
        reference.group.as_deref().unwrap_or(GROUP),
        reference.kind.as_deref().unwrap_or("Gateway"),
        reference.name,
        reference.section_name.as_deref().unwrap_or_default(),
        reference.port.unwrap_or_default(),
        reference.namespace.as_deref().unwrap_or(namespace),
    )
}

fn kind(reference: &ParentReference) -> Option<Kind> {
    [Kind::KubernetesGateway, Kind::ListenerSet, Kind::Service, Kind::ServiceEntry]
        .into_iter()
        .find(|kind| reference.is(kind.group(), kind.in_documents()))
}

fn to_listeners(
    gateways: &Gateways,
    route: &Object,
    reference: &ParentReference,
    key: &Key,
    hostnames: &[String],
) -> Vec<Attachment> {
    let listeners = gateways.parents.get(key).map(Vec::as_slice).unwrap_or_default();
    let attach = |listener: &ParentListener| {
        let others = listeners.iter().filter(|other| {
            other.section != listener.section && other.port == listener.port && other.protocol == listener.protocol
        });
        let others = others.map(|other| other.hostname.clone().unwrap_or_default());
        let own = listener.hostname.clone().unwrap_or_default();
        Attachment {
            reference: reference.clone(),
            controller: listener.controller,
            refused: refusal(route, reference, listener, hostnames),
            to: Parent::Listener {
                owner: key.clone(),
                listener: Box::new(listener.clone()),
                others: others.filter(|other| *other != own).collect(),
            },
        }
    };
    listeners.iter().map(attach).collect()
}

fn refusal(
    route: &Object,
    reference: &ParentReference,
    listener: &ParentListener,
    hostnames: &[String],
) -> Option<Refusal> {
    if let Some(port) = reference.port.filter(|port| *port != listener.port) {
        return Some(Refusal::NoParent(format!("no listener has the port {port}")));
    }
    if let Some(section) = reference.section_name.as_ref().filter(|section| **section != listener.section) {
        return Some(Refusal::NoParent(format!("there is no listener {section}")));
    }
    let all = ["*".to_owned()];
    let hostnames = if hostnames.is_empty() { &all } else { hostnames };
    let fits = |host: &&ServerHost| hostnames.iter().any(|hostname| meet(&host.host.value, hostname));
    let mut fitting = listener.hosts.iter().filter(fits).peekable();
    let wanted = listener.hostname.as_deref().unwrap_or("*");
    if fitting.peek().is_none() {
        return Some(Refusal::NoHostname(format!("none of its host names fits {wanted} of the listener")));
    }
    let namespace = &route.key.namespace;
    if !fitting.any(|host| host.namespace.as_ref().is_none_or(|allowed| allowed == namespace)) {
        let message = format!("the listener {} takes no routes of the namespace {namespace}", listener.section);
        return Some(Refusal::NotAllowed(message));
    }
    let kind = route.key.kind.in_documents();
    (!listener.kinds.contains(&kind))
        .then(|| Refusal::NotAllowed(format!("the listener {} takes no {kind}", listener.section)))
}

fn to_mesh(sources: &Sources<'_>, route: &Object, reference: &ParentReference, target: Key) -> Attachment {
    let there = sources.get(target.kind, &target.namespace, &target.name).is_some();
    let refused = if !there {
        let message = format!("there is no {} {}/{}", target.kind.in_documents(), target.namespace, target.name);
        Some(Refusal::NoParent(message))
    } else if MESH_KINDS.contains(&route.key.kind) {
        None
    } else {
        Some(Refusal::NotAllowed(format!("calls within the mesh have no {}", route.key.kind.in_documents())))
    };
    let controller = Controller::Istio;
    Attachment { reference: reference.clone(), controller, to: Parent::Mesh { target }, refused }
}

/// Whether calls to a service pass a waypoint that a controller of others serves: then its routes are theirs.
fn is_of_others(sources: &Sources<'_>, key: &Key) -> bool {
    let Some(object) = sources.get(key.kind, &key.namespace, &key.name) else { return false };
    let of_namespace;
    let labels: &Labels = match object.meta.labels.get(WAYPOINT) {
        Some(_) => &object.meta.labels,
        None => match sources.namespace(&key.namespace) {
            Some(labels) => {
                of_namespace = labels;
                &of_namespace
            }
            None => return false,
        },
    };
    let named = labels.get(WAYPOINT).filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("none"));
    let Some(name) = named else { return false };
    let namespace = labels.get(WAYPOINT_NAMESPACE).filter(|namespace| !namespace.is_empty()).unwrap_or(&key.namespace);
    let class = match sources.get(Kind::KubernetesGateway, namespace, name).map(|object| &object.spec) {
        Some(Spec::KubernetesGateway(gateway)) => &gateway.class,
        Some(_) | None => return false,
    };
    // Without a GatewayClass nobody can say whose it is.
    sources.get(Kind::GatewayClass, "", class).is_some() && controller_of(sources, class).is_none()
}

impl Attachment {
    /// Whether the route takes requests for one of its hosts here, or another listener fits them better.
    pub(crate) fn has_host(&self, host: &str) -> bool {
        match &self.to {
            Parent::Mesh { .. } => true,
            Parent::Listener { listener, others, .. } => {
                let own = listener.hostname.as_deref().unwrap_or_default();
                if !own.is_empty() && !own.starts_with('*') {
                    return true;
                }
                if !own.is_empty() && !meet(host, own) {
                    return false;
                }
                // A longer name is the more exact one.
                !others.iter().any(|other| own.len() <= other.len() && is_within(host, other))
            }
        }
    }
}
