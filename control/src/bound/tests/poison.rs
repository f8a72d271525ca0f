//! Objects that are meant to do harm: each changes nothing but what is told of it.

use std::collections::{BTreeMap, BTreeSet};

use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::{RouteConfiguration, VirtualHost};
use prost::Message;

use super::*;

mod cases;

/// Resident memory that the tests of this process may need, in bytes.
const MEMORY: f64 = 600e6;

/// A file that is meant to do harm.
struct Poison {
    name: &'static str,
    text: Vec<u8>,
    /// What must be said of it; nothing for what is valid, and may at worst be of no use.
    says: Option<&'static str>,
}

/// A mesh that serves calls to `reviews`, `ratings` and whatever else the test adds.
struct Served {
    mesh: Mesh,
    routes: Proxy,
    marks: u32,
}

impl Served {
    async fn start() -> Self {
        let mesh = start().await;
        let mut routes = mesh.subscribe(ResourceType::Route).await;
        routes.next().await;
        Self { mesh, routes, marks: 0 }
    }

    fn write(&self, file: &str, text: &[u8]) {
        std::fs::write(self.mesh.directory.path().join("config").join(file), text).unwrap();
    }

    /// A change of a route that has nothing to do with the rest, seen by the proxy; its routes then.
    async fn mark(&mut self) -> RouteConfiguration {
        self.marks += 1;
        let seconds = self.marks;
        self.write("marker.yaml", ROUTE.replace("3s", &format!("{seconds}s")).as_bytes());
        loop {
            let push = self.routes.next().await;
            let table = push.resources.iter().find(|resource| resource.name == "http_proxy");
            let table = table.and_then(|resource| resource.resource.as_ref()).expect("the table");
            let table = RouteConfiguration::decode(&*table.value).unwrap();
            if timeout_of(host_of(&table, "reviews.default.svc.cluster.local")) == Some(i64::from(seconds)) {
                return table;
            }
        }
    }

    /// The proxy's routes after everything in the directory was read: what was read before the first mark of two may be
    /// older than a file written before it, and what was read before the second is not.
    async fn settled(&mut self) -> RouteConfiguration {
        self.mark().await;
        self.mark().await
    }

    /// Names and versions of all that the proxy was given, but for the table with the marks.
    async fn given(&self) -> BTreeMap<String, String> {
        let (status, body) = self.mesh.call("GET", "/debug/config_dump?proxyID=productpage-v1.default", "").await;
        assert_eq!(status, 200, "{body}");
        let dump = json(&body);
        let types = dump["resources"].as_object().unwrap().iter();
        types
            .flat_map(|(kind, resources)| {
                let resources = resources.as_object().unwrap().iter();
                resources.map(move |(name, version)| (format!("{kind} {name}"), version.to_string()))
            })
            .filter(|(name, _)| !name.ends_with(" http_proxy"))
            .collect()
    }

    async fn problems(&self) -> serde_json::Value {
        json(&self.mesh.call("GET", "/debug/problems", "").await.1)
    }

    async fn memory(&self) -> f64 {
        let (_, metrics) = self.mesh.call("GET", "/metrics", "").await;
        let line = metrics.lines().find(|line| line.starts_with("process_resident_memory_bytes ")).unwrap();
        line.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

fn host_of<'a>(table: &'a RouteConfiguration, domain: &str) -> &'a VirtualHost {
    let mut of_domain = table.virtual_hosts.iter().filter(|host| host.domains.iter().any(|one| one == domain));
    of_domain.next().unwrap_or_else(|| panic!("nobody has {domain}"))
}

fn timeout_of(host: &VirtualHost) -> Option<i64> {
    match host.routes.first()?.action.as_ref()? {
        Action::Route(route) => route.timeout.as_ref().map(|timeout| timeout.seconds),
        _ => None,
    }
}

/// What a proxy would refuse a whole table for.
fn assert_sound(table: &RouteConfiguration, name: &str) {
    let (mut domains, mut names) = (BTreeSet::new(), BTreeSet::new());
    for host in &table.virtual_hosts {
        assert!(names.insert(&host.name), "{name}: two virtual hosts are called {}", host.name);
        assert!(!host.domains.is_empty(), "{name}: {} has no domain", host.name);
        for domain in &host.domains {
            assert!(domains.insert(domain.to_ascii_lowercase()), "{name}: two virtual hosts have the domain {domain}");
        }
    }
}

