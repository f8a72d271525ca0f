//! Tables of what the standard says of references, grants, listeners and backends: a few lines of configuration, and the
//! conditions that come of them.

use orrery_api::{Key, Kind};
use serde_json::Value;

use crate::golden::Cluster;
use crate::{Translation, translate};

const GATEWAY: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: gw, namespace: default }
spec:
  gatewayClassName: orrery
  listeners:
  - { name: a, port: 80, protocol: HTTP, hostname: a.example, allowedRoutes: { namespaces: { from: All } } }
  - { name: b, port: 81, protocol: HTTP, hostname: '*.b.example' }
  - { name: c, port: 82, protocol: TCP }
  - { name: d, port: 53, protocol: UDP }
---
";

fn translated(text: &str) -> (Cluster, Translation) {
    let input = orrery_api::parse(text, "case", "default").unwrap_or_else(|problems| panic!("{problems:?}: {text}"));
    let cluster = Cluster::around(input);
    let translation = translate(&cluster);
    (cluster, translation)
}

fn status(text: &str, kind: Kind, namespace: &str, name: &str) -> Value {
    let (cluster, translation) = translated(text);
    let key = Key { kind, namespace: namespace.to_owned(), name: name.to_owned() };
    let object = cluster.given().find(|object| object.key == key).unwrap_or_else(|| panic!("no {key}"));
    translation.status(object, &cluster).unwrap_or_else(|| panic!("no status of {key}"))
}

