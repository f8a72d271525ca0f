//! Istio's own documents for its definitions, read from the corpus beside the project, and what they leave out.

use std::path::Path;

use serde_json::{Value, json};

use super::{check, microseconds};

fn corpus(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/istio/crds").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

fn documents(name: &str) -> Vec<Value> {
    let documents = orrery_api::documents(&corpus(name)).unwrap_or_else(|why| panic!("{name}: {why:?}"));
    documents.iter().map(orrery_api::Document::to_json).collect()
}

fn told(document: &Value) -> Vec<String> {
    let violations = check(document).unwrap_or_else(|| panic!("no schema for {document}"));
    violations.iter().map(ToString::to_string).collect()
}

const KINDS: [&str; 5] = ["authz", "destinationrule", "peerauth", "serviceentry", "telemetry"];

#[test]
fn what_istio_calls_valid_is_accepted() {
    for kind in KINDS {
        for document in documents(&format!("{kind}-valid.yaml")) {
            assert_eq!(told(&document), [] as [String; 0], "{kind}: {document:#}");
        }
    }
}

#[test]
fn what_istio_calls_invalid_is_refused_for_its_reason() {
    let mut checked = 0;
    for kind in KINDS {
        for mut document in documents(&format!("{kind}-invalid.yaml")) {
            let reason = document.as_object_mut().and_then(|fields| fields.remove("_err")).expect("a stated reason");
            let reason = reason.as_str().expect("text");
            let told = told(&document);
            assert!(
                told.iter().any(|line| line.contains(reason)),
                "{kind}: {reason:?} is not in {told:#?} of {document:#}"
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 27);
}

#[test]
fn violations_have_their_place() {
    let document = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "a"}, "sepc": {},
        "spec": {"hosts": ["a"], "http": [{
            "match": [{"uri": {"regex": "["}, "headers": {"x/y": {"exakt": "1"}}}],
            "route": [{"destination": {"host": "a", "port": {"number": 70_000}}, "weight": "10"}, {"weight": 5}],
            "timeout": "soon", "retries": {"perTryTimeout": "1us"},
        }]},
    });
    let mut told = told(&document);
    told.sort();
    let expected = [
        "sepc: unknown field \"sepc\"",
        "spec.http[0].match[0].headers.x/y.exakt: unknown field \"spec.http[0].match[0].headers.x/y.exakt\"",
        "spec.http[0].match[0].uri.regex: Invalid value: \"[\": this is no regular expression: unclosed character class",
        "spec.http[0].retries.perTryTimeout: Invalid value: \"1us\": must be a valid duration greater than 1ms",
        "spec.http[0].route[0].destination.port: Invalid value: port must be between 1-65535",
        "spec.http[0].route[0].weight: Invalid value: \"string\": spec.http[0].route[0].weight in body must be of type integer: \"string\"",
        "spec.http[0].route[1].destination: Required value",
        "spec.http[0].timeout: Invalid value: \"soon\": must be a valid duration, such as 1.5s",
    ];
    assert_eq!(told, expected);
    let pointers: Vec<_> = check(&document).unwrap().into_iter().map(|violation| violation.pointer).collect();
    assert!(pointers.contains(&"/spec/http/0/match/0/headers/x~1y/exakt".to_owned()), "{pointers:?}");
}

#[test]
fn durations_are_gos() {
    for (text, length) in [
        ("1h2m3.5s", Some(3_723_500_000)),
        ("0s", Some(0)),
        ("1ms", Some(1_000)),
        ("", None),
        ("5", None),
        ("-1s", None),
        ("1x", None),
    ] {
        assert_eq!(microseconds(text), length, "{text}");
    }
}
