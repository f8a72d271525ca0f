use std::path::Path;

use super::*;
use crate::virtual_service::StringMatch;

const HEAD: &str = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: reviews\nspec:\n  hosts:\n  - reviews\n  http:\n";

fn problems(yaml: &str) -> Vec<String> {
    match parse(yaml, "f.yaml", "default") {
        Ok(objects) => panic!("accepted: {objects:?}"),
        Err(problems) => problems.iter().map(|p| format!("{}:{} {}", p.line, p.field, p.message)).collect(),
    }
}

#[test]
fn mistakes_name_line_and_field() {
    for (tail, expected) in [
        (
            "  - route:\n    - destination: {host: reviews}\n      weight: half\n",
            "11:spec.http[0].route[0].weight a whole number",
        ),
        (
            "  - route:\n    - destination: {hosst: reviews}\n",
            "10:spec.http[0].route[0].destination the field host is missing",
        ),
        (
            "  - timeout: \"5\"\n    route:\n    - destination: {host: reviews}\n",
            "9:spec.http[0].timeout \"5\" is no duration",
        ),
        (
            "  - match:\n    - uri: {exact: /a, prefix: /b}\n    route:\n    - destination: {host: reviews}\n",
            "10:spec.http[0].match[0].uri one of exact, prefix and regex",
        ),
        (
            "  - match:\n    - uri: {regex: \"/a(b\"}\n    route:\n    - destination: {host: reviews}\n",
            "10:spec.http[0].match[0].uri.regex \"/a(b\" is no regular expression",
        ),
        (
            "  - corsPolicy: {maxAge: soon}\n    route:\n    - destination: {host: reviews}\n",
            "9:spec.http[0].corsPolicy.maxAge",
        ),
        (
            "  - headers: {request: {set: {a/b: c}}}\n    route:\n    - destination: {host: reviews}\n",
            "9:spec.http[0].headers.request.set.a/b \"a/b\" is no name of a header",
        ),
        (
            "  - headers: {response: {add: {a: \"b\\n\"}}}\n    route:\n    - destination: {host: reviews}\n",
            "9:spec.http[0].headers.response.add.a \"b\\n\" is no value of a header",
        ),
        (
            "  - fault: {abort: {httpStatus: 5000}}\n    route:\n    - destination: {host: reviews}\n",
            "9:spec.http[0].fault.abort.httpStatus 5000 is out of range",
        ),
    ] {
        let found = problems(&format!("{HEAD}{tail}"));
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{expected} is not among {found:#?}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_and_a_good_document_is_not_enough() {
    let bad = format!("{HEAD}  - route:\n    - destination: {{host: reviews, subsett: v1}}\n      weigth: 1\n");
    let good = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n";
    let found = problems(&format!("{good}---\n{bad}"));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().any(|p| p.contains("subsett")) && found.iter().any(|p| p.contains("weigth")), "{found:?}");
}

#[test]
fn unknown_kinds_and_versions_are_told_apart() {
    let document =
        |version: &str, kind: &str| format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x}}\nspec: {{}}\n");
    for (version, kind, expected) in [
        ("networking.istio.io/v1", "VirtualServise", "2:kind VirtualServise is no kind"),
        (
            "networking.istio.io/v9",
            "VirtualService",
            "1:apiVersion VirtualService does not exist in networking.istio.io/v9",
        ),
        ("v1", "Secrett", "2:kind Secrett is no kind"),
        (
            "gateway.networking.k8s.io/v9",
            "Gateway",
            "1:apiVersion Gateway does not exist in gateway.networking.k8s.io/v9",
        ),
    ] {
        let found = problems(&document(version, kind));
        assert!(found[0].starts_with(expected), "{expected}: {found:?}");
    }
}

#[test]
fn names_and_namespaces() {
    let document = "apiVersion: v1\nkind: Service\nmetadata:\n  name: Reviews_1\nspec: {}\n";
    assert!(problems(document)[0].starts_with("4:metadata.name \"Reviews_1\" is no name"));
    let objects =
        parse("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n", "f", "shop")
            .unwrap();
    assert_eq!(objects[0].key.to_string(), "Service/shop/a");
    assert_eq!(objects[0].raw.to_value()["metadata"]["namespace"], "shop");
}

fn sample(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/istio/samples").join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|why| panic!("{}: {why}", file.display()))
}

#[test]
fn istios_bookinfo_files_are_read() {
    for name in [
        "bookinfo-gateway",
        "destination-rule-all",
        "destination-rule-all-mtls",
        "destination-rule-reviews",
        "fault-injection-details-v1",
        "virtual-service-all-v1",
        "virtual-service-details-v2",
        "virtual-service-ratings-db",
        "virtual-service-ratings-mysql",
        "virtual-service-ratings-mysql-vm",
        "virtual-service-ratings-test-abort",
        "virtual-service-ratings-test-delay",
        "virtual-service-reviews-50-v3",
        "virtual-service-reviews-80-20",
        "virtual-service-reviews-90-10",
        "virtual-service-reviews-jason-v2-v3",
        "virtual-service-reviews-test-v2",
        "virtual-service-reviews-v2-v3",
        "virtual-service-reviews-v3",
    ] {
        let text = sample(&format!("bookinfo-networking/{name}.yaml"));
        let objects = parse(&text, name, "default").unwrap_or_else(|problems| panic!("{name}: {problems:#?}"));
        assert!(!objects.is_empty(), "{name}");
    }
    let objects = parse(&sample("bookinfo-kube/bookinfo.yaml"), "bookinfo.yaml", "default").unwrap();
    assert_eq!(objects.iter().filter(|object| object.key.kind == Kind::Service).count(), 4);
}

#[test]
fn a_route_for_one_user_is_understood() {
    let text = sample("bookinfo-networking/virtual-service-reviews-test-v2.yaml");
    let objects = parse(&text, "f", "default").unwrap();
    let Spec::VirtualService(service) = &objects[0].spec else { panic!() };
    assert_eq!(service.http[0].matches[0].headers["end-user"], Some(StringMatch::Exact("jason".into())));
    assert_eq!(service.http[0].route[0].destination.subset.as_ref().unwrap().value, "v2");
    assert!(service.http[1].matches.is_empty());
}

#[test]
fn documents_survive_being_written() {
    let text = sample("bookinfo-networking/virtual-service-all-v1.yaml");
    for object in parse(&text, "f", "default").unwrap() {
        let again = parse(&object.to_yaml(), "g", "default").unwrap_or_else(|p| panic!("{p:#?}\n{}", object.to_yaml()));
        assert_eq!(again, [object]);
    }
}

#[test]
fn kinds_that_are_not_acted_on_do_not_stand_in_the_way_of_others() {
    let text = "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: x}\nspec: {configPatches: []}\n\
        ---\napiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {name: y}\nspec: {url: 'oci://a'}\n\
        ---\napiVersion: v1\nkind: Namespace\nmetadata: {name: z}\n";
    let objects = parse(text, "f.yaml", "default").unwrap();
    let not_acted_on: Vec<_> = objects.iter().map(|object| object.key.kind.not_acted_on().is_some()).collect();
    assert_eq!(not_acted_on, [true, true, false]);
}
