//! DestinationRules and the mesh's settings, as clusters show them.

use envoy_types::pb::envoy::config::cluster::v3::cluster::LbPolicy;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;

use super::*;

const HOST: &str = "reviews.default.svc.cluster.local";

fn rule(name: &str, namespace: &str, host: &str, more: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec:\n  host: {host}\n{more}\n"
    )
}

fn cluster_of(texts: &[&str], proxy: &Proxy, subset: &str) -> Cluster {
    let texts: Vec<&str> = [WORKLOADS].into_iter().chain(texts.iter().copied()).collect();
    get(&compile(&world(&texts), proxy), &format!("outbound|9080|{subset}|{HOST}"))
}

fn balanced(cluster: &Cluster) -> LbPolicy {
    LbPolicy::try_from(cluster.lb_policy).unwrap()
}

fn seconds(cluster: &Cluster) -> i64 {
    cluster.connect_timeout.as_ref().unwrap().seconds
}

#[test]
fn the_nearest_namespace_has_the_word_and_of_it_the_most_specific_host() {
    let simple = |algorithm: &str| format!("  trafficPolicy: {{loadBalancer: {{simple: {algorithm}}}}}");
    let root = rule("root", "istio-system", "'*.local'", &simple("RANDOM"));
    let service = rule("service", "default", HOST, &simple("ROUND_ROBIN"));
    let broad = rule("broad", "client", "'*.local'", &simple("LEAST_REQUEST"));
    let client = rule("client", "client", "'*.default.svc.cluster.local'", &simple("PASSTHROUGH"));
    let from = Proxy { namespace: "client".into(), ..proxy(Interception::None) };
    let found = |texts: &[&str]| balanced(&cluster_of(texts, &from, ""));
    assert_eq!(found(&[&root]), LbPolicy::Random);
    assert_eq!(found(&[&root, &service]), LbPolicy::RoundRobin);
    assert_eq!(found(&[&root, &service, &broad]), LbPolicy::LeastRequest);
    assert_eq!(found(&[&root, &service, &broad, &client]), LbPolicy::ClusterProvided);
}

#[test]
fn rules_that_select_the_client_come_first_and_all_give_their_subsets() {
    let subset = |name: &str| format!("  subsets: [{{name: {name}, labels: {{version: v1}}}}]");
    let all =
        rule("a", "default", HOST, &format!("  trafficPolicy: {{loadBalancer: {{simple: RANDOM}}}}\n{}", subset("v1")));
    let more = rule(
        "b",
        "default",
        HOST,
        &format!("  trafficPolicy: {{loadBalancer: {{simple: ROUND_ROBIN}}}}\n{}", subset("v2")),
    );
    let selecting = rule(
        "c",
        "default",
        HOST,
        "  workloadSelector: {matchLabels: {app: reviews}}\n  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}",
    );
    let own = proxy(Interception::None);
    let other = Proxy { labels: Labels::default(), ..proxy(Interception::None) };
    let texts = [all.as_str(), &more, &selecting];
    assert_eq!(balanced(&cluster_of(&texts, &other, "")), LbPolicy::Random);
    assert_eq!(balanced(&cluster_of(&texts, &own, "")), LbPolicy::RoundRobin);
    for subset in ["v1", "v2"] {
        cluster_of(&texts, &own, subset);
        cluster_of(&texts, &other, subset);
    }
    let elsewhere = Proxy { namespace: "client".into(), ..proxy(Interception::None) };
    assert_eq!(
        balanced(&cluster_of(&[&selecting], &elsewhere, "")),
        LbPolicy::LeastRequest,
        "a selector is not exported"
    );
}

#[test]
fn a_port_replaces_and_a_subset_inherits() {
    let text = rule(
        "r",
        "default",
        HOST,
        "  trafficPolicy:
    loadBalancer: {simple: RANDOM}
    connectionPool: {tcp: {connectTimeout: 3s}}
    portLevelSettings:
    - {port: {number: 9080}, loadBalancer: {simple: ROUND_ROBIN}}
  subsets:
  - {name: v1, labels: {version: v1}, trafficPolicy: {connectionPool: {tcp: {connectTimeout: 5s}}}}",
    );
    let own = proxy(Interception::None);
    let whole = cluster_of(&[&text], &own, "");
    assert_eq!(
        (balanced(&whole), seconds(&whole)),
        (LbPolicy::RoundRobin, 10),
        "what the port leaves out is Istio's default"
    );
    let v1 = cluster_of(&[&text], &own, "v1");
    assert_eq!((balanced(&v1), seconds(&v1)), (LbPolicy::RoundRobin, 5));
}

