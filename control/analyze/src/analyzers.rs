//! The analyzers: each a function over everything, named as Istio names it.

use crate::finding::Report;
use crate::snapshot::Snapshot;

mod annotations;
mod authentication;
mod authorization;
mod conditions;
mod deployment;
mod deprecation;
mod destination_rule;
mod envoy_filter;
mod external_control_plane;
mod gateway;
mod gateway_api;
mod gateway_certificate;
mod image;
mod multicluster;
mod namespace;
mod networks;
mod proxy_config;
mod schema;
mod selectors;
mod service;
mod service_entry;
mod telemetry;
mod virtual_service;
mod virtual_service_conflicts;
mod virtual_service_gateways;
mod virtual_service_matches;
mod webhook;

/// A rule over all resources.
#[derive(Clone, Copy, Debug)]
pub struct Analyzer {
    /// Istio's name of it, as `gateway.SecretAnalyzer`.
    pub name: &'static str,
    /// In one line.
    pub description: &'static str,
    pub(crate) run: fn(&Snapshot, &mut Report),
}

/// The analyzer of a name, also of those that are not run unless they are asked for.
pub fn find(name: &str) -> Option<Analyzer> {
    ALL.iter().chain(ON_DEMAND).copied().find(|analyzer| analyzer.name == name)
}

const fn analyzer(name: &'static str, description: &'static str, run: fn(&Snapshot, &mut Report)) -> Analyzer {
    Analyzer { name, description, run }
}

/// Those that would tell of too much to be run always.
pub const ON_DEMAND: &[Analyzer] =
    &[analyzer("maturity.AlphaAnalyzer", "annotations that are alpha", annotations::check_stage)];

/// Those that are run.
pub const ALL: &[Analyzer] = &[
    analyzer("annotations.K8sAnalyzer", "names, places and values of Istio's annotations", annotations::check),
    analyzer("authn.BlockedCIDRsAnalyzer", "JWKS are fetched from where nobody forbids it", authentication::check),
    analyzer("authz.AuthorizationPoliciesAnalyzer", "policies without workloads or namespaces", authorization::check),
    analyzer("conditions.ConditionAnalyzer", "negative conditions in status", conditions::check),
    analyzer(
        "deployment.ApplicationUIDAnalyzer",
        "applications that run as the sidecar's user",
        deployment::check_user,
    ),
    analyzer(
        "deployment.ServiceAssociationAnalyzer",
        "services that disagree on a deployment",
        deployment::check_services,
    ),
    analyzer("deprecation.FieldAnalyzer", "deprecated fields", deprecation::check),
    analyzer(
        "destinationrule.CaCertificateAnalyzer",
        "TLS that verifies nothing",
        destination_rule::check_certificates,
    ),
    analyzer("destinationrule.PodNotSelectedAnalyzer", "subsets without pods", destination_rule::check_subsets),
    analyzer("envoyfilter.EnvoyPatchAnalyzer", "operations that do not fit or depend on order", envoy_filter::check),
    analyzer(
        "externalcontrolplane.ExternalControlPlaneAnalyzer",
        "webhooks without a usable URL",
        external_control_plane::check,
    ),
    analyzer(
        "gateway.CertificateAnalyzer",
        "one certificate on several gateways",
        gateway_certificate::check_duplicates,
    ),
    analyzer(
        "gateway.ConflictingGatewayAnalyzer",
        "gateways that claim the same host and port",
        gateway::check_conflicts,
    ),
    analyzer(
        "gateway.IngressGatewayPortAnalyzer",
        "gateways without workload, ports without service",
        gateway::check_ports,
    ),
    analyzer("gateway.SecretAnalyzer", "credentials that are missing or invalid", gateway_certificate::check_secrets),
    analyzer("injection.Analyzer", "namespaces and pods without injection", namespace::check),
    analyzer("injection.ImageAnalyzer", "pods with an old proxy", image::check_versions),
    analyzer("injection.ImageAutoAnalyzer", "image auto where nothing is injected", image::check_auto),
    analyzer("k8sgateway.CRDVersionAnalyzer", "CRDs of the Gateway API that are too old", gateway_api::check_versions),
    analyzer(
        "k8sgateway.SelectorAnalyzer",
        "policies that select a gateway of the Gateway API",
        gateway_api::check_selectors,
    ),
    analyzer("multicluster.MeshNetworksAnalyzer", "networks of registries that nobody knows", networks::check),
    analyzer("multicluster.ServiceAnalyzer", "services that differ from cluster to cluster", multicluster::check),
    analyzer(
        "schema.ValidationAnalyzer.VirtualService",
        "rules and matches that nothing reaches",
        virtual_service_matches::check,
    ),
    analyzer("schema.ValidationAnalyzer", "fields that the definition of the kind does not allow", schema::check),
    analyzer("service.PortNameAnalyzer", "ports whose name tells no protocol", service::check),
    analyzer(
        "serviceentry.ConflictingServiceEntryProtocolAnalyzer",
        "ports with several protocols",
        service_entry::check_protocols,
    ),
    analyzer("serviceentry.ProtocolAddressesAnalyzer", "TCP without addresses", service_entry::check_addresses),
    analyzer(
        "sidecar.SelectorAnalyzer",
        "several Sidecars for a workload or a namespace, or no workload",
        selectors::check_sidecars,
    ),
    analyzer(
        "telemetry.DefaultSelectorAnalyzer",
        "several Telemetries for a namespace",
        selectors::check_default_telemetries,
    ),
    analyzer("telemetry.LightstepAnalyzer", "the deprecated provider Lightstep", telemetry::check_lightstep),
    analyzer("telemetry.ProviderAnalyzer", "signals without a provider", telemetry::check_providers),
    analyzer(
        "telemetry.SelectorAnalyzer",
        "several Telemetries for a workload, or no workload",
        selectors::check_telemetries,
    ),
    analyzer(
        "virtualservice.ConflictingMeshGatewayHostsAnalyzer",
        "several VirtualServices for a host",
        virtual_service_conflicts::check,
    ),
    analyzer("virtualservice.DestinationHostAnalyzer", "destinations that nobody knows", virtual_service::check_hosts),
    analyzer("virtualservice.DestinationRuleAnalyzer", "subsets that nobody declares", virtual_service::check_subsets),
    analyzer(
        "virtualservice.GatewayAnalyzer",
        "gateways that are missing or lack the host",
        virtual_service_gateways::check,
    ),
    analyzer(
        "virtualservice.JWTClaimRouteAnalyzer",
        "claims that nobody verifies",
        virtual_service_gateways::check_claims,
    ),
    analyzer("webhook.Analyzer", "webhooks that overlap or lead nowhere", webhook::check),
];

#[cfg(test)]
mod tests;
