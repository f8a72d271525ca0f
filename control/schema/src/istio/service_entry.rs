//! `networking.istio.io` ServiceEntry, WorkloadEntry and WorkloadGroup.

use serde_json::Value;

use super::common::WORKLOAD_SELECTOR;
use crate::rules::{differ, has, is_cidr, is_port, items, text, texts};
use crate::shape::{
    COUNT, LABELS, NAME, Object, SIGNED, Shape, TEXT, TEXTS, field, list, map, object, required, rule, ruled, some,
    unique_list,
};

pub(super) const SERVICE_ENTRY: Object = ruled(
    &[
        required("hosts", some(&NAME)),
        field("addresses", TEXTS),
        field("ports", unique_list(&Shape::Object(&SERVICE_PORT), "name")),
        field("location", Shape::Word(&["MESH_EXTERNAL", "MESH_INTERNAL"])),
        field("resolution", Shape::Word(&["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"])),
        field("endpoints", list(&Shape::Object(&WORKLOAD_ENTRY))),
        field("workloadSelector", Shape::Object(&WORKLOAD_SELECTOR)),
        field("exportTo", TEXTS),
        field("subjectAltNames", TEXTS),
    ],
    &[
        rule("only one of WorkloadSelector or Endpoints can be set", |value| {
            !(has(value, "workloadSelector") && has(value, "endpoints"))
        }),
        rule("hostname cannot be wildcard", |value| texts(value, "hosts").all(|host| host != "*")),
        rule("CIDR addresses are allowed only for NONE/STATIC resolution types", |value| {
            matches!(text(value, "resolution"), "" | "NONE" | "STATIC")
                || !texts(value, "addresses").any(|address| address.contains('/'))
        }),
        rule("addresses must be IP addresses or CIDR ranges", |value| {
            texts(value, "addresses").all(|address| address.parse::<std::net::IpAddr>().is_ok() || is_cidr(address))
        }),
        rule("port number cannot be duplicated", |value| differ(value, "ports", "number")),
        rule("NONE mode cannot set endpoints", |value| {
            !matches!(text(value, "resolution"), "" | "NONE")
                || items(value, "endpoints").is_empty()
                || has(value, "workloadSelector")
        }),
        rule("DNS_ROUND_ROBIN mode cannot have multiple endpoints", |value| {
            text(value, "resolution") != "DNS_ROUND_ROBIN" || items(value, "endpoints").len() < 2
        }),
    ],
);

const SERVICE_PORT: Object = ruled(
    &[required("number", COUNT), field("protocol", TEXT), required("name", NAME), field("targetPort", COUNT)],
    &[rule("port must be between 1-65535", |value| is_port(value, "number") && is_port(value, "targetPort"))],
);

pub(super) const WORKLOAD_ENTRY: Object = ruled(
    &[
        field("address", TEXT),
        field("ports", map(&COUNT)),
        field("labels", LABELS),
        field("network", TEXT),
        field("locality", TEXT),
        field("weight", COUNT),
        field("serviceAccount", TEXT),
    ],
    &[
        rule("Address is required", |value| has(value, "address") || has(value, "network")),
        rule("UDS must be an absolute path or abstract socket", |value| {
            text(value, "address").strip_prefix("unix://").is_none_or(|path| path.starts_with(['/', '@']))
        }),
        rule("UDS may not include ports", |value| {
            !text(value, "address").starts_with("unix://") || !has(value, "ports")
        }),
        rule("port must be between 1-65535", |value| {
            let ports = value.get("ports").and_then(Value::as_object);
            ports.is_none_or(|ports| ports.keys().all(|name| is_port(&value["ports"], name)))
        }),
    ],
);

pub(super) const WORKLOAD_GROUP: Object = object(&[
    field("metadata", Shape::Object(&METADATA)),
    required("template", Shape::Object(&TEMPLATE)),
    field("probe", Shape::Object(&PROBE)),
]);

const METADATA: Object = object(&[field("labels", LABELS), field("annotations", LABELS)]);

/// A WorkloadEntry whose address comes with the workload.
const TEMPLATE: Object = object(&[
    field("address", TEXT),
    field("ports", map(&COUNT)),
    field("labels", LABELS),
    field("network", TEXT),
    field("locality", TEXT),
    field("weight", COUNT),
    field("serviceAccount", TEXT),
]);

const PROBE: Object = object(&[
    field("initialDelaySeconds", SIGNED),
    field("timeoutSeconds", COUNT),
    field("periodSeconds", COUNT),
    field("successThreshold", COUNT),
    field("failureThreshold", COUNT),
    field("httpGet", Shape::Object(&HTTP_GET)),
    field("tcpSocket", Shape::Object(&TCP_SOCKET)),
    field("exec", Shape::Object(&EXEC)),
    field("grpc", Shape::Object(&GRPC)),
]);

const HEADER: Object = object(&[field("name", NAME), field("value", TEXT)]);
const HTTP_GET: Object = object(&[
    field("path", TEXT),
    required("port", COUNT),
    field("host", TEXT),
    field("scheme", TEXT),
    field("httpHeaders", list(&Shape::Object(&HEADER))),
]);
const TCP_SOCKET: Object = object(&[field("host", TEXT), required("port", COUNT)]);
const EXEC: Object = object(&[required("command", some(&TEXT))]);
const GRPC: Object = object(&[field("port", COUNT), field("service", TEXT)]);
