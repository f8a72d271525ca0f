//! `telemetry.istio.io` Telemetry.

use super::common::{SELECTOR, TARGET, TARGETS, one_target};
use crate::rules::{count, has, text};
use crate::shape::{DURATION, FLAG, NAME, Object, SHARE, Shape, TEXT, field, list, map, object, required, rule, ruled};

pub(super) const SPEC: Object = ruled(
    &[
        field("selector", Shape::Object(&SELECTOR)),
        field("targetRef", Shape::Object(&TARGET)),
        field("targetRefs", TARGETS),
        field("tracing", list(&Shape::Object(&TRACING))),
        field("metrics", list(&Shape::Object(&METRICS))),
        field("accessLogging", list(&Shape::Object(&ACCESS_LOGGING))),
    ],
    &[rule("only one of targetRefs or selector can be set", one_target)],
);

const PROVIDER: Object = object(&[required("name", NAME)]);
const PROVIDERS: Shape = list(&Shape::Object(&PROVIDER));
const REPORTERS: Shape = Shape::Word(&["CLIENT_AND_SERVER", "CLIENT", "SERVER"]);

const TRACING_MATCH: Object = object(&[field("mode", REPORTERS)]);

const TRACING: Object = object(&[
    field("match", Shape::Object(&TRACING_MATCH)),
    field("providers", PROVIDERS),
    field("randomSamplingPercentage", SHARE),
    field("disableSpanReporting", FLAG),
    field("customTags", map(&Shape::Object(&CUSTOM_TAG))),
    field("useRequestIdForTraceSampling", FLAG),
    field("enableIstioTags", FLAG),
]);

const LITERAL: Object = object(&[required("value", NAME)]);
const NAMED: Object = object(&[required("name", NAME), field("defaultValue", TEXT)]);
const FORMATTER: Object = object(&[required("value", NAME)]);

const CUSTOM_TAG: Object = ruled(
    &[
        field("literal", Shape::Object(&LITERAL)),
        field("environment", Shape::Object(&NAMED)),
        field("header", Shape::Object(&NAMED)),
        field("formatter", Shape::Object(&FORMATTER)),
    ],
    &[rule("should have at most one of literal, environment, header or formatter", |value| {
        count(value, &["literal", "environment", "header", "formatter"]) < 2
    })],
);

const METRICS: Object = object(&[
    field("providers", PROVIDERS),
    field("overrides", list(&Shape::Object(&OVERRIDE))),
    field("reportingInterval", DURATION),
]);

const METRIC_MATCH: Object = ruled(
    &[
        field(
            "metric",
            Shape::Word(&[
                "ALL_METRICS",
                "REQUEST_COUNT",
                "REQUEST_DURATION",
                "REQUEST_SIZE",
                "RESPONSE_SIZE",
                "TCP_OPENED_CONNECTIONS",
                "TCP_CLOSED_CONNECTIONS",
                "TCP_SENT_BYTES",
                "TCP_RECEIVED_BYTES",
                "GRPC_REQUEST_MESSAGES",
                "GRPC_RESPONSE_MESSAGES",
            ]),
        ),
        field("customMetric", NAME),
        field("mode", REPORTERS),
    ],
    &[rule("should have at most one of metric or customMetric", |value| count(value, &["metric", "customMetric"]) < 2)],
);

const OVERRIDE: Object = object(&[
    field("match", Shape::Object(&METRIC_MATCH)),
    field("disabled", FLAG),
    field("tagOverrides", map(&Shape::Object(&TAG_OVERRIDE))),
]);

const TAG_OVERRIDE: Object = ruled(
    &[field("operation", Shape::Word(&["UPSERT", "REMOVE"])), field("value", TEXT)],
    &[
        rule("value must be set when operation is UPSERT", |value| {
            text(value, "operation") != "UPSERT" || !text(value, "value").is_empty()
        }),
        rule("value must not be set when operation is REMOVE", |value| {
            text(value, "operation") != "REMOVE" || !has(value, "value")
        }),
    ],
);

const LOG_MATCH: Object = object(&[field("mode", REPORTERS)]);
const FILTER: Object = object(&[field("expression", TEXT)]);

const ACCESS_LOGGING: Object = object(&[
    field("match", Shape::Object(&LOG_MATCH)),
    field("providers", PROVIDERS),
    field("disabled", FLAG),
    field("filter", Shape::Object(&FILTER)),
]);
