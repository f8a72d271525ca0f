use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::extensions::filters::http::cors::v3::CorsPolicy;
use orrery_api::Labels;

use super::*;
use crate::proxy::{Interception, Proof, ProxyKind, Secrets};
use crate::settings::Settings;

const WORKLOADS: &str = r"
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {ports: [{port: 9080, name: http}], selector: {app: reviews}}
---
apiVersion: v1
kind: Pod
metadata: {name: reviews-v1, labels: {app: reviews, version: v1}, annotations: {sidecar.istio.io/status: '{}'}}
spec: {serviceAccountName: bookinfo-reviews, containers: []}
status: {podIP: 127.1.0.13}
---
apiVersion: v1
kind: Pod
metadata: {name: reviews-v2, labels: {app: reviews, version: v2}, annotations: {sidecar.istio.io/status: '{}'}}
spec: {serviceAccountName: bookinfo-reviews, containers: []}
status: {podIP: 127.1.0.14}
";

const RULES: &str = r"
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - route:
    - {destination: {host: reviews, subset: v1}, weight: 90}
    - {destination: {host: reviews, subset: v2}, weight: 10}
";

fn world(texts: &[&str]) -> World {
    let mut world = World::new(Settings::default());
    for text in texts {
        for object in orrery_api::parse(text, "test.yaml", "default").unwrap() {
            world.apply(object);
        }
    }
    world
}

fn proxy(interception: Interception) -> Proxy {
    Proxy {
        id: "sidecar~127.1.0.13~reviews-v1.default~default.svc.cluster.local".into(),
        kind: ProxyKind::Sidecar,
        address: [127, 1, 0, 13].into(),
        namespace: "default".into(),
        service_account: "bookinfo-reviews".into(),
        workload: "reviews-v1".into(),
        labels: Labels([("app".to_owned(), "reviews".to_owned())].into()),
        cluster_id: "Kubernetes".into(),
        interception,
        app_address: Some([127, 2, 0, 13].into()),
        secrets: Secrets::Stream,
        proof: Proof::Proved,
    }
}

fn get<M: Message + Name + Default>(compiled: &Compiled, name: &str) -> M {
    let all = &compiled.resources[&M::type_url()];
    let resource = all.get(name).unwrap_or_else(|| panic!("no {name} among {:?}", all.keys()));
    M::decode(resource.body.value.as_slice()).unwrap()
}

#[test]
fn a_sidecar_has_listeners_clusters_endpoints_and_routes() {
    let compiled = compile(&world(&[WORKLOADS]), &proxy(Interception::None));
    let inbound: Listener = get(&compiled, "127.1.0.13_9080");
    assert_eq!(inbound.filter_chains.len(), 3, "mutual TLS, plain text, TLS of the application");
    let _: Listener = get(&compiled, "virtualOutbound");
    let _: Cluster = get(&compiled, "inbound|9080||");
    let endpoints: ClusterLoadAssignment = get(&compiled, "outbound|9080||reviews.default.svc.cluster.local");
    assert_eq!(endpoints.endpoints[0].lb_endpoints.len(), 2);
    let routes: RouteConfiguration = get(&compiled, "http_proxy");
    let host = routes.virtual_hosts.iter().find(|h| h.name == "reviews.default.svc.cluster.local:9080").unwrap();
    for domain in ["reviews", "reviews:9080", "reviews.default.svc.cluster.local:9080"] {
        assert!(host.domains.iter().any(|one| one == domain), "{domain} in {:?}", host.domains);
    }
}

#[test]
fn strict_takes_mutual_tls_only() {
    let strict = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default}\nspec: {mtls: {mode: STRICT}}\n";
    let compiled = compile(&world(&[WORKLOADS, strict]), &proxy(Interception::None));
    assert_eq!(get::<Listener>(&compiled, "127.1.0.13_9080").filter_chains.len(), 1);
}

