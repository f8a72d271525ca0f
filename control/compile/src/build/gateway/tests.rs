//! Listeners of gateways, and which proxies get which certificates.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret;
use orrery_api::{GatewayOrigin, GatewayWorkloads, Labels, Spec};
use prost::{Message, Name};

use crate::compile::{Compiled, compile};
use crate::proxy::{Interception, Proof, Proxy, ProxyKind, Secrets};
use crate::settings::Settings;
use crate::world::World;

const GATEWAY: &str = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ['*'], tls: {httpsRedirect: true}}
  - {port: {number: 443, name: one, protocol: HTTPS}, hosts: [a.example], tls: {mode: SIMPLE, credentialName: a}}
  - {port: {number: 443, name: two, protocol: HTTPS}, hosts: ['*.b.example'], tls: {mode: MUTUAL, credentialName: b}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec:
  hosts: ['a.example']
  gateways: [edge]
  http: [{directResponse: {status: 200}}]
";

fn proxy(namespace: &str, proof: Proof) -> Proxy {
    Proxy {
        id: format!("router~10.0.0.1~g.{namespace}~{namespace}.svc.cluster.local"),
        kind: ProxyKind::Router,
        address: [10, 0, 0, 1].into(),
        namespace: namespace.to_owned(),
        service_account: "g".into(),
        workload: "g".into(),
        labels: Labels([("istio".to_owned(), "ingressgateway".to_owned())].into()),
        cluster_id: "Kubernetes".into(),
        interception: Interception::Redirect,
        app_address: None,
        secrets: Secrets::Stream,
        proof,
    }
}

fn world(texts: &[&str]) -> World {
    let mut world = World::new(Settings::default());
    for text in texts {
        for object in orrery_api::parse(text, "test.yaml", "default").unwrap() {
            world.apply(object);
        }
    }
    world
}

/// The proxies of a Gateway of the default namespace.
fn workloads() -> Vec<GatewayWorkloads> {
    let labels = Labels([("istio".to_owned(), "ingressgateway".to_owned())].into());
    vec![GatewayWorkloads { namespace: "default".to_owned(), labels }]
}

/// A Secret with a new certificate, which is its own authority, and its key.
fn secret(namespace: &str, name: &str) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": namespace, "name": name},
        "stringData": {"tls.crt": certificate.pem(), "tls.key": key.serialize_pem(), "ca.crt": certificate.pem()},
    })
    .to_string()
}