/// `Accepted=True:Accepted` and so on.
fn conditions(of: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = of["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().map(|one| format!("{}={}:{}", text(&one["type"]), text(&one["status"]), text(&one["reason"]))).collect()
}

fn assert_has(found: &[String], wanted: &[&str], about: &str) {
    for one in wanted {
        assert!(found.iter().any(|known| known == one), "{about}: {one} is not among {found:?}");
    }
}

fn route(kind: &str, namespace: &str, spec: &str) -> String {
    format!(
        "{GATEWAY}apiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\nmetadata: {{ name: r, namespace: {namespace} }}\nspec: {spec}\n"
    )
}

#[test]
fn attachments() {
    const FINE: &str = "Accepted=True:Accepted";
    const NO_PARENT: &str = "Accepted=False:NoMatchingParent";
    const NO_HOST: &str = "Accepted=False:NoMatchingListenerHostname";
    const NOT_ALLOWED: &str = "Accepted=False:NotAllowedByListeners";
    for (kind, namespace, parent, hosts, expected) in [
        ("HTTPRoute", "default", "name: gw", "[a.example]", FINE),
        ("HTTPRoute", "default", "name: gw, sectionName: a", "[]", FINE),
        ("HTTPRoute", "default", "name: gw, sectionName: z", "[]", NO_PARENT),
        ("HTTPRoute", "default", "name: gw, port: 80", "[]", FINE),
        ("HTTPRoute", "default", "name: gw, port: 9", "[]", NO_PARENT),
        ("HTTPRoute", "default", "name: gw, sectionName: a, port: 81", "[]", NO_PARENT),
        ("HTTPRoute", "default", "name: gw, sectionName: a", "[b.example]", NO_HOST),
        ("HTTPRoute", "default", "name: gw, sectionName: b", "[x.b.example]", FINE),
        ("HTTPRoute", "default", "name: gw, sectionName: b", "['*.example']", FINE),
        ("HTTPRoute", "default", "name: gw, sectionName: b", "[b.example]", NO_HOST),
        ("HTTPRoute", "default", "name: gw, sectionName: c", "[]", NOT_ALLOWED),
        ("HTTPRoute", "apple", "name: gw, namespace: default, sectionName: a", "[]", FINE),
        ("HTTPRoute", "apple", "name: gw, namespace: default, sectionName: b", "[]", NOT_ALLOWED),
        ("GRPCRoute", "default", "name: gw, sectionName: a", "[]", FINE),
        ("TLSRoute", "default", "name: gw, sectionName: a", "[a.example]", NOT_ALLOWED),
        ("HTTPRoute", "default", "name: echo, kind: Service, group: ''", "[]", FINE),
        ("HTTPRoute", "default", "name: nobody, kind: Service, group: ''", "[]", NO_PARENT),
    ] {
        let text = route(kind, namespace, &format!("{{ parentRefs: [{{ {parent} }}], hostnames: {hosts} }}"));
        let kind = Kind::named(kind)[0];
        let status = status(&text, kind, namespace, "r");
        assert_has(&conditions(&status["parents"][0]), &[expected], &format!("{parent} {hosts}"));
    }
    for (kind, section, expected) in [
        ("TCPRoute", "c", FINE),
        ("UDPRoute", "d", FINE),
        ("UDPRoute", "c", NOT_ALLOWED),
        ("TCPRoute", "d", NOT_ALLOWED),
    ] {
        let text = route(kind, "default", &format!("{{ parentRefs: [{{ name: gw, sectionName: {section} }}] }}"));
        let status = status(&text, Kind::named(kind)[0], "default", "r");
        assert_has(&conditions(&status["parents"][0]), &[expected], section);
    }
}

#[test]
fn backends() {
    for (backend, expected) in [
        ("name: echo, port: 80", "ResolvedRefs=True:ResolvedRefs"),
        ("name: nobody, port: 80", "ResolvedRefs=False:BackendNotFound"),
        ("name: echo, kind: Pod, port: 80", "ResolvedRefs=False:InvalidKind"),
        ("name: echo, group: example.com, kind: Thing", "ResolvedRefs=False:InvalidKind"),
        ("name: echo", "ResolvedRefs=False:InvalidDestination"),
        ("name: my-svc, namespace: service, port: 80", "ResolvedRefs=False:RefNotPermitted"),
    ] {
        let spec = format!("{{ parentRefs: [{{ name: gw }}], rules: [{{ backendRefs: [{{ {backend} }}] }}] }}");
        let status = status(&route("HTTPRoute", "default", &spec), Kind::HttpRoute, "default", "r");
        assert_has(&conditions(&status["parents"][0]), &[expected], backend);
    }
}

#[test]
fn grants() {
    let spec =
        "{ parentRefs: [{ name: gw }], rules: [{ backendRefs: [{ name: my-svc, namespace: service, port: 80 }] }] }";
    for (kind, namespace, to_kind, name, allowed) in [
        ("HTTPRoute", "default", "Service", "my-svc", true),
        ("HTTPRoute", "default", "Service", "", true),
        ("HTTPRoute", "default", "Service", "other", false),
        ("GRPCRoute", "default", "Service", "my-svc", false),
        ("HTTPRoute", "apple", "Service", "my-svc", false),
        ("HTTPRoute", "default", "Secret", "my-svc", false),
    ] {
        let named = if name.is_empty() { String::new() } else { format!(", name: {name}") };
        let grant = format!(
            "---\napiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {{ name: g, namespace: service }}\n\
             spec: {{ from: [{{ group: gateway.networking.k8s.io, kind: {kind}, namespace: {namespace} }}], \
             to: [{{ group: '', kind: {to_kind}{named} }}] }}\n"
        );
        let status =
            status(&format!("{}{grant}", route("HTTPRoute", "default", spec)), Kind::HttpRoute, "default", "r");
        let expected = if allowed { "ResolvedRefs=True:ResolvedRefs" } else { "ResolvedRefs=False:RefNotPermitted" };
        assert_has(&conditions(&status["parents"][0]), &[expected], &grant);
    }
}

#[test]
fn listeners_that_exclude_each_other() {
    const TLS: &str = "tls: { mode: Terminate, certificateRefs: [{ name: cert }] }";
    for (one, other, expected) in [
        (
            "port: 80, protocol: HTTP, hostname: a.b",
            "port: 80, protocol: HTTP, hostname: a.b",
            Some("HostnameConflict"),
        ),
        ("port: 80, protocol: HTTP", "port: 80, protocol: HTTP", Some("HostnameConflict")),
        ("port: 80, protocol: HTTP, hostname: a.b", "port: 80, protocol: HTTP, hostname: '*.b'", None),
        ("port: 80, protocol: HTTP, hostname: a.b", "port: 81, protocol: HTTP, hostname: a.b", None),
        (
            "port: 80, protocol: HTTP, hostname: a.b",
            "port: 80, protocol: HTTPS, hostname: a.b, TLS",
            Some("ProtocolConflict"),
        ),
        ("port: 80, protocol: HTTP, hostname: a.b", "port: 80, protocol: HTTPS, hostname: c.b, TLS", None),
        ("port: 80, protocol: TCP", "port: 80, protocol: HTTP", Some("ProtocolConflict")),
        ("port: 80, protocol: TCP", "port: 80, protocol: TCP", Some("ProtocolConflict")),
        ("port: 80, protocol: TCP", "port: 80, protocol: UDP", None),
        ("port: 80, protocol: UDP", "port: 80, protocol: HTTP", None),
    ] {
        let text = format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{ name: gw, namespace: cert }}\n\
             spec: {{ gatewayClassName: orrery, listeners: [{{ name: one, {one} }}, {{ name: other, {other} }}] }}\n"
        );
        let status = status(&text.replace("TLS }", &format!("{TLS} }}")), Kind::KubernetesGateway, "cert", "gw");
        let (first, second) = (conditions(&status["listeners"][0]), conditions(&status["listeners"][1]));
        assert_has(&first, &["Accepted=True:Accepted", "Conflicted=False:NoConflicts"], one);
        match expected {
            None => assert_has(&second, &["Accepted=True:Accepted", "Conflicted=False:NoConflicts"], other),
            Some(reason) => {
                let wanted = [format!("Accepted=False:{reason}"), format!("Conflicted=True:{reason}")];
                assert_has(&second, &[&wanted[0], &wanted[1]], other);
                assert_has(&conditions(&status), &["Accepted=True:ListenersNotValid"], other);
            }
        }
    }
}

