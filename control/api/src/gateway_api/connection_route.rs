//! TLSRoute, TCPRoute and UDPRoute: routes of connections and datagrams.

use super::http_route::rules;
use super::name::{at_most, hosts, section};
use super::reference::{self, BackendReference, ParentReference, parents};
use crate::reader::{Fields, Reader};

/// A TLSRoute, TCPRoute or UDPRoute.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionRoute {
    pub parents: Vec<ParentReference>,
    /// Names that clients ask for (SNI); of a TLSRoute alone.
    pub hostnames: Vec<String>,
    pub rules: Vec<ConnectionRule>,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConnectionRule {
    pub name: Option<String>,
    pub backends: Vec<BackendReference>,
}

pub(crate) fn read_tls(spec: Fields<'_>) -> Option<ConnectionRoute> {
    let hostnames = hosts(&spec);
    read(spec, hostnames, &["parentRefs", "hostnames", "rules", "useDefaultGateways"])
}

pub(crate) fn read_tcp(spec: Fields<'_>) -> Option<ConnectionRoute> {
    read(spec, Vec::new(), &["parentRefs", "rules", "useDefaultGateways"])
}

pub(crate) fn read_udp(spec: Fields<'_>) -> Option<ConnectionRoute> {
    read_tcp(spec)
}

fn read(spec: Fields<'_>, hostnames: Vec<String>, known: &[&str]) -> Option<ConnectionRoute> {
    let rules = rules(&spec, rule).unwrap_or_default();
    let route = ConnectionRoute { parents: parents(&spec), hostnames, rules };
    spec.not_supported(&["useDefaultGateways"]);
    spec.finish(known);
    Some(route)
}

fn rule(reader: &Reader<'_>) -> Option<ConnectionRule> {
    let fields = reader.fields()?;
    let name = section(&fields, "name");
    let list = fields.list("backendRefs");
    at_most(&fields, "backendRefs", list.len(), 16);
    let backend = |reader: &Reader<'_>| {
        let fields = reader.fields()?;
        let backend = reference::backend(&fields);
        fields.finish(&["group", "kind", "name", "namespace", "port", "weight"]);
        backend
    };
    let backends = list.iter().filter_map(backend).collect();
    fields.finish(&["name", "backendRefs"]);
    Some(ConnectionRule { name, backends })
}