#[test]
fn limits_and_budgets_are_as_the_rule_says() {
    let text = rule(
        "r",
        "default",
        HOST,
        "  trafficPolicy:
    retryBudget: {percent: 25, minRetryConcurrency: 5}
    connectionPool:
      tcp: {maxConnections: 3, tcpKeepalive: {time: 60s, interval: 5s, probes: 2}, maxConnectionDuration: 1h}
      http: {http1MaxPendingRequests: 4, http2MaxRequests: 5, maxRetries: 6, maxRequestsPerConnection: 7}
    loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 30s, aggression: 2}}
    outlierDetection: {consecutiveGatewayErrors: 2, consecutive5xxErrors: 0, interval: 1s, minHealthPercent: 10}",
    );
    let made = cluster_of(&[&text], &proxy(Interception::None), "");
    let limits = &made.circuit_breakers.as_ref().unwrap().thresholds[0];
    let number = |value: Option<envoy_types::pb::google::protobuf::UInt32Value>| value.map(|value| value.value);
    assert_eq!(number(limits.max_connections), Some(3));
    assert_eq!(number(limits.max_pending_requests), Some(4));
    assert_eq!((number(limits.max_requests), number(limits.max_retries)), (Some(5), Some(6)));
    assert_eq!(number(limits.retry_budget.unwrap().min_retry_concurrency), Some(5));
    let outlier = made.outlier_detection.unwrap();
    assert_eq!(number(outlier.enforcing_consecutive_5xx), Some(0));
    assert_eq!(number(outlier.enforcing_consecutive_gateway_failure), Some(100));
    assert!(made.lb_config.is_some() && made.upstream_connection_options.is_some());
}

fn placed(outlier: &str) -> Vec<u32> {
    let at = |place: &str, text: &str| text.replace("labels: {app", &format!("labels: {{istio-locality: {place}, app"));
    let pods: Vec<&str> = WORKLOADS.split("---").collect();
    let workloads = [pods[0].to_owned(), at("b.z.s", pods[1]), at("a.z.s", pods[2])].join("---");
    let text = rule("r", "default", HOST, &format!("  trafficPolicy: {{loadBalancer: {{simple: RANDOM}}{outlier}}}"));
    let near = Proxy { locality: "a/z/s".into(), ..proxy(Interception::None) };
    let compiled = compile(&world(&[&workloads, &text]), &near);
    let assignment: ClusterLoadAssignment = get(&compiled, &format!("outbound|9080||{HOST}"));
    assignment.endpoints.iter().map(|group| group.priority).collect()
}

#[test]
fn the_nearest_endpoints_come_first_where_endpoints_can_be_set_aside() {
    assert_eq!(placed(""), [0, 0]);
    assert_eq!(placed(", outlierDetection: {consecutive5xxErrors: 1}"), [1, 0]);
}

fn tls_of(cluster: &Cluster) -> Option<UpstreamTlsContext> {
    match cluster.transport_socket.as_ref()?.config_type.as_ref()? {
        ConfigType::TypedConfig(any) => UpstreamTlsContext::decode(any.value.as_slice()).ok(),
    }
}

#[test]
fn tls_is_as_the_rule_says() {
    let with = |tls: &str| rule("r", "default", HOST, &format!("  trafficPolicy: {{tls: {tls}}}"));
    let own = proxy(Interception::None);
    let of = |tls: &str, proxy: &Proxy| cluster_of(&[&with(tls)], proxy, "");
    let disabled = of("{mode: DISABLE}", &own);
    assert!(disabled.transport_socket.is_none() && disabled.transport_socket_matches.is_empty());
    let mesh = tls_of(&of("{mode: ISTIO_MUTUAL, sni: other}", &own)).unwrap();
    assert_eq!(mesh.sni, "other");
    let simple = tls_of(&of("{mode: SIMPLE, caCertificates: /ca.pem, subjectAltNames: [a.io]}", &own)).unwrap();
    assert_eq!(simple.sni, HOST);
    let text = format!("{simple:?}");
    assert!(text.contains("file-root:/ca.pem") && text.contains("a.io"), "{text}");
    let credential = "{mode: MUTUAL, credentialName: shop}";
    assert!(tls_of(&of(credential, &own)).is_none(), "not every sidecar may see a namespace's secrets");
    let gateway = Proxy { kind: ProxyKind::Router, ..own };
    let text = format!("{:?}", tls_of(&of(credential, &gateway)).unwrap());
    assert!(text.contains("kubernetes://shop\"") && text.contains("kubernetes://shop-cacert"), "{text}");
}

#[test]
fn the_meshs_config_map_changes_everything_at_once_and_back() {
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |\n    \
        connectTimeout: 3s\n    outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n    defaultServiceExportTo: ['.']\n    \
        what: is this\n";
    let shown = "apiVersion: v1\nkind: Service\nmetadata: {name: shown, annotations: {networking.istio.io/exportTo: '*'}}\n\
        spec: {ports: [{port: 80, name: http}], selector: {app: shown}}\n";
    let mut world = world(&[WORKLOADS, shown]);
    let object = orrery_api::parse(config, "mesh.yaml", "default").unwrap().remove(0);
    let key = object.key();
    let elsewhere = Proxy { namespace: "client".into(), ..proxy(Interception::None) };
    let seen = |world: &World| {
        let compiled = compile(world, &elsewhere);
        let routes: RouteConfiguration = get(&compiled, "http_proxy");
        let last = routes.virtual_hosts.last().unwrap().name.clone();
        let timeout = seconds(&get::<Cluster>(&compiled, "PassthroughCluster"));
        (timeout, last, compiled.resources[&Cluster::type_url()].contains_key(&format!("outbound|9080||{HOST}")))
    };
    assert_eq!(seen(&world), (10, "allow_any".to_owned(), true));
    let references = crate::validate_references(&world, [&object]);
    assert_eq!(references.warnings.len(), 1, "{references:#?}");
    world.apply(object);
    assert_eq!(seen(&world), (3, "block_all".to_owned(), false));
    world.delete(&key);
    assert_eq!(seen(&world), (10, "allow_any".to_owned(), true));
}