#[test]
fn certificates() {
    for (reference, expected) in [
        ("name: cert", "ResolvedRefs=True:ResolvedRefs"),
        ("name: nobody", "ResolvedRefs=False:InvalidCertificateRef"),
        ("name: cert, kind: ConfigMap", "ResolvedRefs=False:InvalidCertificateRef"),
        ("name: malformed, namespace: istio-system", "ResolvedRefs=False:RefNotPermitted"),
    ] {
        let text = format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{ name: gw, namespace: cert }}\n\
             spec: {{ gatewayClassName: orrery, listeners: [{{ name: a, port: 443, protocol: HTTPS, \
             tls: {{ certificateRefs: [{{ {reference} }}] }} }}] }}\n"
        );
        let status = status(&text, Kind::KubernetesGateway, "cert", "gw");
        assert_has(&conditions(&status["listeners"][0]), &[expected], reference);
    }
}

#[test]
fn backends_that_change_requests_share_a_rule() {
    let spec = "{ parentRefs: [{ name: gw, sectionName: a }], rules: [{ backendRefs: [
        { name: echo, port: 80, weight: 1, filters: [{ type: URLRewrite, urlRewrite: { hostname: one.example } }] },
        { name: httpbin, port: 80, weight: 3 }] }] }";
    let (_, translation) = translated(&route("HTTPRoute", "default", spec));
    let services = translation.derived().iter().filter_map(|object| match &object.spec {
        orrery_api::Spec::VirtualService(service) => Some(service),
        _ => None,
    });
    let routes: Vec<_> = services.flat_map(|service| &service.http).collect();
    let shares: Vec<_> = routes.iter().map(|route| route.share).collect();
    assert_eq!(shares, [Some((1, 4)), None]);
    let hosts: Vec<_> =
        routes.iter().map(|route| route.rewrite.as_ref().and_then(|rewrite| rewrite.authority.clone())).collect();
    assert_eq!(hosts, [Some("one.example".to_owned()), None]);
}
