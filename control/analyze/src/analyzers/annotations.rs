//! Istio's annotations: their names, the kinds that they belong to, and their values.

use crate::code::Code;
use crate::finding::Report;
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::step;

/// Where an annotation may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Anywhere,
    On(&'static [&'static str]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Any,
    Bool,
    Number,
    Port,
    Ports,
    Networks,
    Interception,
    Yaml,
}

struct Annotation {
    name: &'static str,
    place: Place,
    format: Format,
    deprecated: bool,
}

const fn known(name: &'static str, place: Place, format: Format) -> Annotation {
    Annotation { name, place, format, deprecated: false }
}

const fn deprecated(name: &'static str, place: Place) -> Annotation {
    Annotation { name, place, format: Format::Any, deprecated: true }
}

const POD: Place = Place::On(&["Pod"]);
const SERVICE: Place = Place::On(&["Service"]);
const GATEWAY: Place = Place::On(&["Gateway"]);
const WORKLOAD_ENTRY: Place = Place::On(&["WorkloadEntry"]);

/// Istio's reference of resource annotations.
const KNOWN: &[Annotation] = &[
    deprecated("alpha.istio.io/identity", POD),
    known("alpha.istio.io/kubernetes-serviceaccounts", SERVICE, Format::Any),
    known("ambient.istio.io/bypass-inbound-capture", POD, Format::Bool),
    known("ambient.istio.io/dns-capture", POD, Format::Bool),
    known("ambient.istio.io/redirection", POD, Format::Any),
    known("ambient.istio.io/waypoint-inbound-binding", Place::On(&["GatewayClass", "Gateway"]), Format::Any),
    known("galley.istio.io/analyze-suppress", Place::Anywhere, Format::Any),
    known("gateway.istio.io/controller-version", Place::Anywhere, Format::Any),
    known("gateway.istio.io/name-override", GATEWAY, Format::Any),
    known("gateway.istio.io/service-account", GATEWAY, Format::Any),
    known("gateway.istio.io/tls-cipher-suites", GATEWAY, Format::Any),
    known("inject.istio.io/templates", POD, Format::Any),
    known("install.operator.istio.io/chart-owner", Place::Anywhere, Format::Any),
    known("install.operator.istio.io/owner-generation", Place::Anywhere, Format::Any),
    known("install.operator.istio.io/version", Place::Anywhere, Format::Any),
    known("internal.istio.io/parents", Place::Anywhere, Format::Any),
    known("istio.io/autoRegistrationGroup", WORKLOAD_ENTRY, Format::Any),
    known("istio.io/connectedAt", WORKLOAD_ENTRY, Format::Any),
    known("istio.io/disconnectedAt", WORKLOAD_ENTRY, Format::Any),
    known("istio.io/dry-run", Place::On(&["AuthorizationPolicy"]), Format::Bool),
    known("istio.io/reroute-virtual-interfaces", POD, Format::Any),
    known("istio.io/rev", Place::Anywhere, Format::Any),
    known("istio.io/workloadController", WORKLOAD_ENTRY, Format::Any),
    known("kubernetes.io/ingress.class", Place::On(&["Ingress"]), Format::Any),
    known("networking.istio.io/address-type", GATEWAY, Format::Any),
    known("networking.istio.io/exportTo", SERVICE, Format::Any),
    known("networking.istio.io/service-type", GATEWAY, Format::Any),
    known(
        "networking.istio.io/traffic-distribution",
        Place::On(&["Service", "ServiceEntry", "Namespace"]),
        Format::Any,
    ),
    known("prometheus.istio.io/merge-metrics", POD, Format::Bool),
    known("proxy.istio.io/config", POD, Format::Yaml),
    known("proxy.istio.io/overrides", POD, Format::Any),
    known("readiness.status.sidecar.istio.io/applicationPorts", POD, Format::Ports),
    known("readiness.status.sidecar.istio.io/failureThreshold", POD, Format::Number),
    known("readiness.status.sidecar.istio.io/initialDelaySeconds", POD, Format::Number),
    known("readiness.status.sidecar.istio.io/periodSeconds", POD, Format::Number),
    deprecated("security.istio.io/autoMTLS", POD),
    known("sidecar.istio.io/agentLogLevel", POD, Format::Any),
    known("sidecar.istio.io/bootstrapOverride", POD, Format::Any),
    known("sidecar.istio.io/componentLogLevel", POD, Format::Any),
    deprecated("sidecar.istio.io/controlPlaneAuthPolicy", POD),
    deprecated("sidecar.istio.io/discoveryAddress", POD),
    known("sidecar.istio.io/enableCoreDump", POD, Format::Bool),
    known("sidecar.istio.io/extraStatTags", POD, Format::Any),
    known("sidecar.istio.io/inject", POD, Format::Any),
    known("sidecar.istio.io/interceptionMode", POD, Format::Interception),
    known("sidecar.istio.io/logLevel", POD, Format::Any),
    known("sidecar.istio.io/nativeSidecar", POD, Format::Bool),
    known("sidecar.istio.io/proxyCPU", POD, Format::Any),
    known("sidecar.istio.io/proxyCPULimit", POD, Format::Any),
    known("sidecar.istio.io/proxyImage", POD, Format::Any),
    known("sidecar.istio.io/proxyImageType", POD, Format::Any),
    known("sidecar.istio.io/proxyMemory", POD, Format::Any),
    known("sidecar.istio.io/proxyMemoryLimit", POD, Format::Any),
    known("sidecar.istio.io/rewriteAppHTTPProbers", POD, Format::Any),
    known("sidecar.istio.io/statsCompression", POD, Format::Bool),
    known("sidecar.istio.io/statsEvictionInterval", POD, Format::Any),
    known("sidecar.istio.io/statsHistogramBuckets", POD, Format::Any),
    deprecated("sidecar.istio.io/statsInclusionPrefixes", POD),
    deprecated("sidecar.istio.io/statsInclusionRegexps", POD),
    deprecated("sidecar.istio.io/statsInclusionSuffixes", POD),
    known("sidecar.istio.io/status", POD, Format::Any),
    known("sidecar.istio.io/userVolume", POD, Format::Any),
    known("sidecar.istio.io/userVolumeMount", POD, Format::Any),
    known("status.sidecar.istio.io/port", POD, Format::Port),
    known("topology.istio.io/controlPlaneClusters", Place::On(&["Namespace"]), Format::Any),
    known("traffic.istio.io/nodeSelector", SERVICE, Format::Any),
    known("traffic.sidecar.istio.io/excludeInboundPorts", POD, Format::Ports),
    known("traffic.sidecar.istio.io/excludeInterfaces", POD, Format::Any),
    known("traffic.sidecar.istio.io/excludeOutboundIPRanges", POD, Format::Networks),
    known("traffic.sidecar.istio.io/excludeOutboundPorts", POD, Format::Ports),
    known("traffic.sidecar.istio.io/includeInboundPorts", POD, Format::Ports),
    known("traffic.sidecar.istio.io/includeOutboundIPRanges", POD, Format::Networks),
    known("traffic.sidecar.istio.io/includeOutboundPorts", POD, Format::Ports),
    known("traffic.sidecar.istio.io/kubevirtInterfaces", POD, Format::Any),
];

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    for kind in ["Namespace", "Service", "Pod", "Deployment"] {
        for resource in snapshot.all(kind) {
            for (name, value) in &resource.annotations {
                check_annotation(resource, name, value, report);
            }
        }
    }
}

