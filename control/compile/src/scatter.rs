//! Random objects of a small mesh, which meet each other often. For tests.

use orrery_api::Object;
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

const NAMESPACES: [&str; 3] = ["a", "b", "istio-system"];
const HOSTS: [&str; 9] =
    ["s0", "s1", "s0.b", "s1.a.svc", "s2.a.svc.cluster.local", "x.example.com", "*.example.com", "*", "e0.net"];

/// Any object that a proxy's resources may depend on.
pub(crate) fn object(random: &mut SmallRng) -> Object {
    let namespace = pick(random, &NAMESPACES);
    let text = match random.random_range(0..10) {
        0 | 1 => service(random),
        2 | 3 => pod(random),
        4 => slice(random),
        5 => entry(random),
        6 => workload(random),
        7 => virtual_service(random),
        8 => destination_rule(random),
        _ => rest(random),
    };
    orrery_api::parse(&text, "scatter.yaml", namespace)
        .unwrap_or_else(|problems| panic!("{problems:?}: {text}"))
        .remove(0)
}

fn pick<'a>(random: &mut SmallRng, words: &[&'a str]) -> &'a str {
    words.choose(random).copied().unwrap_or_default()
}

fn number(random: &mut SmallRng, below: u32) -> u32 {
    random.random_range(0..below)
}

fn service(random: &mut SmallRng) -> String {
    let selector =
        pick(random, &["", ", selector: {app: x}", ", selector: {app: y}", ", selector: {app: x, version: v1}"]);
    let port =
        pick(random, &["{port: 80, name: http}", "{port: 90, name: tcp, targetPort: 91}", "{port: 80, name: grpc}"]);
    let export = pick(random, &["'*'", "'.'", "b"]);
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: s{}, annotations: {{networking.istio.io/exportTo: {export}}}}}\n\
         spec: {{clusterIP: 10.0.0.{}, ports: [{port}]{selector}}}\n",
        number(random, 3),
        number(random, 3),
    )
}

fn pod(random: &mut SmallRng) -> String {
    let annotations = pick(random, &["{}", "{sidecar.istio.io/status: '{}'}"]);
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p{}, labels: {{app: {}, version: v{}}}, annotations: {annotations}}}\n\
         spec: {{serviceAccountName: sa{}, containers: []}}\nstatus: {{podIP: 10.1.0.{}}}\n",
        number(random, 4),
        pick(random, &["x", "y"]),
        number(random, 2),
        number(random, 2),
        number(random, 4),
    )
}

fn slice(random: &mut SmallRng) -> String {
    format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: l{}, labels: {{kubernetes.io/service-name: s{}}}}}\naddressType: IPv4\n\
         ports: [{{name: http, port: 8080}}]\nendpoints: [{{addresses: [10.1.0.{}]}}]\n",
        number(random, 3),
        number(random, 3),
        number(random, 4),
    )
}

fn entry(random: &mut SmallRng) -> String {
    let found = pick(
        random,
        &[
            "resolution: DNS",
            "resolution: NONE",
            "resolution: STATIC, workloadSelector: {labels: {app: x}}",
            "resolution: STATIC, endpoints: [{address: 10.1.0.3}]",
        ],
    );
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: e{}}}\n\
         spec: {{hosts: [{}], ports: [{{number: 80, name: http, protocol: HTTP}}], {found}}}\n",
        number(random, 2),
        pick(random, &["e0.net", "x.example.com", "s0.b"]),
    )
}

fn workload(random: &mut SmallRng) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: w{}}}\n\
         spec: {{address: 10.1.0.{}, labels: {{app: {}}}}}\n",
        number(random, 2),
        number(random, 5),
        pick(random, &["x", "y"]),
    )
}

fn virtual_service(random: &mut SmallRng) -> String {
    let extra = pick(random, &["", "gateways: [g0]", "gateways: [mesh, a/g0]", "exportTo: ['.']"]);
    let matched = pick(random, &["", "match: [{sourceLabels: {app: x}}], ", "match: [{uri: {prefix: /v}}], "]);
    let (host, to) = (pick(random, &HOSTS), pick(random, &["s0", "s1", "s0.b", "e0.net"]));
    let (name, created) = (number(random, 4), number(random, 3));
    if random.random_bool(0.2) {
        return format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: v{name}}}\n\
             spec: {{http: [{{route: [{{destination: {{host: {to}}}}}]}}]}}\n"
        );
    }
    let action = match random.random_bool(0.2) {
        true => format!("delegate: {{name: v{}}}", number(random, 4)),
        false => format!("route: [{{destination: {{host: {to}}}}}]"),
    };
    let extra = if extra.is_empty() { String::new() } else { format!("{extra}, ") };
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\n\
         metadata: {{name: v{name}, creationTimestamp: '2026-01-0{}T00:00:00Z'}}\n\
         spec: {{{extra}hosts: ['{host}'], http: [{{{matched}{action}}}]}}\n",
        created + 1,
    )
}

fn destination_rule(random: &mut SmallRng) -> String {
    let policy = pick(
        random,
        &[
            "",
            ", trafficPolicy: {loadBalancer: {simple: RANDOM}}",
            ", trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: user}}}",
            ", exportTo: ['.']",
            ", subsets: [{name: v1, labels: {version: v1}}]",
        ],
    );
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: d{}}}\nspec: {{host: '{}'{policy}}}\n",
        number(random, 3),
        pick(random, &HOSTS),
    )
}

fn rest(random: &mut SmallRng) -> String {
    match random.random_bool(0.5) {
        true => format!(
            "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: p{}}}\nspec: {{mtls: {{mode: {}}}}}\n",
            number(random, 2),
            pick(random, &["STRICT", "DISABLE", "PERMISSIVE"]),
        ),
        false => format!(
            "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: g{}}}\n\
             spec: {{selector: {{istio: gateway}}, servers: [{{port: {{number: {}, name: http, protocol: HTTP}}, hosts: ['{}']}}]}}\n",
            number(random, 2),
            80 + number(random, 2),
            pick(random, &["*", "*.example.com", "s0.a.svc.cluster.local"]),
        ),
    }
}
