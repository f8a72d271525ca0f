//! Listeners of Gateways and ListenerSets, and which routes may attach to them.

use std::collections::BTreeMap;

use super::name::{Wildcard, at_most, host, section};
use super::reference::{self, ObjectReference};
use crate::reader::{Fields, Reader};
use crate::selector::Labels;

/// A port that is listened on for a host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listener {
    pub name: String,
    /// `None`: all hosts.
    pub hostname: Option<String>,
    /// `None` in a ListenerSet: the protocol's own port.
    pub port: Option<u16>,
    /// HTTP, HTTPS, TLS, TCP, UDP, or one of a vendor.
    pub protocol: String,
    pub tls: Option<ListenerTls>,
    pub allowed_routes: AllowedRoutes,
}

/// What becomes of TLS.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListenerTls {
    /// `None`: ended here.
    pub mode: Option<ListenerTlsMode>,
    pub certificates: Vec<ObjectReference>,
    /// Of vendors.
    pub options: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerTlsMode {
    /// Ended here.
    Terminate,
    /// Not ended here.
    Passthrough,
}

/// Which routes may attach.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AllowedRoutes {
    pub namespaces: RouteNamespaces,
    /// Empty: what the protocol carries.
    pub kinds: Vec<RouteKind>,
}

/// Namespaces of routes or ListenerSets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteNamespaces {
    /// `None`: Same for routes, None for ListenerSets.
    pub from: Option<NamespacesFrom>,
    pub selector: Option<LabelSelector>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamespacesFrom {
    All,
    Selector,
    Same,
    None,
}

/// A kind of route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteKind {
    pub group: String,
    pub kind: String,
}

/// Kubernetes' selector of labels: all conditions must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelSelector {
    pub labels: Labels,
    pub requirements: Vec<Requirement>,
}

/// One condition on a label.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    pub key: String,
    pub operator: SelectorOperator,
    pub values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectorOperator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// Most listeners of a Gateway or ListenerSet.
const LISTENERS: usize = 64;

/// Whether every listener must name its port.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    Required,
    Optional,
}

pub(super) fn listeners(spec: &Fields<'_>, port: Port) -> Vec<Listener> {
    let Some(list) = spec.take("listeners") else { return Vec::new() };
    let readers = list.list();
    at_most(spec, "listeners", readers.len(), LISTENERS);
    let listeners: Vec<Listener> = readers.iter().filter_map(|reader| listener(reader, port)).collect();
    for (at, one) in listeners.iter().enumerate() {
        if listeners.iter().take(at).any(|other| other.name == one.name) {
            list.report(format!("there are two listeners of the name {}", one.name), "names are unique in an object");
        }
    }
    listeners
}

fn listener(reader: &Reader<'_>, wanted: Port) -> Option<Listener> {
    let fields = reader.fields()?;
    let name = section(&fields, "name");
    let protocol = fields.require("protocol").and_then(|protocol| protocol.text());
    // 0 is how a ListenerSet leaves its port open.
    let port = fields.take("port").and_then(|port| port.number(0, 65_535)).and_then(|port| u16::try_from(port).ok());
    let port = port.filter(|port| *port != 0);
    if port.is_none() && wanted == Port::Required {
        fields.report("the port of the listener is missing", "ports are 1 to 65535");
    }
    let listener = Listener {
        hostname: fields.take("hostname").and_then(|hostname| host(&hostname, Wildcard::Allowed)),
        port,
        protocol: protocol.unwrap_or_default(),
        tls: fields.take("tls").and_then(|tls| listener_tls(&tls)),
        allowed_routes: fields.take("allowedRoutes").map(|allowed| allowed_routes(&allowed)).unwrap_or_default(),
        name: name.clone().unwrap_or_default(),
    };
    if name.is_none() {
        fields.report("the name of the listener is missing", "");
    }
    fields.finish(&["name", "hostname", "port", "protocol", "tls", "allowedRoutes"]);
    Some(listener)
}

