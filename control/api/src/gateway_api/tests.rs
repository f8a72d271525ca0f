//! Every manifest of the Gateway API conformance suite, and every Gateway API input of Istio's, is read.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Problem;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus")
}

/// What the suite writes into its manifests before it applies them.
fn filled_in(text: &str) -> String {
    text.replace("{GATEWAY_CLASS_NAME}", "orrery").replace("{GATEWAY_CONTROLLER_NAME}", "orrery.dev/gateway-controller")
}

/// Problems of all files of a directory, with their number.
fn problems(directory: &str, wanted: fn(&str) -> bool) -> (usize, Vec<Problem>) {
    let entries = fs::read_dir(corpus().join(directory)).expect("the corpus is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| wanted(path.file_name().unwrap().to_str().unwrap()));
    paths.sort();
    let mut found = Vec::new();
    for path in &paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = filled_in(&fs::read_to_string(path).unwrap());
        found.extend(crate::parse(&text, name, "default").err().into_iter().flatten());
    }
    (paths.len(), found)
}

fn shown(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn conformance_manifests_load() {
    for (directory, at_least) in [("tests", 130), ("base", 1), ("mesh", 1)] {
        let (files, problems) =
            problems(&format!("gateway-api/conformance/{directory}"), |name| name.ends_with(".yaml"));
        assert!(files >= at_least, "{files} files in {directory}");
        assert!(problems.is_empty(), "{}", shown(&problems));
    }
}

#[test]
fn inputs_of_istio_load() {
    let (files, problems) =
        problems("istio/gateway", |name| name.ends_with(".yaml") && !name.ends_with(".golden.yaml"));
    assert!(files >= 27, "{files} files");
    assert!(problems.is_empty(), "{}", shown(&problems));
}

fn problems_of(kind: &str, spec: &str) -> Vec<String> {
    let text = format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: {kind}, metadata: {{name: a, namespace: b}}, spec: {spec}}}"
    );
    let problems = crate::parse(&text, "f", "default").err().unwrap_or_default();
    problems.iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect()
}

#[test]
fn what_the_documentation_forbids_is_refused() {
    for (kind, spec, field, message) in [
        ("HTTPRoute", "{hostnames: ['*.*.a']}", "spec.hostnames[0]", "no host name"),
        ("HTTPRoute", "{rules: [{matches: [{path: {value: a}}]}]}", "spec.rules[0].matches[0].path", "no path"),
        ("HTTPRoute", "{rules: [{matches: [{path: {value: /a/../b}}]}]}", "spec.rules[0].matches[0].path", "no path"),
        (
            "HTTPRoute",
            "{rules: [{matches: [{path: {type: RegularExpression, value: '('}}]}]}",
            "spec.rules[0].matches[0].path.value",
            "no regular expression",
        ),
        ("HTTPRoute", "{rules: [{matches: [{method: get}]}]}", "spec.rules[0].matches[0].method", "no method"),
        (
            "HTTPRoute",
            "{rules: [{filters: [{type: RequestRedirect, requestRedirect: {statusCode: 300}}]}]}",
            "spec.rules[0].filters[0].requestRedirect.statusCode",
            "no status of a redirect",
        ),
        (
            "HTTPRoute",
            "{rules: [{filters: [{type: RequestRedirect, requestRedirect: {}}], backendRefs: [{name: a, port: 1}]}]}",
            "spec.rules[0]",
            "has no backendRefs",
        ),
        (
            "HTTPRoute",
            "{rules: [{backendRefs: [{name: a, port: 1, weight: 1000001}]}]}",
            "spec.rules[0].backendRefs[0].weight",
            "out of range",
        ),
        (
            "HTTPRoute",
            "{rules: [{timeouts: {request: 1s, backendRequest: 2s}}]}",
            "spec.rules[0].timeouts",
            "longer than request",
        ),
        ("GRPCRoute", "{rules: [{matches: [{method: {}}]}]}", "spec.rules[0].matches[0].method", "one of service"),
        ("Gateway", "{gatewayClassName: x, listeners: [{name: a, protocol: HTTP}]}", "spec.listeners[0]", "port"),
        (
            "Gateway",
            "{gatewayClassName: x, listeners: [{name: a, port: 1, protocol: HTTP}, {name: a, port: 2, protocol: HTTP}]}",
            "spec.listeners",
            "two listeners of the name a",
        ),
        ("ReferenceGrant", "{from: [], to: []}", "spec", "at least one"),
        (
            "BackendTLSPolicy",
            "{targetRefs: [{group: '', kind: Service, name: a}], validation: {hostname: a.b}}",
            "spec.validation",
            "one of caCertificateRefs",
        ),
    ] {
        let found = problems_of(kind, spec);
        let fits = |problem: &String| problem.starts_with(&format!("{field}: ")) && problem.contains(message);
        assert!(found.iter().any(fits), "{spec}: {found:?}");
    }
}
