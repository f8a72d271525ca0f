//! Kinds that change the proxy itself: EnvoyFilter, WasmPlugin and ProxyConfig.

use super::common::{SELECTOR, TARGET, TARGETS, WORKLOAD_SELECTOR, one_target};
use crate::shape::{COUNT, LABELS, NAME, Object, SIGNED, Shape, TEXT, field, list, object, required, rule, ruled};

pub(super) const PROXY_CONFIG: Object = object(&[
    field("selector", Shape::Object(&SELECTOR)),
    field("concurrency", Shape::Whole { least: 0, most: i32::MAX as i64 }),
    field("environmentVariables", LABELS),
    field("image", Shape::Object(&IMAGE)),
]);

const IMAGE: Object = object(&[field("imageType", TEXT)]);

pub(super) const ENVOY_FILTER: Object = object(&[
    field("workloadSelector", Shape::Object(&WORKLOAD_SELECTOR)),
    field("targetRefs", TARGETS),
    field("configPatches", list(&Shape::Object(&PATCH))),
    field("priority", SIGNED),
]);

const PATCH: Object = object(&[
    field(
        "applyTo",
        Shape::Word(&[
            "INVALID",
            "LISTENER",
            "FILTER_CHAIN",
            "NETWORK_FILTER",
            "HTTP_FILTER",
            "ROUTE_CONFIGURATION",
            "VIRTUAL_HOST",
            "HTTP_ROUTE",
            "CLUSTER",
            "EXTENSION_CONFIG",
            "BOOTSTRAP",
            "LISTENER_FILTER",
        ]),
    ),
    // Parts of Envoy's configuration, of which the mesh's data plane takes none.
    field("match", Shape::Any),
    field("patch", Shape::Object(&OPERATION)),
]);

const OPERATION: Object = object(&[
    field(
        "operation",
        Shape::Word(&["INVALID", "MERGE", "ADD", "REMOVE", "INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST", "REPLACE"]),
    ),
    field("value", Shape::Any),
    field("filterClass", Shape::Word(&["UNSPECIFIED", "AUTHN", "AUTHZ", "STATS"])),
]);

pub(super) const WASM_PLUGIN: Object = ruled(
    &[
        field("selector", Shape::Object(&SELECTOR)),
        field("targetRef", Shape::Object(&TARGET)),
        field("targetRefs", TARGETS),
        required("url", NAME),
        field("sha256", TEXT),
        field("imagePullPolicy", Shape::Word(&["UNSPECIFIED_POLICY", "IfNotPresent", "Always"])),
        field("imagePullSecret", TEXT),
        field("verificationKey", TEXT),
        field("pluginConfig", Shape::Any),
        field("pluginName", TEXT),
        field("phase", Shape::Word(&["UNSPECIFIED_PHASE", "AUTHN", "AUTHZ", "STATS"])),
        field("priority", SIGNED),
        field("failStrategy", Shape::Word(&["FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD"])),
        field("vmConfig", Shape::Any),
        field("match", list(&Shape::Object(&TRAFFIC))),
        field("type", Shape::Word(&["UNSPECIFIED_PLUGIN_TYPE", "HTTP", "NETWORK"])),
    ],
    &[rule("only one of targetRefs or selector can be set", one_target)],
);

const PORT: Object = object(&[required("number", COUNT)]);

const TRAFFIC: Object = object(&[
    field("mode", Shape::Word(&["UNDEFINED", "CLIENT", "SERVER", "CLIENT_AND_SERVER"])),
    field("ports", list(&Shape::Object(&PORT))),
]);