fn listener_tls(reader: &Reader<'_>) -> Option<ListenerTls> {
    let fields = reader.fields()?;
    let certificates = fields.list("certificateRefs");
    at_most(&fields, "certificateRefs", certificates.len(), 64);
    let tls = ListenerTls {
        mode: fields.take("mode").and_then(|mode| {
            mode.word(&[("Terminate", ListenerTlsMode::Terminate), ("Passthrough", ListenerTlsMode::Passthrough)])
        }),
        certificates: certificates.iter().filter_map(|one| reference::object(one, "", "Secret")).collect(),
        options: fields.text_map("options"),
    };
    fields.finish(&["mode", "certificateRefs", "options"]);
    Some(tls)
}

fn allowed_routes(reader: &Reader<'_>) -> AllowedRoutes {
    let Some(fields) = reader.fields() else { return AllowedRoutes::default() };
    let kinds = fields.list("kinds");
    at_most(&fields, "kinds", kinds.len(), 8);
    let allowed = AllowedRoutes {
        namespaces: fields.take("namespaces").map(|one| route_namespaces(&one)).unwrap_or_default(),
        kinds: kinds.iter().filter_map(route_kind).collect(),
    };
    fields.finish(&["namespaces", "kinds"]);
    allowed
}

fn route_kind(reader: &Reader<'_>) -> Option<RouteKind> {
    let fields = reader.fields()?;
    let kind = fields.require("kind").and_then(|kind| kind.text());
    let group = fields.text("group").unwrap_or_else(|| super::GROUP.to_owned());
    fields.finish(&["group", "kind"]);
    Some(RouteKind { group, kind: kind? })
}

pub(super) fn route_namespaces(reader: &Reader<'_>) -> RouteNamespaces {
    let Some(fields) = reader.fields() else { return RouteNamespaces::default() };
    let from = fields.take("from").and_then(|from| {
        from.word(&[
            ("All", NamespacesFrom::All),
            ("Selector", NamespacesFrom::Selector),
            ("Same", NamespacesFrom::Same),
            ("None", NamespacesFrom::None),
        ])
    });
    let selector = fields.take("selector").and_then(|selector| label_selector(&selector));
    if from == Some(NamespacesFrom::Selector) && selector.is_none() {
        fields.report("the selector is missing", "from: Selector selects namespaces by their labels");
    }
    fields.finish(&["from", "selector"]);
    RouteNamespaces { from, selector }
}

fn label_selector(reader: &Reader<'_>) -> Option<LabelSelector> {
    let fields = reader.fields()?;
    let selector = LabelSelector {
        labels: Labels(fields.text_map("matchLabels")),
        requirements: fields.list("matchExpressions").iter().filter_map(requirement).collect(),
    };
    fields.finish(&["matchLabels", "matchExpressions"]);
    Some(selector)
}

fn requirement(reader: &Reader<'_>) -> Option<Requirement> {
    let fields = reader.fields()?;
    let key = fields.require("key").and_then(|key| key.text());
    let operator = fields.require("operator").and_then(|operator| {
        operator.word(&[
            ("In", SelectorOperator::In),
            ("NotIn", SelectorOperator::NotIn),
            ("Exists", SelectorOperator::Exists),
            ("DoesNotExist", SelectorOperator::DoesNotExist),
        ])
    });
    let values = fields.list("values").iter().filter_map(Reader::text).collect();
    fields.finish(&["key", "operator", "values"]);
    Some(Requirement { key: key?, operator: operator?, values })
}

impl LabelSelector {
    /// Whether something with these labels is selected.
    pub fn selects(&self, labels: &Labels) -> bool {
        self.labels.select(labels) && self.requirements.iter().all(|one| one.holds(labels))
    }
}

impl Requirement {
    fn holds(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        let listed = value.is_some_and(|value| self.values.iter().any(|known| known == value));
        match self.operator {
            SelectorOperator::In => listed,
            SelectorOperator::NotIn => !listed,
            SelectorOperator::Exists => value.is_some(),
            SelectorOperator::DoesNotExist => value.is_none(),
        }
    }
}

impl Listener {
    /// The port, or the usual one of HTTP and HTTPS where a ListenerSet leaves it open.
    pub fn effective_port(&self) -> Option<u16> {
        self.port.or(match self.protocol.as_str() {
            "HTTP" => Some(80),
            "HTTPS" => Some(443),
            _ => None,
        })
    }
}
