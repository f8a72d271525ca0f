//! What a change costs the control plane, counted: who is sent what, and what was compiled for it. How long things take is
//! measured by `tests/bench/control.rs`, with more of everything.

use std::collections::BTreeMap;
use std::time::Duration;

use orrery_tests::ads::{Fleet, Received};
use orrery_tests::control::Control;
use orrery_tests::tools;
use orrery_tests::wide_mesh::Shape;

const SHAPE: Shape = Shape { services: 100, endpoints: 3, namespaces: 5, proxies: 10 };
const LIMIT: Duration = Duration::from_secs(60);

/// Reads until all clients are complete.
async fn synced(fleet: &mut Fleet) {
    let mut complete = [false; SHAPE.proxies];
    while complete.contains(&false) {
        let received = fleet.next(LIMIT).await.expect("a response");
        complete[received.client] = received.complete;
    }
}

/// What each client is sent until `last` comes to it, by client; `last` is a name that a later change sends to all.
async fn until(fleet: &mut Fleet, last: &str) -> BTreeMap<usize, Vec<Received>> {
    let mut all: BTreeMap<usize, Vec<Received>> = BTreeMap::new();
    let mut reached = [false; SHAPE.proxies];
    while reached.contains(&false) {
        let received = fleet.next(LIMIT).await.expect("a response");
        match received.names.iter().any(|name| name == last) {
            true => reached[received.client] = true,
            false => all.entry(received.client).or_default().push(received),
        }
    }
    all
}

/// Kinds and names of what was sent.
fn words(received: &[Received]) -> Vec<String> {
    received.iter().map(|one| format!("{} {}", one.kind, one.names.join(" "))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_costs_what_it_touches() {
    let control = Control::start(&tools::orrery(), |directory| SHAPE.write(directory)).await;
    let mut fleet = Fleet::connect(control.xds, SHAPE.identities(), SHAPE.services);
    synced(&mut fleet).await;
    // Each change is followed by one that everybody is sent, so that what comes before it is all of the first.
    let mut mark = 90;
    let mut follow = async |control: &Control, fleet: &mut Fleet| {
        mark += 1;
        control.apply(&SHAPE.pod(mark, 0, false)).await.unwrap();
        until(fleet, &SHAPE.cluster(mark)).await
    };

    let before = control.compiled().await.unwrap();
    control.apply(&SHAPE.pod(7, 0, false)).await.unwrap();
    let sent = follow(&control, &mut fleet).await;
    assert_eq!(sent.len(), SHAPE.proxies);
    for received in sent.values() {
        assert_eq!(words(received), [format!("eds {}", SHAPE.cluster(7))]);
    }
    let [clusters, hosts, tables, _] = difference(before, control.compiled().await.unwrap());
    assert_eq!((clusters, hosts, tables), (2.0, 0.0, 0.0), "for two changes of endpoints");

    let before = control.compiled().await.unwrap();
    control.apply(&SHAPE.virtual_service(8, 3)).await.unwrap();
    let sent = follow(&control, &mut fleet).await;
    for received in sent.values() {
        assert_eq!(words(received), [format!("rds {}", SHAPE.table(8))]);
    }
    let views = SHAPE.namespaces as f64;
    let [clusters, hosts, tables, _] = difference(before, control.compiled().await.unwrap());
    assert_eq!((clusters, hosts, tables), (1.0, views, views), "one host and its table, once for each namespace");

    let hidden = format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: own, namespace: {0}}}\n\
         spec: {{hosts: [own.example.com], exportTo: ['.'], location: MESH_EXTERNAL, resolution: DNS, ports: [{{number: 80, name: http, protocol: HTTP}}]}}\n",
        SHAPE.namespace(2)
    );
    control.apply(&hidden).await.unwrap();
    let sent = follow(&control, &mut fleet).await;
    let identities = SHAPE.identities();
    let reached: Vec<&str> = sent.keys().map(|client| identities[*client].namespace.as_str()).collect();
    assert_eq!(reached, ["team-2", "team-2"], "nobody else sees it: {sent:?}");

    // Applied again as it is, it is nothing to tell.
    control.apply(&hidden).await.unwrap();
    assert_eq!(follow(&control, &mut fleet).await.len(), 0);
}

fn difference(before: [f64; 4], after: [f64; 4]) -> [f64; 4] {
    std::array::from_fn(|index| after[index] - before[index])
}
