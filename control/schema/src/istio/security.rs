//! `security.istio.io`: PeerAuthentication, RequestAuthentication and AuthorizationPolicy.

use serde_json::Value;

use super::common::{SELECTOR, TARGET, TARGETS, one_target};
use crate::rules::{count, has, items};
use crate::shape::{
    ANY_DURATION, FLAG, NAME, NAMES, Object, Shape, TEXT, TEXTS, field, list, object, required, rule, ruled,
};

const MODE: Object = object(&[field("mode", Shape::Word(&["UNSET", "DISABLE", "PERMISSIVE", "STRICT"]))]);

pub(super) const PEER_AUTHENTICATION: Object = ruled(
    &[
        field("selector", Shape::Object(&SELECTOR)),
        field("mtls", Shape::Object(&MODE)),
        field("portLevelMtls", Shape::Map { of: &Shape::Object(&MODE), least: 1 }),
    ],
    &[
        rule("portLevelMtls requires selector", |value| {
            let selects = value
                .pointer("/selector/matchLabels")
                .and_then(Value::as_object)
                .is_some_and(|labels| !labels.is_empty());
            !has(value, "portLevelMtls") || selects
        }),
        rule("type conversion error from 'string' to 'int': the keys of portLevelMtls are port numbers", |value| {
            ports(value).all(|port| port.parse::<i64>().is_ok())
        }),
        rule("port must be between 1-65535", |value| {
            ports(value).filter_map(|port| port.parse::<i64>().ok()).all(|port| (1..=65_535).contains(&port))
        }),
    ],
);

fn ports(value: &Value) -> impl Iterator<Item = &String> {
    value.get("portLevelMtls").and_then(Value::as_object).into_iter().flat_map(serde_json::Map::keys)
}

pub(super) const REQUEST_AUTHENTICATION: Object = ruled(
    &[
        field("selector", Shape::Object(&SELECTOR)),
        field("targetRef", Shape::Object(&TARGET)),
        field("targetRefs", TARGETS),
        field("jwtRules", list(&Shape::Object(&JWT_RULE))),
    ],
    &[rule("only one of targetRefs or selector can be set", one_target)],
);

const FROM_HEADER: Object = object(&[required("name", NAME), field("prefix", TEXT)]);
const TO_HEADER: Object = object(&[required("header", NAME), required("claim", NAME)]);

const JWT_RULE: Object = ruled(
    &[
        required("issuer", NAME),
        field("audiences", NAMES),
        field("jwksUri", TEXT),
        field("jwks_uri", TEXT),
        field("jwks", TEXT),
        field("fromHeaders", list(&Shape::Object(&FROM_HEADER))),
        field("fromParams", NAMES),
        field("fromCookies", NAMES),
        field("outputPayloadToHeader", TEXT),
        field("outputClaimToHeaders", list(&Shape::Object(&TO_HEADER))),
        field("forwardOriginalToken", FLAG),
        field("timeout", ANY_DURATION),
        field("spaceDelimitedClaims", NAMES),
    ],
    &[
        rule("only one of jwks or jwksUri can be set", |value| count(value, &["jwks", "jwksUri", "jwks_uri"]) < 2),
        rule("jwksUri must be a URL with http or https", |value| {
            value
                .get("jwksUri")
                .and_then(Value::as_str)
                .is_none_or(|uri| uri.starts_with("http://") || uri.starts_with("https://"))
        }),
    ],
);

pub(super) const AUTHORIZATION_POLICY: Object = ruled(
    &[
        field("selector", Shape::Object(&SELECTOR)),
        field("targetRef", Shape::Object(&TARGET)),
        field("targetRefs", TARGETS),
        field(
            "rules",
            Shape::List { of: &Shape::Object(&RULE), least: 0, most: 512, unique: crate::shape::Unique::Nothing },
        ),
        field("action", Shape::Word(&["ALLOW", "DENY", "AUDIT", "CUSTOM"])),
        field("provider", Shape::Object(&PROVIDER)),
    ],
    &[
        rule("only one of targetRefs or selector can be set", one_target),
        rule("CUSTOM action must have a provider, and no other action may", |value| {
            has(value, "provider") == value.get("action").is_some_and(|action| action == "CUSTOM")
        }),
        rule("DENY action without `rules` is meaningless as it will never be triggered", |value| {
            value.get("action").is_none_or(|action| action != "DENY") || !items(value, "rules").is_empty()
        }),
    ],
);

const PROVIDER: Object = object(&[required("name", NAME)]);

const RULE: Object = object(&[
    field("from", list(&Shape::Object(&FROM))),
    field("to", list(&Shape::Object(&TO))),
    field("when", list(&Shape::Object(&CONDITION))),
]);

const FROM: Object = object(&[required("source", Shape::Object(&SOURCE))]);
const TO: Object = object(&[required("operation", Shape::Object(&OPERATION))]);

const SOURCE: Object = ruled(
    &[
        field("principals", NAMES),
        field("notPrincipals", NAMES),
        field("requestPrincipals", NAMES),
        field("notRequestPrincipals", NAMES),
        field("namespaces", NAMES),
        field("notNamespaces", NAMES),
        field("serviceAccounts", NAMES),
        field("notServiceAccounts", NAMES),
        field("trustDomains", NAMES),
        field("notTrustDomains", NAMES),
        field("ipBlocks", NAMES),
        field("notIpBlocks", NAMES),
        field("remoteIpBlocks", NAMES),
        field("notRemoteIpBlocks", NAMES),
    ],
    &[
        rule("Cannot set serviceAccounts with namespaces or principals", |value| {
            !(has(value, "serviceAccounts") || has(value, "notServiceAccounts"))
                || count(value, &["principals", "notPrincipals", "namespaces", "notNamespaces"]) == 0
        }),
        rule("`from.source` must not be empty", |value| value.as_object().is_none_or(|fields| !fields.is_empty())),
    ],
);

const OPERATION: Object = ruled(
    &[
        field("hosts", NAMES),
        field("notHosts", NAMES),
        field("ports", NAMES),
        field("notPorts", NAMES),
        field("methods", NAMES),
        field("notMethods", NAMES),
        field("paths", NAMES),
        field("notPaths", NAMES),
    ],
    &[
        rule("`to.operation` must not be empty", |value| value.as_object().is_none_or(|fields| !fields.is_empty())),
        rule("ports must be between 1-65535", |value| {
            let ports = items(value, "ports").iter().chain(items(value, "notPorts"));
            ports.filter_map(Value::as_str).all(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
        }),
    ],
);

const CONDITION: Object = ruled(
    &[required("key", NAME), field("values", TEXTS), field("notValues", TEXTS)],
    &[rule("at least one of `values` or `notValues` must be set for a condition", |value| {
        !items(value, "values").is_empty() || !items(value, "notValues").is_empty()
    })],
);
