//! The files.

use super::Poison;

/// A VirtualService for `ratings.poison`, a host of its own, with these routes.
fn service(name: &str, http: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\nspec:\n  hosts: [poison.example]\n  http: [{http}]\n"
    )
}

fn kubernetes_service(name: &str, spec: &str) -> String {
    format!("---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n")
}

fn entry(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {name}}}\nspec: {{resolution: NONE, {spec}}}\n"
    )
}

fn rule(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
    )
}

const TO_RATINGS: &str = "route: [{destination: {host: ratings}}]";

fn long(times: usize) -> String {
    "x".repeat(times)
}

const MIB: usize = 1 << 20;

pub(super) fn all() -> Vec<Poison> {
    let mut all = refused();
    all.extend(too_much());
    all.extend(of_no_use());
    all
}

fn bad(name: &'static str, text: String, says: &'static str) -> Poison {
    Poison { name, text: text.into_bytes(), says: Some(says) }
}

fn vain(name: &'static str, text: String) -> Poison {
    Poison { name, text: text.into_bytes(), says: None }
}

/// What is wrong by itself.
fn refused() -> Vec<Poison> {
    let route = |more: &str| service("poison", &format!("{{{more}, {TO_RATINGS}}}"));
    vec![
        bad(
            "entries for all",
            entry("poison", "hosts: ['*'], ports: [{number: 80, name: http, protocol: HTTP}]"),
            "no host of a service",
        ),
        bad("regex in a match", route("match: [{uri: {regex: 'a(b'}}]"), "regular expression"),
        bad("regex of a header", route("match: [{headers: {a: {regex: '[z-a]'}}}]"), "regular expression"),
        bad("regex in a rewrite", route("rewrite: {uriRegexRewrite: {match: '(', rewrite: x}}"), "regular expression"),
        bad("regex that grows", route("match: [{uri: {regex: '((a{1000}){1000}){1000}'}}]"), "regular expression"),
        bad(
            "a weight without end",
            service("poison", "{route: [{destination: {host: ratings}, weight: 99999999999999}]}"),
            "range",
        ),
        bad("a negative weight", service("poison", "{route: [{destination: {host: ratings}, weight: -1}]}"), "range"),
        bad(
            "a port beyond ports",
            service("poison", "{route: [{destination: {host: ratings, port: {number: 65536}}}]}"),
            "range",
        ),
        bad("a duration without end", route("timeout: 99999999999999999999h"), "duration"),
        bad("a duration of nothing", route("timeout: -5s"), "duration"),
        bad("a share beyond all", route("fault: {abort: {httpStatus: 503, percentage: {value: 1e308}}}"), "range"),
        bad("a status that is none", route("fault: {abort: {httpStatus: 99999}}"), "range"),
        bad("a header with a line break", route("headers: {request: {set: {a: \"b\\r\\nc: d\"}}}"), "header"),
        bad("a header without a name", route("headers: {request: {set: {'': b}}}"), "header"),
        bad("a body that is a list", "---\n- a\n- b\n".to_owned(), "object"),
        bad("a scalar", "---\njust text\n".to_owned(), "object"),
        bad("names that climb", service("../../etc/passwd", &format!("{{{TO_RATINGS}}}")), "name"),
        bad("a document without a kind", "apiVersion: v1\nmetadata: {name: a}\n".to_owned(), "kind"),
        bad("the same key twice", "kind: a\nkind: b\n".to_owned(), "twice"),
        Poison { name: "no UTF-8", text: b"apiVersion: \xff\xfe\n".to_vec(), says: Some("") },
        bad("a control character", "a: \u{1}\n".to_owned(), ""),
    ]
}

