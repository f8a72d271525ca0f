//! What takes the connections to a port: TLS and TCP routes of virtual services, then the port's own cluster.

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::weighted_cluster::ClusterWeight;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::{
    ClusterSpecifier, WeightedCluster,
};
use ipnet::IpNet;
use orrery_api::{Key, L4Match, Object, VirtualService, WeightedDestination};

use super::is_bound;
use crate::build::cluster::outbound_name;
use crate::build::route::{self, Caller, gateway_name, origin};
use crate::names::is_within;
use crate::registry::{Finding, PortProtocol, RegistryService, ServicePortInfo};
use crate::scope::Egress;

/// One filter chain.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chain {
    /// Of its statistics.
    pub(super) prefix: String,
    /// Names that clients ask for; empty: any, also without TLS.
    pub(super) server_names: Vec<String>,
    /// Where connections go; empty: anywhere.
    pub(super) ranges: Vec<IpNet>,
    pub(super) to: ClusterSpecifier,
    /// The virtual service that it is of.
    pub(super) origin: Option<Key>,
}

/// Whether the listener's address tells the service, or only the server name of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    Needed,
    Needless,
}

impl Chain {
    pub(super) fn metadata(&self) -> Option<Metadata> {
        self.origin.as_ref().and_then(origin)
    }
}

/// The chains of a service's port, the first that takes a connection before the next.
pub(super) fn of_port(
    caller: &Caller<'_>,
    egress: &Egress,
    service: &RegistryService,
    port: &ServicePortInfo,
    ranges: &[IpNet],
    names: Names,
) -> Vec<Chain> {
    let routed = virtual_services(caller, egress, service);
    match port.protocol {
        PortProtocol::Tls => tls(caller, &routed, service, port, ranges, names),
        PortProtocol::Http
        | PortProtocol::Http2
        | PortProtocol::Grpc
        | PortProtocol::Tcp
        | PortProtocol::Udp
        | PortProtocol::Auto => tcp(caller, &routed, service, port, ranges),
    }
}

/// All virtual services with a host that is this service's, the oldest first.
fn virtual_services<'a>(
    caller: &Caller<'a>,
    egress: &Egress,
    service: &RegistryService,
) -> Vec<(&'a Object, &'a VirtualService)> {
    let all = &caller.world.index().virtual_services;
    let mut keys: Vec<&Key> = all.exactly(&service.host).chain(all.by_pattern(&service.host)).collect();
    if service.host.starts_with('*') {
        // A virtual service may be for a part of what the service stands for.
        let within = all.all().filter(|(_, hosts)| hosts.iter().any(|host| is_within(host, &service.host)));
        keys.extend(within.map(|(key, _)| key));
    }
    let found = keys.into_iter().filter_map(|key| {
        let (object, one) = caller.world.virtual_service(key)?;
        let l4 = !one.tls.is_empty() || !one.tcp.is_empty();
        (l4 && is_bound(caller, egress, object, one)).then_some((object, one))
    });
    let mut found: Vec<_> = found.collect();
    found.sort_by_key(|(object, _)| (&object.meta.created, &object.key));
    found.dedup_by_key(|(object, _)| &object.key);
    found
}

fn tls(
    caller: &Caller<'_>,
    routed: &[(&Object, &VirtualService)],
    service: &RegistryService,
    port: &ServicePortInfo,
    ranges: &[IpNet],
    names: Names,
) -> Vec<Chain> {
    let mut chains = Vec::new();
    for (object, one) in routed {
        for route in &one.tls {
            for matching in route.matches.iter().filter(|one| applies(caller, object, &one.l4, port.number)) {
                let own = &matching.l4.destination_subnets;
                chains.push(Chain {
                    server_names: server_names(matching.sni_hosts.iter().map(|host| host.value.as_str())),
                    ranges: if own.is_empty() { ranges.to_vec() } else { own.clone() },
                    ..chain(caller, object, &route.route, port.number)
                });
            }
        }
    }
    if chains.is_empty() {
        let by_name = names == Names::Needed || service.finding == Finding::Requested;
        let server_names = if by_name { server_names([service.host.as_str()]) } else { Vec::new() };
        chains.push(Chain { server_names, ..plain(service, port, ranges) });
    }
    chains
}

/// Server names as Envoy has them, where `*` is no name at all.
fn server_names<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<String> {
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    if names.iter().any(|name| name == "*") { Vec::new() } else { names }
}

fn tcp(
    caller: &Caller<'_>,
    routed: &[(&Object, &VirtualService)],
    service: &RegistryService,
    port: &ServicePortInfo,
    ranges: &[IpNet],
) -> Vec<Chain> {
    let mut chains = Vec::new();
    for (object, one) in routed {
        for route in &one.tcp {
            let made = || chain(caller, object, &route.route, port.number);
            let mut matching = route.matches.iter().filter(|one| applies(caller, object, one, port.number));
            if route.matches.is_empty() || matching.clone().any(|one| one.destination_subnets.is_empty()) {
                chains.push(Chain { ranges: ranges.to_vec(), ..made() });
                return chains;
            }
            let subnets: Vec<IpNet> =
                matching.by_ref().flat_map(|one| one.destination_subnets.iter().copied()).collect();
            if !subnets.is_empty() {
                chains.push(Chain { ranges: subnets, ..made() });
            }
        }
    }
    chains.push(plain(service, port, ranges));
    chains
}

/// Whether a match can hold for this caller at all: its gateway, port, labels and namespace.
fn applies(caller: &Caller<'_>, object: &Object, one: &L4Match, port: u16) -> bool {
    let named = |gateway: &str| gateway_name(gateway, &object.key.namespace) == caller.gateway;
    (one.gateways.is_empty() || one.gateways.iter().any(|gateway| named(&gateway.value)))
        && one.port.is_none_or(|wanted| wanted == port)
        && one.source_namespace.as_deref().is_none_or(|namespace| namespace == caller.namespace)
        && one.source_labels.select(caller.labels)
}

/// To the destinations of a route.
fn chain(caller: &Caller<'_>, object: &Object, route: &[WeightedDestination], port: u16) -> Chain {
    let key = &object.key;
    let cluster = |one: &WeightedDestination| route::cluster(caller, object, &one.destination, port);
    let (prefix, to) = match route {
        [only] => (cluster(only), ClusterSpecifier::Cluster(cluster(only))),
        many => {
            let weight = |one: &WeightedDestination| ClusterWeight {
                name: cluster(one),
                weight: one.weight,
                ..Default::default()
            };
            let clusters = many.iter().filter(|one| one.weight > 0).map(weight).collect();
            let split = ClusterSpecifier::WeightedClusters(WeightedCluster { clusters });
            (format!("{}.{}", key.name, key.namespace), split)
        }
    };
    Chain { prefix, server_names: Vec::new(), ranges: Vec::new(), to, origin: Some(key.clone()) }
}

/// To the port's own cluster.
fn plain(service: &RegistryService, port: &ServicePortInfo, ranges: &[IpNet]) -> Chain {
    let cluster = outbound_name(port.number, "", &service.host);
    Chain {
        prefix: cluster.clone(),
        server_names: Vec::new(),
        ranges: ranges.to_vec(),
        to: ClusterSpecifier::Cluster(cluster),
        origin: None,
    }
}
