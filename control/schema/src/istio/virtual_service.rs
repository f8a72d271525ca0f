//! `networking.istio.io` VirtualService.

use serde_json::Value;

use super::common::{DESTINATION, HEADERS, STRING_MATCH};
use crate::rules::{count, has, is_port, items, text};
use crate::shape::{
    ANY_DURATION, COUNT, DURATION, FLAG, LABELS, NAME, Object, PERCENT, REGEX, SHARE, SIGNED, Shape, TEXT, TEXTS,
    field, list, map, object, required, rule, ruled,
};

pub(super) const SPEC: Object = ruled(
    &[
        field("hosts", list(&NAME)),
        field("gateways", TEXTS),
        field("http", list(&Shape::Object(&HTTP_ROUTE))),
        field("tls", list(&Shape::Object(&TLS_ROUTE))),
        field("tcp", list(&Shape::Object(&TCP_ROUTE))),
        field("exportTo", TEXTS),
    ],
    &[
        rule("http, tcp or tls must be provided in virtual service", |value| {
            ["http", "tls", "tcp"].iter().any(|field| !items(value, field).is_empty())
        }),
        rule("wildcard host * is not allowed for virtual services bound to the mesh gateway", |value| {
            let gateways = items(value, "gateways");
            let mesh = gateways.is_empty() || gateways.iter().any(|gateway| gateway == "mesh");
            !mesh || !items(value, "hosts").iter().any(|host| host == "*")
        }),
    ],
);

const HTTP_ROUTE: Object = ruled(
    &[
        field("name", TEXT),
        field("match", list(&Shape::Object(&HTTP_MATCH))),
        field("route", list(&Shape::Object(&HTTP_DESTINATION))),
        field("redirect", Shape::Object(&REDIRECT)),
        field("directResponse", Shape::Object(&DIRECT_RESPONSE)),
        field("delegate", Shape::Object(&DELEGATE)),
        field("rewrite", Shape::Object(&REWRITE)),
        field("timeout", ANY_DURATION),
        field("retries", Shape::Object(&RETRIES)),
        field("fault", Shape::Object(&FAULT)),
        field("mirror", Shape::Object(&DESTINATION)),
        field("mirrors", list(&Shape::Object(&MIRROR))),
        field("mirrorPercent", PERCENT),
        field("mirrorPercentage", Shape::Object(&SHARE_OF)),
        field("corsPolicy", Shape::Object(&CORS)),
        field("headers", Shape::Object(&HEADERS)),
    ],
    &[
        rule("HTTP route, redirect or direct_response is required", |value| {
            has(value, "redirect")
                || has(value, "directResponse")
                || has(value, "delegate")
                || !items(value, "route").is_empty()
        }),
        rule("HTTP route cannot contain both route and redirect", |value| count(value, &["route", "redirect"]) < 2),
        rule("HTTP route cannot contain both route and direct_response", |value| {
            count(value, &["route", "directResponse"]) < 2
        }),
        rule("HTTP route cannot contain both redirect and direct_response", |value| {
            count(value, &["redirect", "directResponse"]) < 2
        }),
        rule("delegate and route, redirect or direct_response cannot be set at the same time", |value| {
            !has(value, "delegate") || count(value, &["route", "redirect", "directResponse"]) == 0
        }),
        rule(
            "HTTP route rules with redirect or direct_response cannot have fault, rewrite or mirror with a route",
            |value| !has(value, "redirect") || count(value, &["fault", "rewrite", "mirror", "mirrors"]) == 0,
        ),
        rule("HTTP route cannot contain both mirror and mirrors", |value| count(value, &["mirror", "mirrors"]) < 2),
        rule("total destination weight = 0", has_weight),
    ],
);

/// Several destinations share requests by weight, so some weight there must be.
fn has_weight(value: &Value) -> bool {
    let routes = items(value, "route");
    let weight = |route: &Value| route.get("weight").and_then(Value::as_i64).unwrap_or_default();
    routes.len() < 2 || routes.iter().map(weight).any(|weight| weight != 0)
}

const MATCHES: Shape = map(&Shape::Object(&STRING_MATCH));

const HTTP_MATCH: Object = ruled(
    &[
        field("name", TEXT),
        field("uri", Shape::Object(&STRING_MATCH)),
        field("scheme", Shape::Object(&STRING_MATCH)),
        field("method", Shape::Object(&STRING_MATCH)),
        field("authority", Shape::Object(&STRING_MATCH)),
        field("headers", MATCHES),
        field("withoutHeaders", MATCHES),
        field("queryParams", MATCHES),
        field("port", COUNT),
        field("sourceLabels", LABELS),
        field("gateways", TEXTS),
        field("ignoreUriCase", FLAG),
        field("sourceNamespace", TEXT),
        field("statPrefix", TEXT),
    ],
    &[rule("port must be between 1-65535", |value| is_port(value, "port"))],
);

const WEIGHT: Shape = Shape::Whole { least: 0, most: i32::MAX as i64 };

const HTTP_DESTINATION: Object = object(&[
    required("destination", Shape::Object(&DESTINATION)),
    field("weight", WEIGHT),
    field("headers", Shape::Object(&HEADERS)),
]);

const DELEGATE: Object = object(&[field("name", NAME), field("namespace", TEXT)]);

