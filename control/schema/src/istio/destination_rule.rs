//! `networking.istio.io` DestinationRule.

use super::common::{CLIENT_TLS, PORT_NUMBER, TCP_KEEPALIVE};
use crate::rules::count;
use crate::shape::{
    ANY_DURATION, COUNT, DURATION, FLAG, LABELS, NAME, Object, PERCENT, SIGNED, Shape, TEXT, TEXTS, field, list, map,
    object, required, rule, ruled,
};

pub(super) const SPEC: Object = object(&[
    required("host", NAME),
    field("trafficPolicy", Shape::Object(&TRAFFIC_POLICY)),
    field("subsets", list(&Shape::Object(&SUBSET))),
    field("exportTo", TEXTS),
    field("workloadSelector", Shape::Object(&super::common::SELECTOR)),
]);

const SUBSET: Object =
    object(&[required("name", NAME), field("labels", LABELS), field("trafficPolicy", Shape::Object(&TRAFFIC_POLICY))]);

const TRAFFIC_POLICY: Object = object(&[
    field("loadBalancer", Shape::Object(&LOAD_BALANCER)),
    field("connectionPool", Shape::Object(&CONNECTION_POOL)),
    field("outlierDetection", Shape::Object(&OUTLIER_DETECTION)),
    field("tls", Shape::Object(&CLIENT_TLS)),
    field(
        "portLevelSettings",
        Shape::List { of: &Shape::Object(&PORT_POLICY), least: 0, most: 4_096, unique: crate::shape::Unique::Nothing },
    ),
    field("tunnel", Shape::Object(&TUNNEL)),
    field("proxyProtocol", Shape::Object(&PROXY_PROTOCOL)),
    field("retryBudget", Shape::Object(&RETRY_BUDGET)),
]);

const PORT_POLICY: Object = object(&[
    field("port", Shape::Object(&PORT_NUMBER)),
    field("loadBalancer", Shape::Object(&LOAD_BALANCER)),
    field("connectionPool", Shape::Object(&CONNECTION_POOL)),
    field("outlierDetection", Shape::Object(&OUTLIER_DETECTION)),
    field("tls", Shape::Object(&CLIENT_TLS)),
]);

const TUNNEL: Object = ruled(
    &[field("protocol", TEXT), required("targetHost", NAME), required("targetPort", COUNT)],
    &[rule("tunnel target port is invalid", |value| crate::rules::is_port(value, "targetPort"))],
);

const PROXY_PROTOCOL: Object = object(&[field("version", Shape::Word(&["V1", "V2"]))]);

const RETRY_BUDGET: Object =
    object(&[field("percent", Shape::Number { least: 0.0, most: 100.0 }), field("minRetryConcurrency", COUNT)]);

const COOKIE: Object = object(&[
    required("name", NAME),
    field("path", TEXT),
    field("ttl", ANY_DURATION),
    field("attributes", list(&Shape::Object(&ATTRIBUTE))),
]);

const ATTRIBUTE: Object = object(&[required("name", NAME), field("value", TEXT)]);

const CONSISTENT_HASH: Object = ruled(
    &[
        field("httpHeaderName", TEXT),
        field("httpCookie", Shape::Object(&COOKIE)),
        field("useSourceIp", FLAG),
        field("httpQueryParameterName", TEXT),
        field("minimumRingSize", Shape::Whole { least: 0, most: i64::MAX }),
        field("ringHash", Shape::Object(&RING_HASH)),
        field("maglev", Shape::Object(&MAGLEV)),
    ],
    &[
        rule("should have at most one of httpHeaderName, httpCookie, useSourceIp or httpQueryParameterName", |value| {
            count(value, &["httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"]) < 2
        }),
        rule("should have at most one of ringHash or maglev", |value| count(value, &["ringHash", "maglev"]) < 2),
    ],
);

const RING_HASH: Object = object(&[field("minimumRingSize", Shape::Whole { least: 0, most: i64::MAX })]);
const MAGLEV: Object = object(&[field("tableSize", Shape::Whole { least: 0, most: i64::MAX })]);

const WARMUP: Object = object(&[
    required("duration", ANY_DURATION),
    field("minimumPercent", Shape::Number { least: 0.0, most: 100.0 }),
    field("aggression", Shape::Number { least: 1.0, most: f64::MAX }),
]);

const LOAD_BALANCER: Object = ruled(
    &[
        field(
            "simple",
            Shape::Word(&["UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"]),
        ),
        field("consistentHash", Shape::Object(&CONSISTENT_HASH)),
        field("localityLbSetting", Shape::Object(&LOCALITY)),
        field("warmupDurationSecs", ANY_DURATION),
        field("warmup", Shape::Object(&WARMUP)),
    ],
    &[rule("should have at most one of simple or consistentHash", |value| {
        count(value, &["simple", "consistentHash"]) < 2
    })],
);

const LOCALITY: Object = ruled(
    &[
        field("distribute", list(&Shape::Object(&DISTRIBUTE))),
        field("failover", list(&Shape::Object(&FAILOVER))),
        field("failoverPriority", TEXTS),
        field("enabled", Shape::Flag),
    ],
    &[rule("can not simultaneously specify 'distribute' and 'failover'", |value| {
        count(value, &["distribute", "failover"]) < 2
    })],
);

const DISTRIBUTE: Object = object(&[field("from", TEXT), field("to", map(&PERCENT))]);
const FAILOVER: Object = object(&[field("from", TEXT), field("to", TEXT)]);

const TCP_POOL: Object = object(&[
    field("maxConnections", SIGNED),
    field("connectTimeout", DURATION),
    field("tcpKeepalive", Shape::Object(&TCP_KEEPALIVE)),
    field("maxConnectionDuration", DURATION),
    field("idleTimeout", ANY_DURATION),
]);

const KEEP_ALIVE: Object = object(&[field("interval", DURATION), field("timeout", DURATION)]);

const HTTP_POOL: Object = object(&[
    field("http1MaxPendingRequests", SIGNED),
    field("http2MaxRequests", SIGNED),
    field("maxRequestsPerConnection", SIGNED),
    field("maxRetries", SIGNED),
    field("idleTimeout", DURATION),
    field("h2UpgradePolicy", Shape::Word(&["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"])),
    field("useClientProtocol", FLAG),
    field("maxConcurrentStreams", SIGNED),
    field("http2KeepAlive", Shape::Object(&KEEP_ALIVE)),
]);

const CONNECTION_POOL: Object =
    object(&[field("tcp", Shape::Object(&TCP_POOL)), field("http", Shape::Object(&HTTP_POOL))]);

const OUTLIER_DETECTION: Object = object(&[
    field("consecutiveErrors", SIGNED),
    field("splitExternalLocalOriginErrors", FLAG),
    field("consecutiveLocalOriginFailures", COUNT),
    field("consecutiveGatewayErrors", COUNT),
    field("consecutive5xxErrors", COUNT),
    field("interval", DURATION),
    field("baseEjectionTime", DURATION),
    field("maxEjectionPercent", PERCENT),
    field("minHealthPercent", PERCENT),
]);