fn names<M: Message + Name>(compiled: &Compiled) -> Vec<&str> {
    compiled.resources.get(&M::type_url()).into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

fn chains(compiled: &Compiled, name: &str) -> Vec<String> {
    let listener = &compiled.resources[&Listener::type_url()][name];
    let listener = Listener::decode(listener.body.value.as_slice()).unwrap();
    listener.filter_chains.into_iter().map(|chain| chain.name).collect()
}

#[test]
fn a_port_has_one_listener_with_a_chain_for_each_certificate() {
    let world = world(&[GATEWAY, &secret("default", "a"), &secret("default", "b")]);
    let compiled = compile(&world, &proxy("default", Proof::Proved));
    assert_eq!(names::<Listener>(&compiled), ["0.0.0.0_443", "0.0.0.0_80"]);
    assert_eq!(chains(&compiled, "0.0.0.0_443"), ["https.443.one.edge.default", "https.443.two.edge.default"]);
    assert_eq!(
        names::<RouteConfiguration>(&compiled),
        ["http.80", "https.443.one.edge.default", "https.443.two.edge.default"]
    );
    assert_eq!(names::<Secret>(&compiled), ["kubernetes://a", "kubernetes://b", "kubernetes://b-cacert"]);
}

#[test]
fn a_certificate_that_is_missing_or_bad_takes_only_its_own_chain_away() {
    let bad = "{apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {tls.crt: x, tls.key: y}}";
    for texts in [vec![GATEWAY], vec![GATEWAY, bad]] {
        let with_b = secret("default", "b");
        let world = world(&[texts.as_slice(), &[&with_b]].concat());
        let compiled = compile(&world, &proxy("default", Proof::Proved));
        assert_eq!(chains(&compiled, "0.0.0.0_443"), ["https.443.two.edge.default"]);
        assert_eq!(names::<Listener>(&compiled), ["0.0.0.0_443", "0.0.0.0_80"]);
    }
    let compiled = compile(&world(&[GATEWAY]), &proxy("default", Proof::Proved));
    assert_eq!(names::<Listener>(&compiled), ["0.0.0.0_80"]);
}

#[test]
fn secrets_go_only_to_proxies_that_proved_to_be_of_their_namespace() {
    let (a, b) = (secret("default", "a"), secret("default", "b"));
    let world = world(&[GATEWAY, &a, &b]);
    for (namespace, proof, expected) in [
        ("default", Proof::Proved, 3),
        ("default", Proof::Claimed, 0),
        // The same names in another namespace are other Secrets.
        ("elsewhere", Proof::Proved, 0),
    ] {
        let compiled = compile(&world, &proxy(namespace, proof));
        assert_eq!(names::<Secret>(&compiled).len(), expected, "{namespace} {proof:?}");
    }
}

#[test]
fn full_names_do_not_reach_into_other_namespaces() {
    for (credential, expected) in [
        ("kubernetes://other/x", 0),
        ("kubernetes-gateway://other/x", 0),
        ("configmap://other/x", 0),
        ("kubernetes://default/x", 1),
        ("kubernetes-gateway://default/x", 1),
        ("nothing://default/x", 0),
    ] {
        let gateway = GATEWAY.replace("credentialName: a}", &format!("credentialName: '{credential}'}}"));
        let world = world(&[&gateway, &secret("other", "x"), &secret("default", "x")]);
        let compiled = compile(&world, &proxy("default", Proof::Proved));
        assert_eq!(names::<Secret>(&compiled).len(), expected, "{credential}");
    }
}

#[test]
fn what_a_grant_allows_goes_to_proxies_of_the_gateways_namespace() {
    const CREDENTIAL: &str = "kubernetes-gateway://other/x";
    let text = GATEWAY.replace("credentialName: a}", &format!("credentialName: '{CREDENTIAL}'}}"));
    for (granted, namespace, expected) in
        [(true, "default", true), (false, "default", false), (true, "elsewhere", false)]
    {
        let mut world = world(&[&secret("other", "x")]);
        for mut object in orrery_api::parse(&text, "test.yaml", "default").unwrap() {
            if let Spec::Gateway(gateway) = &mut object.spec {
                let granted = granted.then(|| CREDENTIAL.to_owned()).into_iter().collect::<BTreeSet<_>>();
                gateway.origin = GatewayOrigin::GatewayApi { granted, workloads: workloads() };
            }
            world.apply(object);
        }
        let compiled = compile(&world, &proxy(namespace, Proof::Proved));
        assert_eq!(names::<Secret>(&compiled) == [CREDENTIAL], expected, "{granted} {namespace}");
    }
}

#[test]
fn a_new_certificate_changes_only_its_secret() {
    let b = secret("default", "b");
    let compiled = |a: &str| compile(&world(&[GATEWAY, a, &b]), &proxy("default", Proof::Proved));
    let (before, after) = (compiled(&secret("default", "a")), compiled(&secret("default", "a")));
    let mut changed = Vec::new();
    for (kind, resources) in &before.resources {
        for (name, resource) in resources {
            if after.resources[kind][name].version != resource.version {
                changed.push(name.as_str());
            }
        }
    }
    assert_eq!(changed, ["kubernetes://a"]);
}

/// What each domain of a route configuration leads to: the names of its routes.
fn domains(compiled: &Compiled, table: &str) -> Vec<(String, String)> {
    let resource = &compiled.resources[&RouteConfiguration::type_url()][table];
    let table = RouteConfiguration::decode(resource.body.value.as_slice()).unwrap();
    assert!(table.ignore_port_in_host_matching);
    let routes = |host: &envoy_types::pb::envoy::config::route::v3::VirtualHost| {
        host.routes.iter().map(|route| route.name.clone()).collect::<Vec<_>>().join(" ")
    };
    let mut found: Vec<(String, String)> =
        table.virtual_hosts.iter().map(|host| (host.domains.join(" "), routes(host))).collect();
    found.sort();
    found
}

/// Listeners of a Gateway API Gateway with these hosts, each a Gateway of its own with a route of its own name.
fn listeners(port: &str, hosts: &[&str], route_hosts: &[&str]) -> World {
    let mut world = world(&[&secret("default", "x")]);
    for (at, (host, route_host)) in hosts.iter().zip(route_hosts).enumerate() {
        let text = format!(
            "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: g{at}}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
  - {{port: {port}, hosts: ['{host}']}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: v{at}}}
spec:
  hosts: ['{route_host}']
  gateways: [g{at}]
  http: [{{name: r{at}, directResponse: {{status: 200}}}}]
"
        );
        let text = match port.contains("HTTPS") {
            true => text.replace("']}", "'], tls: {mode: SIMPLE, credentialName: 'kubernetes-gateway://default/x'}}"),
            false => text,
        };
        for mut object in orrery_api::parse(&text, "test.yaml", "default").unwrap() {
            if let Spec::Gateway(gateway) = &mut object.spec {
                let granted = ["kubernetes-gateway://default/x".to_owned()].into();
                gateway.origin = GatewayOrigin::GatewayApi { granted, workloads: workloads() };
            }
            world.apply(object);
        }
    }
    world
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(domain, routes)| ((*domain).to_owned(), (*routes).to_owned())).collect()
}