const REDIRECT: Object = ruled(
    &[
        field("uri", TEXT),
        field("authority", TEXT),
        field("port", COUNT),
        field("derivePort", Shape::Word(&["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"])),
        field("scheme", TEXT),
        field("redirectCode", COUNT),
    ],
    &[
        rule("should have at most one of port or derivePort", |value| count(value, &["port", "derivePort"]) < 2),
        rule("redirect code must be one of 301, 302, 303, 307, 308", |value| {
            value
                .get("redirectCode")
                .and_then(Value::as_i64)
                .is_none_or(|code| matches!(code, 0 | 301 | 302 | 303 | 307 | 308))
        }),
        rule("scheme must be http or https", |value| matches!(text(value, "scheme"), "" | "http" | "https")),
    ],
);

const BODY: Object = ruled(
    &[field("string", TEXT), field("bytes", TEXT)],
    &[rule("should have at most one of string or bytes", |value| count(value, &["string", "bytes"]) < 2)],
);

const DIRECT_RESPONSE: Object =
    object(&[required("status", Shape::Whole { least: 100, most: 599 }), field("body", Shape::Object(&BODY))]);

const REGEX_REWRITE: Object = object(&[field("match", REGEX), field("rewrite", TEXT)]);

const REWRITE: Object = ruled(
    &[field("uri", TEXT), field("authority", TEXT), field("uriRegexRewrite", Shape::Object(&REGEX_REWRITE))],
    &[
        rule("rewrite must specify at least one of URI, authority or uriRegexRewrite", |value| {
            count(value, &["uri", "authority", "uriRegexRewrite"]) > 0
        }),
        rule("rewrite may only contain one of URI or uriRegexRewrite", |value| {
            count(value, &["uri", "uriRegexRewrite"]) < 2
        }),
    ],
);

const RETRIES: Object = object(&[
    field("attempts", Shape::Whole { least: 0, most: i32::MAX as i64 }),
    field("perTryTimeout", DURATION),
    field("retryOn", TEXT),
    field("retryRemoteLocalities", FLAG),
    field("retryIgnorePreviousHosts", FLAG),
    field("backoff", DURATION),
]);

const SHARE_OF: Object = object(&[field("value", SHARE)]);

const DELAY: Object = ruled(
    &[
        field("percent", PERCENT),
        field("percentage", Shape::Object(&SHARE_OF)),
        field("fixedDelay", DURATION),
        field("exponentialDelay", DURATION),
    ],
    &[rule("should have at most one of fixedDelay or exponentialDelay", |value| {
        count(value, &["fixedDelay", "exponentialDelay"]) < 2
    })],
);

const ABORT: Object = ruled(
    &[
        field("percentage", Shape::Object(&SHARE_OF)),
        field("httpStatus", SIGNED),
        field("grpcStatus", TEXT),
        field("http2Error", TEXT),
    ],
    &[
        rule("should have at most one of httpStatus, grpcStatus or http2Error", |value| {
            count(value, &["httpStatus", "grpcStatus", "http2Error"]) < 2
        }),
        rule("abort httpStatus must be between 200 and 599", |value| {
            value.get("httpStatus").and_then(Value::as_i64).is_none_or(|status| (200..=599).contains(&status))
        }),
    ],
);

const FAULT: Object = object(&[field("delay", Shape::Object(&DELAY)), field("abort", Shape::Object(&ABORT))]);

const MIRROR: Object =
    object(&[required("destination", Shape::Object(&DESTINATION)), field("percentage", Shape::Object(&SHARE_OF))]);

const CORS: Object = object(&[
    field("allowOrigin", TEXTS),
    field("allowOrigins", list(&Shape::Object(&STRING_MATCH))),
    field("allowMethods", TEXTS),
    field("allowHeaders", TEXTS),
    field("exposeHeaders", TEXTS),
    field("maxAge", ANY_DURATION),
    field("allowCredentials", Shape::Flag),
    field("unmatchedPreflights", Shape::Word(&["UNSPECIFIED", "FORWARD", "IGNORE"])),
]);

const ROUTE_DESTINATION: Object =
    object(&[required("destination", Shape::Object(&DESTINATION)), field("weight", WEIGHT)]);

const TLS_MATCH: Object = ruled(
    &[
        required("sniHosts", list(&NAME)),
        field("destinationSubnets", TEXTS),
        field("port", COUNT),
        field("sourceLabels", LABELS),
        field("gateways", TEXTS),
        field("sourceNamespace", TEXT),
    ],
    &[
        rule("port must be between 1-65535", |value| is_port(value, "port")),
        rule("TLS match must have at least one SNI host", |value| !items(value, "sniHosts").is_empty()),
    ],
);

const TLS_ROUTE: Object = ruled(
    &[required("match", list(&Shape::Object(&TLS_MATCH))), field("route", list(&Shape::Object(&ROUTE_DESTINATION)))],
    &[
        rule("TLS route is required", |value| !items(value, "route").is_empty()),
        rule("total destination weight = 0", has_weight),
    ],
);

const TCP_MATCH: Object = ruled(
    &[
        field("destinationSubnets", TEXTS),
        field("port", COUNT),
        field("sourceSubnet", TEXT),
        field("sourceLabels", LABELS),
        field("gateways", TEXTS),
        field("sourceNamespace", TEXT),
    ],
    &[rule("port must be between 1-65535", |value| is_port(value, "port"))],
);

const TCP_ROUTE: Object = ruled(
    &[field("match", list(&Shape::Object(&TCP_MATCH))), field("route", list(&Shape::Object(&ROUTE_DESTINATION)))],
    &[
        rule("TCP route is required", |value| !items(value, "route").is_empty()),
        rule("total destination weight = 0", has_weight),
    ],
);
