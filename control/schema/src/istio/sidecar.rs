//! `networking.istio.io` Sidecar.

use super::common::{DESTINATION, WORKLOAD_SELECTOR};
use crate::rules::is_port;
use crate::shape::{COUNT, NAME, Object, Shape, TEXT, field, list, object, required, rule, ruled, some};

pub(super) const SPEC: Object = object(&[
    field("workloadSelector", Shape::Object(&WORKLOAD_SELECTOR)),
    field("ingress", list(&Shape::Object(&INGRESS))),
    field("egress", list(&Shape::Object(&EGRESS))),
    // The pool is a DestinationRule's, and checked where it takes effect.
    field("inboundConnectionPool", Shape::Any),
    field("outboundTrafficPolicy", Shape::Object(&OUTBOUND)),
]);

const SIDECAR_PORT: Object = ruled(
    &[field("number", COUNT), field("protocol", TEXT), field("name", TEXT), field("targetPort", COUNT)],
    &[rule("port must be between 1-65535", |value| is_port(value, "number"))],
);

const CAPTURE: Shape = Shape::Word(&["DEFAULT", "IPTABLES", "NONE"]);

const INGRESS: Object = object(&[
    required("port", Shape::Object(&SIDECAR_PORT)),
    field("bind", TEXT),
    field("captureMode", CAPTURE),
    field("defaultEndpoint", TEXT),
    // Settings of a Gateway's server.
    field("tls", Shape::Any),
    field("connectionPool", Shape::Any),
]);

const EGRESS: Object = object(&[
    field("port", Shape::Object(&SIDECAR_PORT)),
    field("bind", TEXT),
    field("captureMode", CAPTURE),
    required("hosts", some(&NAME)),
]);

const OUTBOUND: Object = object(&[
    field("mode", Shape::Word(&["REGISTRY_ONLY", "ALLOW_ANY"])),
    field("egressProxy", Shape::Object(&DESTINATION)),
]);
