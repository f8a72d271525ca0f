//! HTTP routes.

use std::collections::BTreeMap;

use super::cors::cors_policy;
use super::matching::http_match;
use super::response::{direct_response, redirect};
use super::{
    Abort, Delegate, Fault, FixedDelay, HeaderOperations, HttpRoute, Mirror, Retries, Rewrite, destination, is_regex,
    percentage, weighted,
};
use crate::header::{is_header_name, is_header_value};
use crate::reader::{Fields, Reader};

/// What Envoy and Istio know as conditions of retries; numbers are status codes.
const RETRY_ON: [&str; 16] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "refused-stream",
    "retriable-4xx",
    "retriable-status-codes",
    "retriable-headers",
    "http3-post-connect-failure",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
];

pub(super) fn route(reader: &Reader<'_>) -> Option<HttpRoute> {
    let fields = reader.fields()?;
    let route = HttpRoute {
        name: fields.text("name").unwrap_or_default(),
        matches: fields.list("match").iter().filter_map(http_match).collect(),
        route: weighted(&fields),
        redirect: fields.take("redirect").and_then(|one| redirect(&one)),
        direct_response: fields.take("directResponse").and_then(|one| direct_response(&one)),
        rewrite: fields.take("rewrite").and_then(|one| rewrite(&one)),
        timeout: fields.duration("timeout"),
        retries: fields.take("retries").and_then(|one| retries(&one)),
        fault: fields.take("fault").and_then(|one| fault(&one)),
        mirrors: mirrors(&fields),
        headers: fields.take("headers").map(|one| header_operations(&one)).unwrap_or_default(),
        cors: fields.take("corsPolicy").and_then(|one| cors_policy(&one)),
        delegate: fields.take("delegate").and_then(|one| delegate(&one)),
        share: None,
    };
    let targets = usize::from(fields.has("route"))
        + usize::from(fields.has("redirect"))
        + usize::from(fields.has("directResponse"))
        + usize::from(fields.has("delegate"));
    if targets != 1 {
        fields.report(
            format!("one of route, redirect, directResponse and delegate is expected, not {targets} of them"),
            "",
        );
    }
    if route.route.len() > 1 && route.route.iter().all(|one| one.weight == 0) {
        fields.report("all weights are 0: no destination would get a call", "");
    }
    fields.finish(&[
        "name",
        "match",
        "route",
        "redirect",
        "directResponse",
        "rewrite",
        "timeout",
        "retries",
        "fault",
        "mirror",
        "mirrors",
        "mirrorPercentage",
        "mirrorPercent",
        "headers",
        "corsPolicy",
        "delegate",
    ]);
    Some(route)
}

fn delegate(reader: &Reader<'_>) -> Option<Delegate> {
    let fields = reader.fields()?;
    let name = fields.require("name").and_then(|name| name.located_text());
    let namespace = fields.text("namespace").filter(|namespace| !namespace.is_empty());
    fields.finish(&["name", "namespace"]);
    Some(Delegate { name: name?, namespace })
}

fn rewrite(reader: &Reader<'_>) -> Option<Rewrite> {
    let fields = reader.fields()?;
    let uri_regex = fields.fields("uriRegexRewrite").and_then(|regex| {
        let expression = regex.require("match")?;
        let text = expression.text()?;
        let substitution = regex.text("rewrite").unwrap_or_default();
        regex.finish(&["match", "rewrite"]);
        is_regex(&expression, &text).then_some((text, substitution))
    });
    let rewrite = Rewrite { uri: fields.text("uri"), authority: header_text(&fields, "authority"), uri_regex };
    fields.finish(&["uri", "authority", "uriRegexRewrite"]);
    Some(rewrite)
}

fn retries(reader: &Reader<'_>) -> Option<Retries> {
    let fields = reader.fields()?;
    let retry_on = fields.take("retryOn").and_then(|reader| {
        let text = reader.text()?;
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            if !RETRY_ON.contains(&word) && word.parse::<u16>().is_err() {
                reader.report(
                    format!("{word:?} is no condition for retries"),
                    format!("known are {} and status codes", RETRY_ON.join(", ")),
                );
            }
        }
        Some(text)
    });
    let attempts = fields.take("attempts").and_then(|attempts| attempts.number(0, 100));
    let retries = Retries {
        attempts: attempts.and_then(|n| u32::try_from(n).ok()).unwrap_or(2),
        per_try_timeout: fields.duration("perTryTimeout"),
        retry_on,
        backoff: fields.duration("backoff"),
        again_at_previous_hosts: !flag(&fields, "retryIgnorePreviousHosts", true),
        remote_localities: flag(&fields, "retryRemoteLocalities", false),
    };
    fields.finish(&[
        "attempts",
        "perTryTimeout",
        "retryOn",
        "backoff",
        "retryIgnorePreviousHosts",
        "retryRemoteLocalities",
    ]);
    Some(retries)
}

fn flag(fields: &Fields<'_>, name: &str, default: bool) -> bool {
    fields.take(name).and_then(|flag| flag.flag()).unwrap_or(default)
}

fn fault(reader: &Reader<'_>) -> Option<Fault> {
    let fields = reader.fields()?;
    let fault = Fault {
        delay: fields.take("delay").and_then(|one| delay(&one)),
        abort: fields.take("abort").and_then(|one| abort(&one)),
    };
    fields.finish(&["delay", "abort"]);
    Some(fault)
}

