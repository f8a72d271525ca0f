//! The names under which people ask for kinds: as written in YAML, in lower case, plural, and short as in kubectl.

/// Kinds with their plural and short names.
const KINDS: &[(&str, &str, &[&str])] = &[
    ("Service", "services", &["svc"]),
    ("ServiceAccount", "serviceaccounts", &["sa"]),
    ("Pod", "pods", &["po"]),
    ("Deployment", "deployments", &["deploy"]),
    ("Namespace", "namespaces", &["ns"]),
    ("Endpoints", "endpoints", &["ep"]),
    ("EndpointSlice", "endpointslices", &[]),
    ("Secret", "secrets", &[]),
    ("WorkloadEntry", "workloadentries", &["we"]),
    ("WorkloadGroup", "workloadgroups", &["wg"]),
    ("ServiceEntry", "serviceentries", &["se"]),
    ("VirtualService", "virtualservices", &["vs"]),
    ("DestinationRule", "destinationrules", &["dr"]),
    ("Gateway", "gateways", &["gw", "gtw"]),
    ("GatewayClass", "gatewayclasses", &["gc"]),
    ("ListenerSet", "listenersets", &["lset"]),
    ("HTTPRoute", "httproutes", &[]),
    ("GRPCRoute", "grpcroutes", &[]),
    ("TLSRoute", "tlsroutes", &[]),
    ("TCPRoute", "tcproutes", &[]),
    ("UDPRoute", "udproutes", &[]),
    ("ReferenceGrant", "referencegrants", &["refgrant"]),
    ("BackendTLSPolicy", "backendtlspolicies", &["btlspolicy"]),
    ("XBackendTrafficPolicy", "xbackendtrafficpolicies", &["xbtrafficpolicy"]),
    ("InferencePool", "inferencepools", &["infpool"]),
    ("PeerAuthentication", "peerauthentications", &["pa"]),
];

/// The kind as YAML spells it, with the group behind it if the person wrote one, as in kubectl's
/// `gateways.gateway.networking.k8s.io`; what is unknown here is left to the control plane to judge.
pub(super) fn canonical(asked: &str) -> String {
    let (plain, group) = asked.split_once('.').map_or((asked, None), |(plain, group)| (plain, Some(group)));
    let plain = plain.to_ascii_lowercase();
    let known = KINDS.iter().find(|(kind, plural, short)| {
        plain == kind.to_ascii_lowercase() || plain == *plural || short.contains(&plain.as_str())
    });
    match (known, group) {
        (None, _) => asked.to_owned(),
        (Some((kind, ..)), None) => (*kind).to_owned(),
        (Some((kind, ..)), Some(group)) => format!("{kind}.{group}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        for asked in ["vs", "VirtualService", "virtualservice", "virtualservices"] {
            assert_eq!(canonical(asked), "VirtualService");
        }
        assert_eq!(canonical("virtualservices.networking.istio.io"), "VirtualService.networking.istio.io");
        assert_eq!(canonical("gtw.gateway.networking.k8s.io"), "Gateway.gateway.networking.k8s.io");
        assert_eq!(canonical("Sidecar"), "Sidecar");
    }
}