#[test]
fn requests_reach_only_the_listener_that_fits_best() {
    let port = "{number: 80, name: http, protocol: HTTP}";
    // Every route has a host that its listener takes, and of which another listener takes a part.
    let world = listeners(port, &["*", "*.example.com", "foo.example.com"], &["*", "*.example.com", "foo.example.com"]);
    let compiled = compile(&world, &proxy("default", Proof::Proved));
    let expected = [("*", "r0"), ("*.example.com", "r1"), ("foo.example.com", "r2")];
    assert_eq!(domains(&compiled, "http.80"), pairs(&expected));
    // A route of the widest listener for a host of a narrower one reaches nothing.
    let world = listeners(port, &["*", "*.example.com"], &["foo.example.com", "bar.example.com"]);
    let compiled = compile(&world, &proxy("default", Proof::Proved));
    let expected = [("*", ""), ("*.example.com", ""), ("bar.example.com", "r1")];
    assert_eq!(domains(&compiled, "http.80"), pairs(&expected));
}

#[test]
fn requests_over_a_connection_for_another_listener_are_misdirected() {
    let port = "{number: 443, name: https, protocol: HTTPS}";
    let world = listeners(
        port,
        &["*", "second.example", "*.wild.example", "fourth.wild.example"],
        &["first.example", "second.example", "*.wild.example", "fourth.wild.example"],
    );
    let compiled = compile(&world, &proxy("default", Proof::Proved));
    let misdirected = "misdirected";
    for (table, expected) in [
        (
            "https.443.https.g0.default",
            [
                ("*", ""),
                ("*.wild.example", misdirected),
                ("first.example", "r0"),
                ("fourth.wild.example", misdirected),
                ("second.example", misdirected),
            ]
            .as_slice(),
        ),
        (
            "https.443.https.g2.default",
            &[
                ("*", misdirected),
                ("*.wild.example", "r2"),
                ("fourth.wild.example", misdirected),
                ("second.example", misdirected),
            ],
        ),
    ] {
        assert_eq!(domains(&compiled, table), pairs(expected), "{table}");
    }
}

#[test]
fn routes_of_several_gateways_share_a_port_and_namespaces_bind_to_their_hosts() {
    let gateway = |name: &str, host: &str| {
        format!(
            "{{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {{name: {name}, namespace: edge}}, spec: {{selector: {{istio: ingressgateway}}, servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: ['{host}']}}]}}}}"
        )
    };
    let service = |namespace: &str, host: &str| {
        format!(
            "{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: v, namespace: {namespace}}}, spec: {{hosts: ['{host}'], gateways: [edge/one, edge/two], http: [{{name: {namespace}, directResponse: {{status: 200}}}}]}}}}"
        )
    };
    let world = world(&[
        &gateway("one", "a/*.example.com"),
        &gateway("two", "./own.example.com"),
        &service("a", "x.example.com"),
        &service("b", "y.example.com"),
        &service("edge", "*.example.com"),
    ]);
    let compiled = compile(&world, &proxy("default", Proof::Proved));
    assert_eq!(domains(&compiled, "http.80"), pairs(&[("own.example.com", "edge"), ("x.example.com", "a")]));
}