/// What is too much.
fn too_much() -> Vec<Poison> {
    let route = |more: &str| service("poison", &format!("{{{more}, {TO_RATINGS}}}"));
    let matches: Vec<String> = (0..10_000).map(|number| format!("{{uri: {{exact: /{number}}}}}")).collect();
    let matches = matches.join(", ");
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(", ")));
    }
    vec![
        bad("ten thousand matches", route(&format!("match: [{matches}]")), "matches"),
        bad("a name of a mebibyte", service(&long(MIB), &format!("{{{TO_RATINGS}}}")), "name"),
        bad(
            "a host of a mebibyte",
            service("poison", &format!("{{{TO_RATINGS}}}")).replace("poison.example", &long(MIB)),
            "bytes",
        ),
        bad(
            "a destination of a mebibyte",
            service("poison", &format!("{{route: [{{destination: {{host: {}}}}}]}}", long(MIB))),
            "bytes",
        ),
        bad("a header of a mebibyte", route(&format!("headers: {{request: {{set: {{a: {}}}}}}}", long(MIB))), "bytes"),
        bad(
            "a header's name of a mebibyte",
            route(&format!("headers: {{request: {{set: {{? {} : a}}}}}}", long(MIB))),
            "bytes",
        ),
        bad(
            "an annotation of a mebibyte",
            kubernetes_service("poison", "ports: [{port: 80}]")
                .replace("{name: poison}", &format!("{{name: poison, annotations: {{a: {}}}}}", long(MIB))),
            "bytes",
        ),
        bad(
            "a label of a mebibyte",
            kubernetes_service("poison", "ports: [{port: 80}]")
                .replace("{name: poison}", &format!("{{name: poison, labels: {{a: {}}}}}", long(MIB))),
            "bytes",
        ),
        bad(
            "a body of two mebibytes",
            service("poison", &format!("{{directResponse: {{status: 200, body: {{string: {}}}}}}}", long(2 * MIB))),
            "bytes",
        ),
        bad("nesting deeper than documents are", format!("a: {}{}", "[".repeat(80), "]".repeat(80)), "deep"),
        bad("nesting without end", format!("a: {}", "[".repeat(100_000)), "limit"),
        bad("mappings without end", format!("a: {}", "{a: ".repeat(100_000)), "deep"),
        bad("an alias bomb", bomb, "values"),
        bad("a mapping in itself", "a: &a [*a]\n".to_owned(), "alias"),
        bad("too many documents", "---\na: b\n".repeat(6_000), "documents"),
        bad("a file of nine mebibytes", format!("# {}", long(9 * MIB)), "bytes"),
    ]
}

/// What is valid, and harms nobody but itself.
fn of_no_use() -> Vec<Poison> {
    let double = |one: String| one.repeat(2);
    vec![
        vain("an unknown host", service("poison", "{route: [{destination: {host: nowhere.at.all}}]}")),
        vain("an unknown subset", service("poison", "{route: [{destination: {host: ratings, subset: v9}}]}")),
        vain("a delegate that is not there", service("poison", "{delegate: {name: nobody}}")),
        vain(
            "delegates in a circle",
            [
                service("poison", "{delegate: {name: other, namespace: default}}"),
                service("other", "{delegate: {name: poison, namespace: default}}"),
            ]
            .concat(),
        ),
        vain("a delegate to itself", service("poison", "{delegate: {name: poison}}")),
        vain(
            "many virtual services of one host",
            (0..50).map(|number| service(&format!("poison-{number}"), &format!("{{{TO_RATINGS}}}"))).collect(),
        ),
        vain(
            "a host that is a service's",
            entry(
                "poison",
                "hosts: [ratings.default.svc.cluster.local], ports: [{number: 9999, name: http, protocol: HTTP}]",
            ),
        ),
        vain(
            "many entries of one host",
            (0..50)
                .map(|number| {
                    entry(
                        &format!("poison-{number}"),
                        "hosts: [poison.example, POISON.example], ports: [{number: 80, name: http, protocol: HTTP}]",
                    )
                })
                .collect(),
        ),
        vain(
            "wildcards over each other",
            entry(
                "poison",
                "hosts: ['*.example', '*.a.example', a.example], ports: [{number: 80, name: http, protocol: HTTP}]",
            ),
        ),
        vain(
            "one port under two names",
            kubernetes_service("poison", "ports: [{port: 80, name: http}, {port: 80, name: http-two, protocol: UDP}]"),
        ),
        vain("a service without ports", kubernetes_service("poison", "clusterIP: None")),
        vain("rules twice", [rule("poison", "host: poison.example"), rule("other", "host: poison.example")].concat()),
        vain("comments and nothing", double("# nothing\n---\n".to_owned())),
    ]
}
