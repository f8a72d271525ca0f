//! Istio's reference of resource annotations: names, places, and how settled each is.

use super::format::Format;

/// Where an annotation may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Anywhere,
    On(&'static [&'static str]),
}

/// How settled an annotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Alpha,
    Beta,
    Stable,
}

pub(super) struct Annotation {
    pub(super) name: &'static str,
    pub(super) place: Place,
    pub(super) format: Format,
    pub(super) stage: Stage,
    pub(super) deprecated: bool,
}

impl Annotation {
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        KNOWN.iter().find(|known| known.name == name)
    }

    const fn deprecated(self) -> Self {
        Self { deprecated: true, ..self }
    }
}

const fn alpha(name: &'static str, place: Place, format: Format) -> Annotation {
    Annotation { name, place, format, stage: Stage::Alpha, deprecated: false }
}

const fn beta(name: &'static str, place: Place, format: Format) -> Annotation {
    Annotation { name, place, format, stage: Stage::Beta, deprecated: false }
}

const fn stable(name: &'static str, place: Place, format: Format) -> Annotation {
    Annotation { name, place, format, stage: Stage::Stable, deprecated: false }
}

const POD: Place = Place::On(&["Pod"]);
const SERVICE: Place = Place::On(&["Service"]);
const GATEWAY: Place = Place::On(&["Gateway"]);
const WORKLOAD_ENTRY: Place = Place::On(&["WorkloadEntry"]);

