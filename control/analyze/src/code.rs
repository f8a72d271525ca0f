//! Istio's analysis codes: number, name, level, and what each means and asks for.

use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    Info,
    Warning,
    Error,
}

impl Level {
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Error];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "Info",
            Self::Warning => "Warning",
            Self::Error => "Error",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Declares the codes: `Name = number, Level, "what to do"`.
macro_rules! codes {
    ($($name:ident = $number:literal, $level:ident, $fix:literal;)*) => {
        /// What is wrong; see Istio's reference of configuration analysis messages.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $($name,)*
        }

        impl Code {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Istio's name of the message.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// Such as `IST0101`.
            pub fn number(self) -> &'static str {
                match self { $(Self::$name => concat!("IST", $number),)* }
            }

            pub fn level(self) -> Level {
                match self { $(Self::$name => Level::$level,)* }
            }

            /// What to do about it.
            pub fn fix(self) -> &'static str {
                match self { $(Self::$name => $fix,)* }
            }
        }
    };
}

codes! {
    InternalError = "0001", Error, "report this as a bug of the analysis";
    Deprecated = "0002", Warning, "use what takes the place of the deprecated field or feature";
    ReferencedResourceNotFound = "0101", Error, "create what is referred to, or correct the reference";
    NamespaceNotInjected = "0102", Info, "label the namespace istio-injection=enabled, or =disabled if that is meant";
    PodMissingProxy = "0103", Warning, "restart the pod so that the sidecar is injected";
    SchemaValidationError = "0106", Error, "correct the field; the resource is refused as it is";
    MisplacedAnnotation = "0107", Warning, "move the annotation to a resource of a kind that it belongs to";
    UnknownAnnotation = "0108", Warning, "correct the annotation's name or remove it";
    ConflictingMeshGatewayVirtualServiceHosts = "0109", Error,
        "merge the VirtualServices, or narrow their hosts or exportTo";
    ConflictingSidecarWorkloadSelectors = "0110", Error, "let at most one Sidecar select each workload";
    MultipleSidecarsWithoutWorkloadSelectors = "0111", Error, "keep one Sidecar without a selector per namespace";
    VirtualServiceDestinationPortSelectorRequired = "0112", Error, "name the destination's port";
    DeploymentAssociatedToMultipleServices = "0116", Warning,
        "give the port the same protocol in all services that select the deployment";
    PortNameIsNotUnderNamingConvention = "0118", Info, "name the port <protocol>[-<suffix>] or set appProtocol";
    NamespaceMultipleInjectionLabels = "0123", Warning, "keep one of the namespace's injection labels";
    InvalidAnnotation = "0125", Warning, "correct the annotation's value";
    UnknownMeshNetworksServiceRegistry = "0126", Error, "name a registry (cluster) that exists";
    NoMatchingWorkloadsFound = "0127", Warning, "correct the selector, or remove the policy";
    NoServerCertificateVerificationDestinationLevel = "0128", Warning,
        "set trafficPolicy.tls.caCertificates, without which the server's certificate is not verified";
    NoServerCertificateVerificationPortLevel = "0129", Warning,
        "set the port's tls.caCertificates, without which the server's certificate is not verified";
    VirtualServiceUnreachableRule = "0130", Warning, "remove the rule, or place it before the one that takes its requests";
    VirtualServiceIneffectiveMatch = "0131", Info, "remove the match, or place it before the one that takes its requests";
    VirtualServiceHostNotFoundInGateway = "0132", Warning, "add the host to the Gateway or correct it";
    SchemaWarning = "0133", Warning, "correct the field";
    ServiceEntryAddressesRequired = "0134", Warning,
        "set addresses or a protocol other than TCP, or enable allocation of addresses by DNS";
    DeprecatedAnnotation = "0135", Info, "use what takes the annotation's place";
    AlphaAnnotation = "0136", Info, "expect the annotation to change";
    DeploymentConflictingPorts = "0137", Warning, "let services share the port, or give each its own target port";
    GatewayDuplicateCertificate = "0138", Warning,
        "use one Gateway for the certificate's hosts: clients that reuse connections get 404 otherwise";
    InvalidWebhook = "0139", Error, "correct the webhook, or reinstall the control plane";
    IngressRouteRulesNotAffected = "0140", Warning, "bind the VirtualService to the gateway too";
    InsufficientPermissions = "0141", Error, "grant the permission that is missing";
    UnsupportedKubernetesVersion = "0142", Error, "upgrade Kubernetes";
    LocalhostListener = "0143", Error, "let the application listen on the pod's address or on all addresses";
    InvalidApplicationUID = "0144", Warning, "run the application as another user: 1337 is the sidecar's";
    ConflictingGateways = "0145", Error, "give the Gateways different hosts, ports or selectors";
    ImageAutoWithoutInjectionWarning = "0146", Warning, "enable injection for the deployment's pods";
    ImageAutoWithoutInjectionError = "0147", Error, "recreate the pod where injection is enabled";
    NamespaceInjectionEnabledByDefault = "0148", Info, "label the namespace istio-injection=disabled if it shall not be injected";
    JwtClaimBasedRoutingWithoutRequestAuthN = "0149", Error, "add a RequestAuthentication for the gateway's pods";
    ExternalNameServiceTypeInvalidPortName = "0150", Warning,
        "name the port by a protocol other than plain tcp: a TCP listener would take all traffic of its port";
    EnvoyFilterUsesRelativeOperation = "0151", Warning, "set a priority, or use INSERT_FIRST or ADD";
    EnvoyFilterUsesReplaceOperationIncorrectly = "0152", Error, "use REPLACE with HTTP_FILTER or NETWORK_FILTER only";
    EnvoyFilterUsesAddOperationIncorrectly = "0153", Error, "ADD is ignored for ROUTE_CONFIGURATION and HTTP_ROUTE";
    EnvoyFilterUsesRemoveOperationIncorrectly = "0154", Error, "REMOVE is ignored for ROUTE_CONFIGURATION and HTTP_ROUTE";
    EnvoyFilterUsesRelativeOperationWithProxyVersion = "0155", Warning,
        "set a priority, or use INSERT_FIRST or ADD: the order may change when the proxy is upgraded";
    UnsupportedGatewayAPIVersion = "0156", Error, "install a supported version of the Gateway API's CRDs";
    InvalidTelemetryProvider = "0157", Warning, "name a provider, or set defaultProviders in the mesh configuration";
    PodsIstioProxyImageMismatchInNamespace = "0158", Warning, "restart the pods so that they get the current proxy";
    ConflictingTelemetryWorkloadSelectors = "0159", Error, "let at most one Telemetry select each workload";
    MultipleTelemetriesWithoutWorkloadSelectors = "0160", Error, "keep one Telemetry without a selector per namespace";
    InvalidGatewayCredential = "0161", Error, "put a PEM certificate and its key into the secret";
    GatewayPortNotDefinedOnService = "0162", Warning,
        "add the port to the gateway's Service as a target port, or correct the Gateway's port";
    InvalidExternalControlPlaneConfig = "0163", Warning, "set the webhook's URL to the control plane's address";
    ExternalControlPlaneAddressIsNotAHostname = "0164", Info, "use a host name: an address cannot be verified by most certificates";
    ReferencedInternalGateway = "0165", Warning, "use a HTTPRoute for a Gateway of the Gateway API";
    IneffectiveSelector = "0166", Warning, "use targetRefs for gateways of the Gateway API";
    IneffectivePolicy = "0167", Warning, "attach the policy to something that the data plane enforces it on";
    UnknownUpgradeCompatibility = "0168", Warning, "compare the release notes";
    UpdateIncompatibility = "0169", Warning, "read the release note that is named";
    MultiClusterInconsistentService = "0170", Warning, "give the service the same shape in all clusters";
    NegativeConditionStatus = "0171", Warning, "mend what the condition's message says";
    FutureUnsupportedGatewayAPIVersion = "0172", Warning, "plan an upgrade of the Gateway API's CRDs";
    DestinationRuleSubsetNotSelectPods = "0173", Error, "correct the subset's labels, or remove it";
    UnknownDestinationRuleHost = "0174", Warning, "correct the host, or remove the rule";
    JwksUriFetchUnrestricted = "0175", Warning, "set BLOCKED_CIDRS_IN_JWKS_URIS on the control plane";
    GatewayAPICRDVersionBelowMinimum = "0176", Warning, "upgrade the CRD, without which the kind is ignored";
    ConflictingServiceEntryProtocol = "0177", Warning, "give the port one protocol in all ServiceEntries of the host";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.number())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_are_unique_and_in_order() {
        let numbers: Vec<&str> = Code::ALL.iter().map(|code| code.number()).collect();
        assert_eq!(numbers.len(), 68);
        assert!(numbers.is_sorted());
        assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len());
    }
}
