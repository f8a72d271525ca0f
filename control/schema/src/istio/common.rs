//! What several kinds have.

use serde_json::Value;

use crate::rules::{count, has, is_port, no_wildcard, text};
use crate::shape::{
    COUNT, DURATION, LABELS, NAME, Object, REGEX, Shape, TEXT, TEXTS, field, list, object, required, rule, ruled,
};

/// `type.v1beta1.WorkloadSelector`.
pub(super) const SELECTOR: Object = ruled(
    &[field("matchLabels", LABELS)],
    &[rule("wildcard not allowed in label value match", |value| no_wildcard(value, "matchLabels"))],
);

/// `networking.v1.WorkloadSelector`.
pub(super) const WORKLOAD_SELECTOR: Object = ruled(
    &[field("labels", LABELS)],
    &[rule("wildcard is not supported in selector", |value| no_wildcard(value, "labels"))],
);

pub(super) const TARGET: Object =
    object(&[field("group", TEXT), required("kind", NAME), required("name", NAME), field("namespace", TEXT)]);

pub(super) const TARGETS: Shape = list(&Shape::Object(&TARGET));

/// Policies name what they hold for in one way.
pub(super) fn one_target(value: &Value) -> bool {
    count(value, &["selector", "targetRef", "targetRefs"]) <= 1
}

/// Exactly one way to match.
pub(super) const STRING_MATCH: Object = ruled(
    &[field("exact", TEXT), field("prefix", TEXT), field("regex", REGEX)],
    &[rule("should have exactly one of exact, prefix or regex", |value| {
        count(value, &["exact", "prefix", "regex"]) <= 1
    })],
);

pub(super) const PORT_NUMBER: Object =
    ruled(&[field("number", COUNT)], &[rule("port must be between 1-65535", |value| is_port(value, "number"))]);

/// `networking.v1.Port`, and `ServicePort` with its target.
pub(super) const PORT: Object = ruled(
    &[required("number", COUNT), required("protocol", TEXT), required("name", TEXT), field("targetPort", COUNT)],
    &[rule("port must be between 1-65535", |value| is_port(value, "number") && is_port(value, "targetPort"))],
);

pub(super) const DESTINATION: Object =
    object(&[required("host", NAME), field("subset", TEXT), field("port", Shape::Object(&PORT_NUMBER))]);

pub(super) const TCP_KEEPALIVE: Object =
    object(&[field("probes", COUNT), field("time", DURATION), field("interval", DURATION)]);

/// `ClientTLSSettings` of rules and sidecars.
pub(super) const CLIENT_TLS: Object = ruled(
    &[
        field("mode", Shape::Word(&["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"])),
        field("clientCertificate", TEXT),
        field("privateKey", TEXT),
        field("caCertificates", TEXT),
        field("credentialName", TEXT),
        field("subjectAltNames", TEXTS),
        field("sni", TEXT),
        field("insecureSkipVerify", Shape::Flag),
        field("caCrl", TEXT),
    ],
    &[
        rule("client certificate required for mutual tls", |value| {
            text(value, "mode") != "MUTUAL" || has(value, "credentialName") || has(value, "clientCertificate")
        }),
        rule("private key required for mutual tls", |value| {
            text(value, "mode") != "MUTUAL" || has(value, "credentialName") || has(value, "privateKey")
        }),
    ],
);

pub(super) const HEADER_CHANGES: Object = object(&[field("set", LABELS), field("add", LABELS), field("remove", TEXTS)]);

pub(super) const HEADERS: Object =
    object(&[field("request", Shape::Object(&HEADER_CHANGES)), field("response", Shape::Object(&HEADER_CHANGES))]);