#[tokio::test]
async fn in_the_directory_each_changes_nothing_else() {
    let mut served = Served::start().await;
    served.write("poison.yaml", b"");
    let before = served.settled().await;
    let given = served.given().await;
    for Poison { name, text, says } in cases::all() {
        served.write("poison.yaml", &text);
        let table = served.settled().await;
        assert_sound(&table, name);
        for domain in ["ratings.default.svc.cluster.local", "ratings"] {
            assert_eq!(host_of(&table, domain), host_of(&before, domain), "{name}: {domain}");
        }
        let now = served.given().await;
        let missing: Vec<_> = given.iter().filter(|(resource, version)| now.get(*resource) != Some(*version)).collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
        let problems = served.problems().await;
        match says {
            None => assert!(problems.get("poison.yaml").is_none(), "{name}: {problems}"),
            Some(says) => {
                assert_eq!(now, given, "{name}");
                let first = &problems["poison.yaml"][0];
                let message = first["message"].as_str().unwrap_or_else(|| panic!("{name}: {problems}"));
                assert!(message.contains(says), "{name}: {message}");
                assert!(message.len() < 2_000 && first["line"].as_u64() > Some(0), "{name}: {first}");
            }
        }
    }
    served.write("poison.yaml", b"");
    served.settled().await;
    assert_eq!(served.given().await, given, "nothing stays of them");
    assert!(served.memory().await < MEMORY, "{} bytes", served.memory().await);
    served.mesh.stop().await;
}

#[tokio::test]
async fn applied_each_changes_nothing_else() {
    let mut served = Served::start().await;
    served.settled().await;
    let given = served.given().await;
    for Poison { name, text, says } in cases::all() {
        // A body is text, or it is refused before anybody looks at it.
        let text = String::from_utf8_lossy(&text).into_owned();
        let (status, body) = served.mesh.call("POST", "/api/v1/apply?namespace=default", &text).await;
        if says.is_some() {
            assert!(matches!(status, 400 | 413 | 422), "{name}: {status} {body}");
            assert!(body.len() < 200_000, "{name}: an answer of {} bytes", body.len());
            assert!(served.mesh.applied().is_empty(), "{name}");
            assert_eq!(served.given().await, given, "{name}");
        }
        for file in served.mesh.applied() {
            let (kind, name) = file.trim_end_matches(".yaml").trim_start_matches("default_").split_once('_').unwrap();
            served.mesh.call("DELETE", &format!("/api/v1/resources/{kind}/default/{name}"), "").await;
        }
        let table = served.mark().await;
        assert_sound(&table, name);
    }
    served.settled().await;
    assert_eq!(served.given().await, given, "nothing stays of them");
    served.mesh.stop().await;
}

#[tokio::test]
async fn a_document_beside_a_refused_one_takes_effect() {
    let mut served = Served::start().await;
    let beside = "apiVersion: v1\nkind: Service\nmetadata: {name: beside}\nspec: {ports: [{name: http, port: 9080}]}\n";
    let bad = ROUTE.replace("name: reviews", "name: bad").replace("3s", "soon");
    served.write("both.yaml", format!("{beside}---\n{bad}").as_bytes());
    let table = served.settled().await;
    host_of(&table, "beside.default.svc.cluster.local");
    let problems = served.problems().await;
    assert_eq!(problems["both.yaml"].as_array().unwrap().len(), 1, "{problems}");
    assert_eq!(problems["both.yaml"][0]["name"], "bad");
    served.mesh.stop().await;
}

#[tokio::test]
async fn what_a_proxy_refuses_holds_up_nothing() {
    let mesh = start().await;
    let mut clusters = mesh.subscribe(ResourceType::Cluster).await;
    let push = clusters.message().await;
    clusters.answer(&push, Some("one of them cannot be used")).await;
    let more = SERVICES.replace("name: reviews", "name: third").replace("name: ratings", "name: fourth");
    std::fs::write(mesh.directory.path().join("config/more.yaml"), more).unwrap();
    let names = |push: &DeltaDiscoveryResponse| -> Vec<String> {
        push.resources.iter().map(|resource| resource.name.clone()).collect()
    };
    let push = clusters.next().await;
    assert!(names(&push).iter().any(|name| name.contains("third")), "{:?}", names(&push));
    let (_, proxies) = mesh.call("GET", "/debug/proxies", "").await;
    assert!(proxies.contains("productpage-v1.default"), "{proxies}");
    mesh.stop().await;
}
