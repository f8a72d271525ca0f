use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::{Route, RouteConfiguration};
use orrery_api::Labels;
use prost::{Message, Name};

use super::*;
use crate::proxy::{Interception, Proxy, ProxyKind, Secrets};
use crate::settings::Settings;

const SERVICES: &str = "
apiVersion: v1
kind: Service
metadata: {name: echo}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: other}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: gw-0, labels: {gateway.networking.k8s.io/gateway-name: gw}}
spec: {containers: []}
status: {podIP: 10.0.0.1}
";

const GATEWAY: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: orrery
  listeners: [{name: http, port: 80, protocol: HTTP}]
";

const ROUTE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{name: gw}]
  rules:
  - matches: [{path: {value: /a}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]
    backendRefs: [{name: echo, port: 80}]
  - backendRefs: [{name: echo, port: 80, weight: 3}, {name: nobody, kind: Unknown, port: 80}]
";

fn put(world: &mut World, text: &str) {
    for object in orrery_api::parse(text, "test.yaml", "default").unwrap() {
        world.apply(object);
    }
}

fn world(texts: &[&str]) -> World {
    let mut world = World::new(Settings::default());
    for text in texts {
        put(&mut world, text);
    }
    world.settle();
    world
}

fn key(kind: Kind, name: &str) -> Key {
    Key { kind, namespace: "default".to_owned(), name: name.to_owned() }
}

fn routes(world: &World) -> Vec<Route> {
    let proxy = Proxy {
        id: "router~10.0.0.1~gw-0.default~default.svc.cluster.local".into(),
        kind: ProxyKind::Router,
        address: [10, 0, 0, 1].into(),
        namespace: "default".into(),
        service_account: "gw".into(),
        workload: "gw".into(),
        labels: Labels([(GATEWAY_NAME.to_owned(), "gw".to_owned())].into()),
        cluster_id: "Kubernetes".into(),
        interception: Interception::Redirect,
        app_address: None,
        secrets: Secrets::Stream,
    };
    let compiled = crate::compile(world, &proxy);
    let tables = &compiled.resources[&RouteConfiguration::type_url()];
    let decode = |body: &[u8]| RouteConfiguration::decode(body).unwrap();
    let hosts = tables.values().flat_map(|table| decode(table.body.value.as_slice()).virtual_hosts);
    hosts.flat_map(|host| host.routes).collect()
}

const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

#[test]
fn derived_objects_take_part_and_are_not_shown() {
    let mut world = world(&[SERVICES, GATEWAY, ROUTE]);
    assert_eq!(world.of_kind(Kind::VirtualService).count(), 1);
    assert_eq!(world.of_kind(Kind::Gateway).count(), 1);
    assert!(world.objects().all(|object| !matches!(object.key.kind, Kind::VirtualService | Kind::Gateway)));
    assert_eq!(routes(&world).len(), 2);
    world.delete(&key(Kind::HttpRoute, "r"));
    world.settle();
    assert_eq!(world.of_kind(Kind::VirtualService).count(), 0);
    world.delete(&key(Kind::KubernetesGateway, "gw"));
    world.settle();
    assert_eq!(world.of_kind(Kind::Gateway).count(), 0);
}

#[test]
fn routes_follow_the_rules_of_gateway_api() {
    let routes = routes(&world(&[SERVICES, GATEWAY, ROUTE]));
    let matching = routes[0].r#match.as_ref().unwrap();
    assert_eq!(matching.path_specifier, Some(PathSpecifier::PathSeparatedPrefix("/a".to_owned())));
    for route in &routes {
        let Some(Action::Route(action)) = &route.action else { panic!("{route:?}") };
        assert_eq!(action.cluster_not_found_response_code, 2, "500 for {route:?}");
    }
    let Some(Action::Route(action)) = &routes[0].action else { panic!("{routes:?}") };
    assert_eq!(action.regex_rewrite.as_ref().unwrap().substitution, r"/\2");
}

#[test]
fn status_tells_what_is_so_now() {
    let mut world = world(&[GATEWAY, ROUTE]);
    let reason = |world: &World, kind: Kind, name: &str, condition: &str| {
        let status = world.status(&key(kind, name)).unwrap();
        let of = status["parents"].as_array().map_or(&status, |parents| &parents[0]).clone();
        let all = of["conditions"].as_array().unwrap().clone();
        all.iter().find(|one| one["type"] == condition).unwrap()["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(reason(&world, Kind::HttpRoute, "r", "ResolvedRefs"), "InvalidKind");
    assert_eq!(reason(&world, Kind::KubernetesGateway, "gw", "Programmed"), "AddressNotUsable");
    put(&mut world, SERVICES);
    world.settle();
    assert_eq!(reason(&world, Kind::KubernetesGateway, "gw", "Programmed"), "Programmed");
    let gateway = world.status(&key(Kind::KubernetesGateway, "gw")).unwrap();
    assert_eq!(gateway["addresses"][0]["value"], "10.0.0.1");
    assert_eq!(gateway["listeners"][0]["attachedRoutes"], 1);
    assert_eq!(world.status(&key(Kind::Service, "echo")), None);
}

#[test]
fn only_what_was_looked_at_makes_the_translation_stale() {
    let mut world = world(&[SERVICES, GATEWAY, ROUTE]);
    put(&mut world, "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: []}}");
    put(&mut world, "{apiVersion: v1, kind: Service, metadata: {name: third}, spec: {ports: [{port: 80}]}}");
    assert!(!world.derived.stale);
    world.delete(&key(Kind::Service, "echo"));
    assert!(world.derived.stale);
}

#[test]
fn a_generation_grows_with_what_is_asked_for() {
    let mut world = world(&[GATEWAY]);
    let generation = |world: &World| world.get(&key(Kind::KubernetesGateway, "gw")).unwrap().meta.generation;
    assert_eq!(generation(&world), 1);
    put(&mut world, GATEWAY);
    assert_eq!(generation(&world), 1);
    put(&mut world, &GATEWAY.replace("port: 80", "port: 81"));
    assert_eq!(generation(&world), 2);
    put(&mut world, &GATEWAY.replace("metadata: {name: gw}", "metadata: {name: gw, generation: 7}"));
    assert_eq!(generation(&world), 7);
}
