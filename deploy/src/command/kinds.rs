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
    ("Gateway", "gateways", &["gw"]),
    ("PeerAuthentication", "peerauthentications", &["pa"]),
];

/// The kind as YAML spells it; what is unknown here is left to the control plane to judge.
pub(super) fn canonical(asked: &str) -> String {
    // kubectl also takes `virtualservices.networking.istio.io`.
    let plain = asked.split('.').next().unwrap_or(asked).to_ascii_lowercase();
    let known = KINDS.iter().find(|(kind, plural, short)| {
        plain == kind.to_ascii_lowercase() || plain == *plural || short.contains(&plain.as_str())
    });
    known.map_or_else(|| asked.to_owned(), |(kind, ..)| (*kind).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        for asked in
            ["vs", "VirtualService", "virtualservice", "virtualservices", "virtualservices.networking.istio.io"]
        {
            assert_eq!(canonical(asked), "VirtualService");
        }
        assert_eq!(canonical("Sidecar"), "Sidecar");
    }
}
