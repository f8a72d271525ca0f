//! Subscriptions as scripts: requests and publications in, the shape of each push out.

use envoy_types::pb::google::protobuf::Any;

use super::*;
use crate::resources::Resources;
use ResourceType::{Cluster, Endpoint, Listener, Route};

fn now() -> Instant {
    // Nothing here waits: the distance between instants is all that counts.
    use std::sync::LazyLock;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    *START
}

fn resources(versions: &[(&str, &str)]) -> Arc<Resources> {
    let resource = |version: &str| {
        let body = Any { type_url: String::new(), value: version.as_bytes().to_vec() };
        Arc::new(Resource { version: version.into(), body })
    };
    Arc::new(versions.iter().map(|(name, version)| ((*name).to_owned(), resource(version))).collect())
}

fn set(revision: u64, types: &[(ResourceType, &[(&str, &str)])]) -> Arc<ResourceSet> {
    Arc::new(types.iter().fold(ResourceSet::new(revision), |set, (kind, names)| set.with(*kind, resources(names))))
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn subscribe(names: &[&str]) -> DeltaUpdate {
    DeltaUpdate { subscribe: strings(names), ..DeltaUpdate::default() }
}

fn ask(names: &[&str]) -> WorldUpdate {
    WorldUpdate { names: strings(names), ..WorldUpdate::default() }
}

/// "cds a=1 b=2 -c", or "" when nothing is due.
fn next(session: &mut Session) -> String {
    next_at(session, now())
}

fn next_at(session: &mut Session, at: Instant) -> String {
    let Some(push) = session.next(at) else { return String::new() };
    let mut text = push.kind.to_string();
    for (name, resource) in &push.resources {
        text.push_str(&format!(" {name}={}", resource.version));
    }
    for name in &push.removed {
        text.push_str(&format!(" -{name}"));
    }
    text
}

fn ack(session: &mut Session, kind: ResourceType, names: &[&str]) -> Reply {
    let nonce = session.watches[kind.index()].as_ref().unwrap().last_nonce.clone();
    match session.variant {
        Variant::Delta => session.delta(kind, DeltaUpdate { nonce, ..DeltaUpdate::default() }),
        Variant::StateOfTheWorld => session.world(kind, WorldUpdate { nonce, names: strings(names), error: None }),
    }
    .unwrap()
}

#[test]
fn delta_wildcard_sends_all_then_only_changes() {
    let mut session = Session::new(Variant::Delta);
    session.delta(Listener, subscribe(&[])).unwrap();
    assert_eq!(next(&mut session), "", "nothing was published");
    session.publish(set(1, &[(Listener, &[("a", "1"), ("b", "1")])]));
    assert_eq!(next(&mut session), "lds a=1 b=1");
    assert_eq!(next(&mut session), "");
    assert_eq!(session.synced(), None);
    assert!(matches!(ack(&mut session, Listener, &[]), Reply::Ack(_)));
    assert_eq!(next(&mut session), "");
    assert_eq!(session.synced(), Some(1));
    session.publish(set(2, &[(Listener, &[("a", "2"), ("c", "1")])]));
    assert_eq!(next(&mut session), "lds a=2 c=1 -b");
}

#[test]
fn a_first_request_is_answered_even_when_there_is_nothing() {
    for kind in [Cluster, Listener] {
        let mut session = Session::new(Variant::Delta);
        session.delta(kind, subscribe(&[])).unwrap();
        session.publish(set(1, &[]));
        assert_eq!(next(&mut session), kind.short_name());
        assert_eq!(next(&mut session), "");
    }
}

#[test]
fn a_reconnecting_client_gets_only_what_it_does_not_have() {
    let mut session = Session::new(Variant::Delta);
    let versions = [("a", "1"), ("b", "old"), ("gone", "1")];
    let initial_versions = versions.map(|(name, version)| (name.to_owned(), version.to_owned())).into();
    session.delta(Listener, DeltaUpdate { initial_versions, ..subscribe(&["*"]) }).unwrap();
    session.publish(set(1, &[(Listener, &[("a", "1"), ("b", "1"), ("c", "1")])]));
    assert_eq!(next(&mut session), "lds b=1 c=1 -gone");

    let mut session = Session::new(Variant::Delta);
    let initial_versions = [("a".to_owned(), "1".to_owned())].into();
    session.delta(Route, DeltaUpdate { initial_versions, ..subscribe(&["a"]) }).unwrap();
    session.publish(set(1, &[(Route, &[("a", "1"), ("b", "1")])]));
    assert_eq!(next(&mut session), "");
    assert_eq!(session.synced(), Some(1));
}

#[test]
fn names_on_demand() {
    let mut session = Session::new(Variant::Delta);
    session.publish(set(1, &[(Route, &[("a", "1"), ("b", "1")])]));
    session.delta(Route, subscribe(&["a", "missing"])).unwrap();
    assert_eq!(next(&mut session), "rds a=1 -missing");
    ack(&mut session, Route, &[]);
    session.delta(Route, subscribe(&["b"])).unwrap();
    assert_eq!(next(&mut session), "rds b=1");
    ack(&mut session, Route, &[]);
    session.delta(Route, subscribe(&["b"])).unwrap();
    assert_eq!(next(&mut session), "rds b=1", "asking again means sending again");
    ack(&mut session, Route, &[]);
    session.delta(Route, DeltaUpdate { unsubscribe: strings(&["a"]), ..DeltaUpdate::default() }).unwrap();
    session.publish(set(2, &[(Route, &[("a", "2"), ("b", "1"), ("missing", "1")])]));
    assert_eq!(next(&mut session), "rds missing=1");
    ack(&mut session, Route, &[]);
    session.publish(set(3, &[]));
    assert_eq!(next(&mut session), "rds -b -missing");
}

#[test]
fn leaving_the_wildcard_keeps_the_names() {
    let mut session = Session::new(Variant::Delta);
    session.publish(set(1, &[(Listener, &[("a", "1"), ("b", "1")])]));
    session.delta(Listener, subscribe(&["*", "a"])).unwrap();
    assert_eq!(next(&mut session), "lds a=1 b=1");
    ack(&mut session, Listener, &[]);
    session.delta(Listener, DeltaUpdate { unsubscribe: strings(&["*"]), ..DeltaUpdate::default() }).unwrap();
    session.publish(set(2, &[(Listener, &[("a", "2"), ("b", "2")])]));
    assert_eq!(next(&mut session), "lds a=2");
}

#[test]
fn one_push_is_outstanding_and_the_newest_set_follows() {
    let mut session = Session::new(Variant::Delta);
    session.delta(Listener, subscribe(&[])).unwrap();
    session.publish(set(1, &[(Listener, &[("a", "1")])]));
    assert_eq!(next(&mut session), "lds a=1");
    for revision in 2..5 {
        session.publish(set(revision, &[(Listener, &[("a", &revision.to_string())])]));
        assert_eq!(next(&mut session), "");
    }
    ack(&mut session, Listener, &[]);
    assert_eq!(next(&mut session), "lds a=4");
}

#[test]
fn a_refused_resource_is_not_sent_again_until_it_changes() {
    let mut session = Session::new(Variant::Delta);
    session.delta(Listener, subscribe(&[])).unwrap();
    session.publish(set(1, &[(Listener, &[("a", "1")])]));
    assert_eq!(next(&mut session), "lds a=1");
    let refuse = DeltaUpdate { nonce: "1".to_owned(), error: Some("bad regex".to_owned()), ..DeltaUpdate::default() };
    match session.delta(Listener, refuse).unwrap() {
        Reply::Nack(delivered, message) => {
            assert_eq!((delivered.names, delivered.revision, message.as_str()), (strings(&["a"]), 1, "bad regex"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(next(&mut session), "");
    session.publish(set(2, &[(Listener, &[("a", "2")])]));
    assert_eq!(next(&mut session), "lds a=2");
}

#[test]
fn stale_nonces_answer_nothing() {
    for variant in [Variant::Delta, Variant::StateOfTheWorld] {
        let mut session = Session::new(variant);
        session.publish(set(1, &[(Listener, &[("a", "1")])]));
        let nonce = || "77".to_owned();
        let stale = match variant {
            Variant::Delta => {
                session.delta(Listener, subscribe(&[])).unwrap();
                assert_eq!(next(&mut session), "lds a=1");
                session.delta(Listener, DeltaUpdate { nonce: nonce(), ..DeltaUpdate::default() }).unwrap()
            }
            Variant::StateOfTheWorld => {
                session.world(Listener, ask(&[])).unwrap();
                assert_eq!(next(&mut session), "lds a=1");
                session.world(Listener, WorldUpdate { nonce: nonce(), ..WorldUpdate::default() }).unwrap()
            }
        };
        assert_eq!(stale, Reply::Stale);
        session.publish(set(2, &[(Listener, &[("a", "2")])]));
        assert_eq!(next(&mut session), "", "still outstanding");
    }
}

/// A client with one cluster, its endpoints, a listener and a route, in step with revision 1.
fn settled(variant: Variant) -> Session {
    let mut session = Session::new(variant);
    session.publish(set(
        1,
        &[(Cluster, &[("old", "1")]), (Endpoint, &[("old", "1")]), (Listener, &[("l", "1")]), (Route, &[("r", "1")])],
    ));
    for (kind, names) in [(Cluster, &[][..]), (Endpoint, &["old"]), (Listener, &[]), (Route, &["r"])] {
        match variant {
            Variant::Delta => session.delta(kind, subscribe(names)),
            Variant::StateOfTheWorld => session.world(kind, ask(names)),
        }
        .unwrap();
    }
    for (kind, names, expect) in [
        (Cluster, &[][..], "cds old=1"),
        (Endpoint, &["old"], "eds old=1"),
        (Listener, &[], "lds l=1"),
        (Route, &["r"], "rds r=1"),
    ] {
        assert_eq!(next(&mut session), expect);
        assert_eq!(next(&mut session), "", "{kind} is outstanding");
        ack(&mut session, kind, names);
    }
    assert_eq!(next(&mut session), "");
    assert_eq!(session.synced(), Some(1));
    session
}

/// The route moves from the cluster "old" to "new".
fn moved() -> Arc<ResourceSet> {
    set(
        2,
        &[(Cluster, &[("new", "1")]), (Endpoint, &[("new", "1")]), (Listener, &[("l", "1")]), (Route, &[("r", "2")])],
    )
}

#[test]
fn make_before_break_delta() {
    let mut session = settled(Variant::Delta);
    session.publish(moved());
    assert_eq!(next(&mut session), "cds new=1");
    ack(&mut session, Cluster, &[]);
    assert_eq!(next(&mut session), "", "the route waits for the endpoints");
    session.delta(Endpoint, subscribe(&["new"])).unwrap();
    assert_eq!(next(&mut session), "eds new=1");
    assert_eq!(next(&mut session), "");
    ack(&mut session, Endpoint, &[]);
    assert_eq!(next(&mut session), "rds r=2");
    assert_eq!(next(&mut session), "", "the old cluster stays until the route is gone");
    ack(&mut session, Route, &[]);
    assert_eq!(next(&mut session), "cds -old");
    ack(&mut session, Cluster, &[]);
    assert_eq!(next(&mut session), "eds -old");
    ack(&mut session, Endpoint, &[]);
    assert_eq!(next(&mut session), "");
    assert_eq!(session.synced(), Some(2));
}

#[test]
fn make_before_break_state_of_the_world() {
    let mut session = settled(Variant::StateOfTheWorld);
    session.publish(moved());
    assert_eq!(next(&mut session), "cds new=1 old=1");
    ack(&mut session, Cluster, &[]);
    assert_eq!(next(&mut session), "");
    ack(&mut session, Endpoint, &["old", "new"]);
    assert_eq!(next(&mut session), "eds new=1");
    ack(&mut session, Endpoint, &["old", "new"]);
    assert_eq!(next(&mut session), "rds r=2");
    ack(&mut session, Route, &["r"]);
    assert_eq!(next(&mut session), "cds new=1");
    ack(&mut session, Cluster, &[]);
    assert_eq!(next(&mut session), "", "the removal of endpoints has no form");
    assert_eq!(session.synced(), Some(2));
}

#[test]
fn a_client_that_never_asks_for_endpoints_gets_its_routes_a_little_later() {
    let mut session = settled(Variant::Delta);
    session.publish(moved());
    assert_eq!(next(&mut session), "cds new=1");
    ack(&mut session, Cluster, &[]);
    assert_eq!(next(&mut session), "");
    assert_eq!(session.wake_at(), Some(now() + ENDPOINT_WAIT));
    assert_eq!(next_at(&mut session, now() + ENDPOINT_WAIT), "rds r=2");
}

#[test]
fn endpoints_follow_a_changed_cluster() {
    let mut session = settled(Variant::Delta);
    session.publish(set(
        2,
        &[(Cluster, &[("old", "2")]), (Endpoint, &[("old", "1")]), (Listener, &[("l", "1")]), (Route, &[("r", "1")])],
    ));
    assert_eq!(next(&mut session), "cds old=2");
    ack(&mut session, Cluster, &[]);
    assert_eq!(next(&mut session), "eds old=1");
}

#[test]
fn an_endpoint_change_sends_only_that_resource() {
    for variant in [Variant::Delta, Variant::StateOfTheWorld] {
        let mut session = settled(variant);
        session.publish(set(
            2,
            &[
                (Cluster, &[("old", "1")]),
                (Endpoint, &[("old", "2"), ("other", "1")]),
                (Listener, &[("l", "1")]),
                (Route, &[("r", "1")]),
            ],
        ));
        assert_eq!(next(&mut session), "eds old=2");
        ack(&mut session, Endpoint, &["old"]);
        assert_eq!(next(&mut session), "");
    }
}

#[test]
fn world_names_replace_each_other() {
    let mut session = Session::new(Variant::StateOfTheWorld);
    session.publish(set(1, &[(Route, &[("a", "1"), ("b", "1")])]));
    session.world(Route, ask(&["a"])).unwrap();
    assert_eq!(next(&mut session), "rds a=1");
    ack(&mut session, Route, &["a"]);
    assert_eq!(next(&mut session), "");
    ack(&mut session, Route, &["a", "b"]);
    assert_eq!(next(&mut session), "rds b=1");
    ack(&mut session, Route, &["b"]);
    assert_eq!(next(&mut session), "", "fewer names need no answer");
    session.publish(set(2, &[(Route, &[("a", "2"), ("b", "1")])]));
    assert_eq!(next(&mut session), "");
    ack(&mut session, Route, &["b", "missing"]);
    assert_eq!(next(&mut session), "rds", "an answer without the missing name");
}

#[test]
fn large_sets_are_sent_in_parts() {
    let body = Any { type_url: String::new(), value: vec![0; PUSH_BYTES / 2 + 1] };
    let resource = Arc::new(Resource { version: "1".into(), body });
    let many: Resources = ["a", "b", "c"].map(|name| (name.to_owned(), Arc::clone(&resource))).into();
    let mut session = Session::new(Variant::Delta);
    session.delta(Cluster, subscribe(&[])).unwrap();
    session.delta(Listener, subscribe(&[])).unwrap();
    session
        .publish(Arc::new(ResourceSet::new(1).with(Cluster, Arc::new(many)).with(Listener, resources(&[("l", "1")]))));
    for expect in ["cds a=1", "cds b=1", "cds c=1"] {
        assert_eq!(next(&mut session), expect);
        assert_eq!(next(&mut session), "");
        ack(&mut session, Cluster, &[]);
    }
    assert_eq!(next(&mut session), "lds l=1");
}

#[test]
fn too_many_names_are_refused() {
    let names = (0..=MOST_NAMES).map(|n| n.to_string()).collect();
    let mut session = Session::new(Variant::Delta);
    let update = DeltaUpdate { subscribe: names, ..DeltaUpdate::default() };
    assert_eq!(session.delta(Endpoint, update), Err(TooManyNames(MOST_NAMES + 1, Endpoint)));
}