fn check_annotation(resource: &Resource, name: &str, value: &str, report: &mut Report) {
    let pointer = format!("/metadata/annotations/{}", step(name));
    let Some(known) = KNOWN.iter().find(|known| known.name == name) else {
        if is_istio(name) {
            report.add(Code::UnknownAnnotation, resource, &pointer, format!("there is no annotation {name}"));
        }
        return;
    };
    if known.deprecated {
        report.add(Code::DeprecatedAnnotation, resource, &pointer, format!("the annotation {name} is deprecated"));
    }
    let misplaced = match known.place {
        Place::Anywhere => None,
        Place::On(kinds) => Some(kinds).filter(|kinds| !kinds.contains(&resource.kind.as_str())),
    };
    if let Some(kinds) = misplaced {
        report.add(
            Code::MisplacedAnnotation,
            resource,
            &pointer,
            format!("the annotation {name} belongs on a {}", kinds.join(" or ")),
        );
    } else if let Some(expected) = known.format.complaint(value) {
        report.add(Code::InvalidAnnotation, resource, &pointer, format!("{name} is {value:?}; it must be {expected}"));
    }
}

/// Annotations that Istio calls its own by their domain.
fn is_istio(name: &str) -> bool {
    let domain = name.split_once('/').map_or("", |(domain, _)| domain);
    domain == "istio.io" || domain.ends_with(".istio.io")
}

impl Format {
    /// What the value should be, if it is not.
    fn complaint(self, value: &str) -> Option<&'static str> {
        let is_port = |text: &str| text.trim().parse::<u16>().is_ok();
        let (fine, expected) = match self {
            Self::Any => (true, ""),
            Self::Bool => (matches!(value, "true" | "false"), "true or false"),
            Self::Number => (value.parse::<u32>().is_ok(), "a number"),
            Self::Port => (is_port(value), "a port number"),
            Self::Ports => (
                value == "*" || value.is_empty() || value.split(',').all(is_port),
                "port numbers separated by commas, or *",
            ),
            Self::Networks => (
                value == "*" || value.is_empty() || value.split(',').all(is_network),
                "networks as 10.0.0.0/8 separated by commas, or *",
            ),
            Self::Interception => (matches!(value, "REDIRECT" | "TPROXY" | "NONE"), "REDIRECT, TPROXY or NONE"),
            Self::Yaml => (orrery_api::documents(value).is_ok(), "YAML of a ProxyConfig"),
        };
        (!fine).then_some(expected)
    }
}

fn is_network(text: &str) -> bool {
    let Some((address, bits)) = text.trim().split_once('/') else { return false };
    let longest = match address.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(_)) => 32,
        Ok(std::net::IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= longest)
}