#[test]
fn a_split_names_its_subsets_and_they_have_their_endpoints() {
    let world = world(&[WORKLOADS, RULES]);
    let compiled = compile(&world, &proxy(Interception::None));
    let routes = format!("{:?}", get::<RouteConfiguration>(&compiled, "http_proxy"));
    assert!(routes.contains("outbound|9080|v1|reviews") && routes.contains("outbound|9080|v2|reviews"), "{routes}");
    let v2: ClusterLoadAssignment = get(&compiled, "outbound|9080|v2|reviews.default.svc.cluster.local");
    assert_eq!(v2.endpoints[0].lb_endpoints.len(), 1);
    assert!(crate::validate_references(&world, world.objects()).errors.is_empty());
}

#[test]
fn redirection_has_a_listener_for_each_port() {
    let compiled = compile(&world(&[WORKLOADS]), &proxy(Interception::Redirect));
    for name in ["virtualInbound", "virtualOutbound", "0.0.0.0_9080"] {
        let _: Listener = get(&compiled, name);
    }
    let _: RouteConfiguration = get(&compiled, "9080");
}

#[test]
fn a_change_of_endpoints_changes_only_endpoints() {
    let before = compile(&world(&[WORKLOADS]), &proxy(Interception::None));
    let third = WORKLOADS.rsplit("---").next().unwrap().replace("reviews-v2", "reviews-v3").replace(".14", ".15");
    let after = compile(&world(&[WORKLOADS, &third]), &proxy(Interception::None));
    for (kind, resources) in &before.resources {
        let changed: Vec<_> = resources
            .iter()
            .filter(|(name, one)| after.resources[kind].get(*name).map(|other| &other.version) != Some(&one.version))
            .collect();
        assert_eq!(
            changed.is_empty(),
            *kind != ClusterLoadAssignment::type_url(),
            "{kind}: {:?}",
            changed.iter().map(|c| c.0).collect::<Vec<_>>()
        );
    }
}

