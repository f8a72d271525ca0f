//! The way of a configuration: text, objects, a proxy's resources, what the proxy decides by them.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue, Method};
use orrery_api::Labels;
use orrery_compile::{Interception, Proof, Proxy, ProxyKind, Secrets, Settings, World, compile, validate_references};
use orrery_core::forward::pick_cluster;
use orrery_core::matching::RequestView;
use orrery_core::route::RouteAction;
use orrery_core::select::select;
use orrery_core::snapshot::Snapshot;
use rand::Rng;
use rand::rngs::SmallRng;

const HOSTS: [&str; 7] =
    ["web", "web.shop", "web.shop.svc.cluster.local:80", "shop.example.com", "10.0.0.1", "", "x.wild.example.com:80"];
const PATHS: [&str; 8] = ["/", "/api/x", "/v1/y", "/old", "/static", "/team/a/b", "//", "/API"];

/// Runs the whole way; the number of objects that were taken.
///
/// # Errors
/// What a proxy refuses although the control plane made it.
pub(crate) fn run(text: &str, random: &mut SmallRng) -> Result<u64, String> {
    analyze(text);
    let mut world = World::new(Settings::default());
    let mut taken = 0;
    // A document that is refused takes the rest of its file with it, so each is a file of its own here.
    let documents = orrery_api::documents(text).unwrap_or_default();
    for document in &documents {
        let _checked = orrery_schema::check(&document.to_json());
        for object in orrery_api::parse(&document.to_json().to_string(), "fuzz.yaml", "shop").unwrap_or_default() {
            world.apply(object);
            taken += 1;
        }
    }
    let _refused_as_a_whole = orrery_api::parse(text, "fuzz.yaml", "shop").is_err();
    let _dangling = validate_references(&world, world.objects());
    for proxy in proxies() {
        let compiled = compile(&world, &proxy);
        let resources = compiled.resources.values().flatten().map(|(name, one)| (name.as_str(), &one.body));
        let decoded = orrery_xds::decode_offline(resources);
        if let Some(refused) = decoded.refused.first() {
            return Err(format!("{} ({} in all)", refused, decoded.refused.len()));
        }
        decide(&decoded.snapshot, random);
    }
    Ok(taken)
}

fn analyze(text: &str) {
    let mut builder = orrery_analyze::SnapshotBuilder::new("shop", std::time::SystemTime::UNIX_EPOCH);
    if builder.add_file("fuzz.yaml", text).is_ok() {
        let _findings = orrery_analyze::analyze(&builder.build(), orrery_analyze::ALL);
    }
}

fn proxies() -> [Proxy; 3] {
    let proxy = |kind, workload: &str, label: (&str, &str), interception, octet| Proxy {
        id: format!("{workload}.shop"),
        kind,
        address: IpAddr::from([127, 1, 0, octet]),
        namespace: "shop".to_owned(),
        service_account: "web".to_owned(),
        workload: workload.to_owned(),
        labels: Labels([(label.0.to_owned(), label.1.to_owned())].into()),
        cluster_id: "Kubernetes".to_owned(),
        interception,
        app_address: Some(IpAddr::from([127, 2, 0, octet])),
        secrets: Secrets::Stream,
        proof: Proof::Proved,
    };
    [
        proxy(ProxyKind::Sidecar, "web-v1", ("app", "web"), Interception::None, 13),
        proxy(ProxyKind::Sidecar, "web-v2", ("app", "web"), Interception::Redirect, 14),
        proxy(ProxyKind::Router, "edge", ("istio", "ingressgateway"), Interception::None, 10),
    ]
}

/// Asks every route table for some requests.
fn decide(snapshot: &Snapshot, random: &mut SmallRng) {
    let mut headers = HeaderMap::new();
    headers.insert("x-user", HeaderValue::from_static("jason"));
    for table in snapshot.routes.values() {
        for _ in 0..8 {
            let request = RequestView {
                method: &Method::GET,
                scheme: "http",
                authority: HOSTS[random.random_range(0..HOSTS.len())],
                path: PATHS[random.random_range(0..PATHS.len())],
                query: Some("q=abc"),
                headers: &headers,
            };
            if let Ok(selected) = select(table, &request, random.random())
                && let RouteAction::Forward(forward) = &selected.route.action
            {
                let _cluster = pick_cluster(&forward.clusters, random.random());
            }
        }
    }
}
