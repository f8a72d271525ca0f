//! The endpoints of a cluster, by locality.

use envoy_types::pb::envoy::config::core::v3::{Address, Locality, Metadata};
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::endpoint::v3::{ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints};
use orrery_api::{Labels, MtlsMode, TrafficPolicy};

use super::Target;
use super::locality::{self, Group};
use crate::build::value::{address, fields, metadata, number, text};
use crate::policy::mtls_mode;
use crate::registry::{EndpointAddress, ServiceEndpoint};

impl Target<'_> {
    pub(super) fn assignment(
        &self,
        name: &str,
        endpoints: &[&ServiceEndpoint],
        policy: &TrafficPolicy,
    ) -> ClusterLoadAssignment {
        let mut groups = grouped(endpoints);
        if let Some(setting) = locality::of(policy, self.defaults()) {
            let labels: Vec<&Labels> = endpoints.iter().map(|endpoint| &endpoint.labels).collect();
            groups = setting.apply(groups, self.caller, &labels);
        }
        let endpoints = groups.into_iter().map(|group| LocalityLbEndpoints {
            locality: locality_of(&group.place),
            load_balancing_weight: number(group.weight),
            priority: group.priority,
            lb_endpoints: group.members.iter().filter_map(|at| self.endpoint(endpoints.get(*at)?)).collect(),
            ..Default::default()
        });
        ClusterLoadAssignment { cluster_name: name.to_owned(), endpoints: endpoints.collect(), ..Default::default() }
    }

    fn endpoint(&self, endpoint: &ServiceEndpoint) -> Option<LbEndpoint> {
        let port = *endpoint.ports.get(&self.port.number)?;
        let to = match &endpoint.address {
            EndpointAddress::Ip(ip) => address(&ip.to_string(), port),
            EndpointAddress::Name(host) => address(host, port),
        };
        Some(lb_endpoint(to, self.endpoint_metadata(endpoint, port), endpoint.weight))
    }

    fn endpoint_metadata(&self, endpoint: &ServiceEndpoint, port: u16) -> Option<Metadata> {
        let disabled = mtls_mode(self.world, &endpoint.namespace, &endpoint.labels, port) == MtlsMode::Disable;
        let tls = if endpoint.in_mesh && !disabled { vec![("tlsMode", text("istio"))] } else { Vec::new() };
        let workload = format!(
            "{};{};{};{};{}",
            endpoint.workload,
            endpoint.namespace,
            endpoint.canonical_name(),
            endpoint.canonical_revision(),
            self.world.settings().cluster_id
        );
        metadata(vec![
            ("envoy.transport_socket_match", fields(tls)),
            ("istio", fields(vec![("workload", text(&workload))])),
        ])
    }
}

/// By locality, in the order of their first endpoints; weights are the sums of those of the endpoints.
fn grouped(endpoints: &[&ServiceEndpoint]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (at, endpoint) in endpoints.iter().enumerate() {
        match groups.iter_mut().find(|group| group.place == endpoint.locality) {
            Some(group) => {
                group.members.push(at);
                group.weight = group.weight.saturating_add(endpoint.weight);
            }
            None => groups.push(Group {
                place: endpoint.locality.clone(),
                members: vec![at],
                weight: endpoint.weight,
                priority: 0,
            }),
        }
    }
    groups
}

pub(super) fn lb_endpoint(to: Option<Address>, metadata: Option<Metadata>, weight: u32) -> LbEndpoint {
    LbEndpoint {
        host_identifier: Some(HostIdentifier::Endpoint(Endpoint { address: to, ..Default::default() })),
        metadata,
        load_balancing_weight: number(weight),
        ..Default::default()
    }
}

fn locality_of(place: &str) -> Option<Locality> {
    let mut parts = place.split('/').map(str::to_owned);
    let region = parts.next().filter(|region| !region.is_empty())?;
    Some(Locality { region, zone: parts.next().unwrap_or_default(), sub_zone: parts.next().unwrap_or_default() })
}