fn delay(reader: &Reader<'_>) -> Option<FixedDelay> {
    let fields = reader.fields()?;
    let percent = fault_percent(&fields);
    let duration = fields.require("fixedDelay").and_then(|delay| delay.duration());
    fields.not_supported(&["exponentialDelay"]);
    fields.finish(&["percentage", "percent", "fixedDelay"]);
    Some(FixedDelay { duration: duration?, percent })
}

fn abort(reader: &Reader<'_>) -> Option<Abort> {
    let fields = reader.fields()?;
    let percent = fault_percent(&fields);
    let http =
        fields.take("httpStatus").map(|status| status.number(200, 599).and_then(|code| u16::try_from(code).ok()));
    let grpc = fields.take("grpcStatus").map(|status| grpc_status(&status));
    fields.not_supported(&["http2Error"]);
    fields.finish(&["percentage", "percent", "httpStatus", "grpcStatus"]);
    match (http, grpc) {
        (Some(status), None) => Some(Abort::Http { status: status?, percent }),
        (None, Some(status)) => Some(Abort::Grpc { status: status?, percent }),
        (None, None) | (Some(_), Some(_)) => {
            reader.report("one of httpStatus and grpcStatus is expected", "");
            None
        }
    }
}

/// Without a percentage a fault is for everybody.
fn fault_percent(fields: &Fields<'_>) -> f64 {
    let older = fields.take("percent").and_then(|percent| percent.decimal(0.0, 100.0));
    percentage(fields, "percentage").or(older).unwrap_or(100.0)
}

fn grpc_status(reader: &Reader<'_>) -> Option<u32> {
    const NAMES: [(&str, u32); 17] = [
        ("OK", 0),
        ("CANCELLED", 1),
        ("UNKNOWN", 2),
        ("INVALID_ARGUMENT", 3),
        ("DEADLINE_EXCEEDED", 4),
        ("NOT_FOUND", 5),
        ("ALREADY_EXISTS", 6),
        ("PERMISSION_DENIED", 7),
        ("RESOURCE_EXHAUSTED", 8),
        ("FAILED_PRECONDITION", 9),
        ("ABORTED", 10),
        ("OUT_OF_RANGE", 11),
        ("UNIMPLEMENTED", 12),
        ("INTERNAL", 13),
        ("UNAVAILABLE", 14),
        ("DATA_LOSS", 15),
        ("UNAUTHENTICATED", 16),
    ];
    reader.word(&NAMES)
}

fn mirrors(fields: &Fields<'_>) -> Vec<Mirror> {
    let older = ["mirrorPercent", "mirror_percent"].iter().find_map(|name| fields.take(name));
    let older = older.and_then(|percent| percent.decimal(0.0, 100.0));
    let percent = percentage(fields, "mirrorPercentage").or(older).unwrap_or(100.0);
    let mut mirrors: Vec<Mirror> = fields
        .take("mirror")
        .and_then(|one| destination(&one))
        .map(|destination| Mirror { destination, percent })
        .into_iter()
        .collect();
    for one in fields.list("mirrors") {
        let Some(mirror) = one.fields() else { continue };
        let percent = percentage(&mirror, "percentage").unwrap_or(100.0);
        let target = mirror.require("destination").and_then(|one| destination(&one));
        mirror.finish(&["destination", "percentage"]);
        mirrors.extend(target.map(|destination| Mirror { destination, percent }));
    }
    // A share of nothing is no mirror.
    mirrors.retain(|mirror| mirror.percent > 0.0);
    mirrors
}

pub(super) fn header_operations(reader: &Reader<'_>) -> HeaderOperations {
    let mut operations = HeaderOperations::default();
    let Some(fields) = reader.fields() else { return operations };
    if let Some(request) = fields.fields("request") {
        operations.request_set = changes(&request, "set");
        operations.request_add = changes(&request, "add");
        operations.request_remove = removed(&request);
        request.finish(&["set", "add", "remove"]);
    }
    if let Some(response) = fields.fields("response") {
        operations.response_set = changes(&response, "set");
        operations.response_add = changes(&response, "add");
        operations.response_remove = removed(&response);
        response.finish(&["set", "add", "remove"]);
    }
    fields.finish(&["request", "response"]);
    operations
}

/// Text that becomes a header's value.
fn header_text(fields: &Fields<'_>, name: &str) -> Option<String> {
    let reader = fields.take(name)?;
    reader.text().filter(|text| is_header_value(&reader, text))
}

fn changes(fields: &Fields<'_>, name: &str) -> BTreeMap<String, String> {
    let entries = fields.take(name).map(|all| all.entries()).unwrap_or_default();
    let valid = |(key, reader): (String, Reader<'_>)| {
        let value = reader.text()?;
        (is_header_name(&reader, &key) && is_header_value(&reader, &value)).then_some((key, value))
    };
    entries.into_iter().filter_map(valid).collect()
}

fn removed(fields: &Fields<'_>) -> Vec<String> {
    let names = fields.list("remove");
    names.iter().filter_map(|reader| reader.text().filter(|name| is_header_name(reader, name))).collect()
}