const KNOWN: &[Annotation] = &[
    alpha("alpha.istio.io/canonical-serviceaccounts", SERVICE, Format::Any).deprecated(),
    alpha("alpha.istio.io/kubernetes-serviceaccounts", SERVICE, Format::Any).deprecated(),
    alpha("ambient.istio.io/bypass-inbound-capture", POD, Format::Any),
    alpha("ambient.istio.io/dns-capture", POD, Format::Any),
    beta("ambient.istio.io/redirection", POD, Format::Any),
    alpha("ambient.istio.io/waypoint-inbound-binding", Place::On(&["GatewayClass", "Gateway"]), Format::Any),
    alpha("galley.istio.io/analyze-suppress", Place::Anywhere, Format::Any),
    alpha("gateway.istio.io/controller-version", Place::Anywhere, Format::Any),
    alpha("gateway.istio.io/name-override", GATEWAY, Format::Any),
    alpha("gateway.istio.io/service-account", GATEWAY, Format::Any),
    alpha("inject.istio.io/templates", POD, Format::Any),
    alpha("istio.io/autoRegistrationGroup", WORKLOAD_ENTRY, Format::Any),
    alpha("istio.io/connectedAt", WORKLOAD_ENTRY, Format::Any),
    alpha("istio.io/disconnectedAt", WORKLOAD_ENTRY, Format::Any),
    alpha("istio.io/dry-run", Place::On(&["AuthorizationPolicy"]), Format::Any),
    alpha("istio.io/reroute-virtual-interfaces", POD, Format::Interfaces),
    alpha("istio.io/rev", POD, Format::Any),
    alpha("istio.io/use-waypoint-canary-weight", Place::On(&["Service", "ServiceEntry", "Namespace"]), Format::Any),
    alpha("istio.io/workloadController", WORKLOAD_ENTRY, Format::Any),
    stable("kubernetes.io/ingress.class", Place::On(&["Ingress"]), Format::Any),
    alpha("networking.istio.io/exportTo", SERVICE, Format::Any),
    alpha("networking.istio.io/service-type", GATEWAY, Format::Any),
    alpha(
        "networking.istio.io/traffic-distribution",
        Place::On(&["Namespace", "Service", "ServiceEntry"]),
        Format::Any,
    ),
    alpha("prometheus.istio.io/merge-metrics", POD, Format::Bool),
    beta("proxy.istio.io/config", POD, Format::ProxyConfig),
    alpha("proxy.istio.io/overrides", POD, Format::Any),
    alpha("readiness.status.sidecar.istio.io/applicationPorts", POD, Format::Any),
    alpha("readiness.status.sidecar.istio.io/failureThreshold", POD, Format::Number),
    alpha("readiness.status.sidecar.istio.io/initialDelaySeconds", POD, Format::Number),
    alpha("readiness.status.sidecar.istio.io/periodSeconds", POD, Format::Number),
    alpha("sidecar.istio.io/agentLogLevel", POD, Format::Any),
    alpha("sidecar.istio.io/bootstrapOverride", POD, Format::Any),
    alpha("sidecar.istio.io/componentLogLevel", POD, Format::Any),
    alpha("sidecar.istio.io/discoveryAddress", POD, Format::Any).deprecated(),
    alpha("sidecar.istio.io/extraStatTags", POD, Format::Any).deprecated(),
    beta("sidecar.istio.io/inject", POD, Format::Any).deprecated(),
    alpha("sidecar.istio.io/interceptionMode", POD, Format::Interception),
    alpha("sidecar.istio.io/logLevel", POD, Format::Any),
    alpha("sidecar.istio.io/nativeSidecar", POD, Format::Any),
    alpha("sidecar.istio.io/proxyCPU", POD, Format::Quantity),
    alpha("sidecar.istio.io/proxyCPULimit", POD, Format::Quantity),
    alpha("sidecar.istio.io/proxyImage", POD, Format::Any),
    alpha("sidecar.istio.io/proxyImageType", POD, Format::Any),
    alpha("sidecar.istio.io/proxyMemory", POD, Format::Quantity),
    alpha("sidecar.istio.io/proxyMemoryLimit", POD, Format::Quantity),
    alpha("sidecar.istio.io/rewriteAppHTTPProbers", POD, Format::Any),
    alpha("sidecar.istio.io/statsCompression", POD, Format::Any).deprecated(),
    alpha("sidecar.istio.io/statsEvictionInterval", POD, Format::Any),
    alpha("sidecar.istio.io/statsFlushInterval", POD, Format::Any),
    alpha("sidecar.istio.io/statsHistogramBins", POD, Format::Any),
    alpha("sidecar.istio.io/statsHistogramBuckets", POD, Format::Any),
    alpha("sidecar.istio.io/statsInclusionPrefixes", POD, Format::Any).deprecated(),
    alpha("sidecar.istio.io/statsInclusionRegexps", POD, Format::Any).deprecated(),
    alpha("sidecar.istio.io/statsInclusionSuffixes", POD, Format::Any).deprecated(),
    alpha("sidecar.istio.io/status", POD, Format::Any),
    alpha("sidecar.istio.io/userVolume", POD, Format::Any),
    alpha("sidecar.istio.io/userVolumeMount", POD, Format::Any),
    alpha("status.sidecar.istio.io/port", POD, Format::Port),
    alpha("topology.istio.io/controlPlaneClusters", Place::On(&["Namespace"]), Format::Any),
    stable("traffic.istio.io/nodeSelector", SERVICE, Format::Any),
    alpha("traffic.sidecar.istio.io/excludeInboundPorts", POD, Format::ListedPorts),
    alpha("traffic.sidecar.istio.io/excludeInterfaces", POD, Format::Interfaces),
    alpha("traffic.sidecar.istio.io/excludeOutboundIPRanges", POD, Format::ListedNetworks),
    alpha("traffic.sidecar.istio.io/excludeOutboundPorts", POD, Format::ListedPorts),
    alpha("traffic.sidecar.istio.io/includeInboundPorts", POD, Format::Ports),
    alpha("traffic.sidecar.istio.io/includeOutboundIPRanges", POD, Format::Networks),
    alpha("traffic.sidecar.istio.io/includeOutboundPorts", POD, Format::Any),
    alpha("traffic.sidecar.istio.io/kubevirtInterfaces", POD, Format::Interfaces).deprecated(),
];
