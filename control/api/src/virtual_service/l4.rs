//! Routes of connections: TLS by server name, and TCP.

use super::{Destination, L4Match, TcpRoute, TlsMatch, TlsRoute, WeightedDestination, destination};
use crate::problem::Located;
use crate::reader::{Fields, Reader};
use crate::selector::Labels;

pub(super) fn tcp_route(reader: &Reader<'_>) -> Option<TcpRoute> {
    let fields = reader.fields()?;
    let matches = fields.list("match").into_iter().filter_map(|one| {
        let one = one.fields()?;
        let found = l4_match(&one);
        if let Some(reader) = one.take("sourceSubnet") {
            reader.report("this field has no effect in Istio either", "leave it out");
        }
        one.finish(&L4_FIELDS);
        Some(found)
    });
    let route = TcpRoute { matches: matches.collect(), route: weighted(&fields) };
    fields.finish(&["match", "route"]);
    Some(route)
}

pub(super) fn tls_route(reader: &Reader<'_>) -> Option<TlsRoute> {
    let fields = reader.fields()?;
    let list = fields.require("match").map(|matches| matches.list()).unwrap_or_default();
    if list.is_empty() {
        fields.report("a TLS route without a match takes nothing", "add match with sniHosts");
    }
    let route = TlsRoute { matches: list.iter().filter_map(tls_match).collect(), route: weighted(&fields) };
    fields.finish(&["match", "route"]);
    Some(route)
}

fn tls_match(reader: &Reader<'_>) -> Option<TlsMatch> {
    let fields = reader.fields()?;
    let list = fields.require("sniHosts").map(|hosts| hosts.list()).unwrap_or_default();
    if list.is_empty() {
        fields.report("sniHosts is empty", "name the servers that clients ask for");
    }
    let sni_hosts = list.into_iter().filter_map(|host| {
        let text = host.located_text()?;
        let inner = text.value.strip_prefix('*').unwrap_or(&text.value);
        if text.value.is_empty() || inner.contains('*') {
            host.report(format!("{:?} is no server name", text.value), "write a name, or *. and the end of one");
            return None;
        }
        Some(Located { value: text.value.to_ascii_lowercase(), place: text.place })
    });
    let found = TlsMatch { sni_hosts: sni_hosts.collect(), l4: l4_match(&fields) };
    fields.finish(&["sniHosts", "destinationSubnets", "port", "sourceLabels", "gateways", "sourceNamespace"]);
    Some(found)
}

const L4_FIELDS: [&str; 6] =
    ["destinationSubnets", "port", "sourceSubnet", "sourceLabels", "gateways", "sourceNamespace"];

fn l4_match(fields: &Fields<'_>) -> L4Match {
    L4Match {
        destination_subnets: fields.list("destinationSubnets").iter().filter_map(subnet).collect(),
        port: fields.port("port"),
        source_labels: Labels(fields.text_map("sourceLabels")),
        source_namespace: fields.text("sourceNamespace").filter(|namespace| !namespace.is_empty()),
        gateways: fields.texts("gateways"),
    }
}

/// An address or a range of addresses.
pub(crate) fn subnet(reader: &Reader<'_>) -> Option<ipnet::IpNet> {
    let text = reader.text()?;
    let parsed = text.parse().map(|net: ipnet::IpNet| net.trunc());
    let parsed = parsed.ok().or_else(|| text.parse().ok().map(|ip: std::net::IpAddr| ip.into()));
    if parsed.is_none() {
        reader.report(format!("{text:?} is neither an address nor a range of addresses"), "such as 10.1.0.0/16");
    }
    parsed
}

/// The destinations of a route of connections, which changes no headers.
fn weighted(fields: &Fields<'_>) -> Vec<WeightedDestination> {
    let list = fields.require("route").map(|route| route.list()).unwrap_or_default();
    if list.is_empty() {
        fields.report("route is empty: there is no destination", "");
    }
    let alone = list.len() == 1;
    let found: Vec<WeightedDestination> = list.iter().filter_map(|reader| one(reader, alone)).collect();
    if found.len() > 1 && found.iter().all(|one| one.weight == 0) {
        fields.report("all weights are 0: no destination would get a connection", "");
    }
    found
}

fn one(reader: &Reader<'_>, alone: bool) -> Option<WeightedDestination> {
    let fields = reader.fields()?;
    let to: Option<Destination> = fields.require("destination").and_then(|one| destination(&one));
    let weight = fields.take("weight").and_then(|weight| weight.number(0, 1_000_000));
    fields.finish(&["destination", "weight"]);
    let weight = weight.and_then(|weight| u32::try_from(weight).ok()).unwrap_or(u32::from(alone));
    let weight = if alone { weight.max(1) } else { weight };
    Some(WeightedDestination { destination: to?, weight, headers: super::HeaderOperations::default() })
}