const DELEGATING: &str = r"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - name: root
    match: [{uri: {prefix: /reviews}}]
    timeout: 3s
    delegate: {name: part, namespace: team}
  - route: [{destination: {host: reviews}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: part, namespace: team}
spec:
  http:
  - name: inside
    match: [{uri: {prefix: /reviews/1}}, {uri: {exact: /elsewhere}}]
    corsPolicy: {allowOrigins: [{exact: 'https://a.io'}], allowMethods: [GET, PUT], maxAge: 1m}
    route: [{destination: {host: reviews.default.svc.cluster.local}}]
  - name: outside
    match: [{uri: {prefix: /other}}]
    route: [{destination: {host: reviews.default.svc.cluster.local}}]
";

#[test]
fn a_delegate_has_the_routes_that_lie_within_the_delegating_one() {
    let world = world(&[WORKLOADS, DELEGATING]);
    let references = crate::validate_references(&world, world.objects());
    assert!(references.errors.is_empty() && references.warnings.is_empty(), "{references:#?}");
    let routes: RouteConfiguration = get(&compile(&world, &proxy(Interception::None)), "http_proxy");
    let host = routes.virtual_hosts.iter().find(|host| host.name == "reviews.default.svc.cluster.local:9080").unwrap();
    let names: Vec<&str> = host.routes.iter().map(|route| route.name.as_str()).collect();
    assert_eq!(names, ["root-inside", ""], "{:#?}", host.routes);
    let text = format!("{:?}", host.routes[0]);
    assert!(text.contains("/reviews/1") && text.contains("seconds: 3"), "its match and the root's timeout: {text}");
    let cors = &host.routes[0].typed_per_filter_config["envoy.filters.http.cors"];
    let cors = CorsPolicy::decode(cors.value.as_slice()).unwrap();
    assert_eq!((cors.allow_methods.as_str(), cors.max_age.as_str()), ("GET,PUT", "60"));
}

#[test]
fn a_delegate_that_is_not_exported_is_not_used() {
    let text = DELEGATING.replace("namespace: team}\nspec:", "namespace: team}\nspec:\n  exportTo: [elsewhere]");
    let world = world(&[WORKLOADS, &text]);
    let warnings = crate::validate_references(&world, world.objects()).warnings;
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    let routes: RouteConfiguration = get(&compile(&world, &proxy(Interception::None)), "http_proxy");
    let host = routes.virtual_hosts.iter().find(|host| host.name == "reviews.default.svc.cluster.local:9080").unwrap();
    assert_eq!(host.routes.len(), 1);
}

#[test]
fn what_is_not_exported_is_not_there_for_others() {
    let services = "apiVersion: v1\nkind: Service\nmetadata: {name: own, namespace: team, annotations: {networking.istio.io/exportTo: .}}\n\
        spec: {ports: [{port: 80, name: http}], selector: {app: own}}\n---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n\
        metadata: {name: entry, namespace: team}\nspec: {hosts: [a.io], ports: [{number: 80, name: http, protocol: HTTP}], exportTo: [default]}\n";
    let rules = RULES.replace("metadata: {name: reviews}", "metadata: {name: reviews, namespace: istio-system}");
    let rules = rules
        .replace("host: reviews", "host: reviews.default.svc.cluster.local")
        .replace("hosts: [reviews]", "exportTo: [team]\n  hosts: [reviews.default.svc.cluster.local]");
    let world = world(&[WORKLOADS, services, &rules]);
    let in_default = compile(&world, &proxy(Interception::None));
    let in_team = compile(&world, &Proxy { namespace: "team".into(), ..proxy(Interception::None) });
    let names = |compiled: &Compiled| -> Vec<String> {
        let routes: RouteConfiguration = get(compiled, "http_proxy");
        routes.virtual_hosts.into_iter().map(|host| host.name).collect()
    };
    assert_eq!(names(&in_default), ["a.io:80", "reviews.default.svc.cluster.local:9080", "allow_any"]);
    assert_eq!(
        names(&in_team),
        ["own.team.svc.cluster.local:80", "reviews.default.svc.cluster.local:9080", "allow_any"]
    );
    let split =
        |compiled: &Compiled| format!("{:?}", get::<RouteConfiguration>(compiled, "http_proxy")).contains("|v1|");
    assert_eq!((split(&in_default), split(&in_team)), (false, true), "the VirtualService is for the namespace team");
}

#[test]
fn dangling_references_are_told_with_their_place() {
    let text = RULES.replace("subset: v2", "subset: v9").replace("host: reviews, subset: v1", "host: revues");
    let world = world(&[WORKLOADS, &text]);
    let errors = crate::validate_references(&world, world.objects()).errors;
    let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(
        fields,
        ["spec.http[0].route[0].destination.host", "spec.http[0].route[1].destination.subset"],
        "{errors:#?}"
    );
}

#[test]
fn every_extension_says_its_type() {
    let routes: RouteConfiguration =
        get(&compile(&world(&[WORKLOADS, RULES]), &proxy(Interception::None)), "http_proxy");
    let all = routes.virtual_hosts.iter().flat_map(|host| &host.routes);
    let policies = all.filter_map(|route| match route.action.as_ref()? {
        Action::Route(action) => action.retry_policy.as_ref(),
        _ => None,
    });
    let predicates: Vec<_> = policies.flat_map(|policy| &policy.retry_host_predicate).collect();
    assert!(!predicates.is_empty() && predicates.iter().all(|one| one.config_type.is_some()), "{predicates:?}");
}

#[test]
fn an_envoy_reads_its_secrets_from_files() {
    let in_files = Proxy { secrets: Secrets::Directory("/etc/mesh".to_owned()), ..proxy(Interception::None) };
    let compiled = compile(&world(&[WORKLOADS]), &in_files);
    let inbound = format!("{:?}", get::<Listener>(&compiled, "127.1.0.13_9080"));
    let outbound = format!("{:?}", get::<Cluster>(&compiled, "outbound|9080||reviews.default.svc.cluster.local"));
    for text in [inbound, outbound].map(|text| unpacked(&text)) {
        assert!(text.contains("/etc/mesh/default.yaml") && text.contains("/etc/mesh/ROOTCA.yaml"), "{text}");
    }
}

/// The text with packed messages, which `Debug` shows as numbers, made readable.
fn unpacked(debug: &str) -> String {
    let numbers = debug.split(['[', ']', ' ', ',']).filter_map(|word| word.parse::<u8>().ok());
    numbers.map(char::from).collect()
}
