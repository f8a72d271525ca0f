//! Subscriptions as scripts: requests and publications in, the shape of each push out.

use envoy_types::pb::google::protobuf::Any;

use super::*;
use ResourceType::{Cluster, Endpoint, Listener, Route};

fn now() -> Instant {
    // Nothing here waits: the distance between instants is all that counts.
    use std::sync::LazyLock;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    *START
}

fn resource(version: &str) -> Arc<Resource> {
    let body = Any { type_url: String::new(), value: version.as_bytes().to_vec() };
    Arc::new(Resource { version: version.into(), body })
}

fn set(revision: u64, types: &[(ResourceType, &[(&str, &str)])]) -> ResourceSet {
    let all = types.iter().flat_map(|(kind, names)| names.iter().map(move |(name, version)| (*kind, *name, *version)));
    all.fold(ResourceSet::new(revision), |set, (kind, name, version)| set.with(kind, name, resource(version)))
}

/// Publishes as whoever compiles everything: any name may have changed.
fn publish(session: &mut Session, set: ResourceSet) {
    let mut changed = Difference::all(&set);
    if let Some(last) = &session.set {
        changed.extend(&Difference::all(last));
    }
    session.publish(set, &changed);
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
    publish(&mut session, set(1, &[(Listener, &[("a", "1"), ("b", "1")])]));
    assert_eq!(next(&mut session), "lds a=1 b=1");
    assert_eq!(next(&mut session), "");
    assert_eq!(session.synced(), None);
    assert!(matches!(ack(&mut session, Listener, &[]), Reply::Ack(_)));
    assert_eq!(next(&mut session), "");
    assert_eq!(session.synced(), Some(1));
    publish(&mut session, set(2, &[(Listener, &[("a", "2"), ("c", "1")])]));
    assert_eq!(next(&mut session), "lds a=2 c=1 -b");
}

#[test]
fn a_first_request_is_answered_even_when_there_is_nothing() {
    for kind in [Cluster, Listener] {
        let mut session = Session::new(Variant::Delta);
        session.delta(kind, subscribe(&[])).unwrap();
        publish(&mut session, set(1, &[]));
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
    publish(&mut session, set(1, &[(Listener, &[("a", "1"), ("b", "1"), ("c", "1")])]));
    assert_eq!(next(&mut session), "lds b=1 c=1 -gone");

    let mut session = Session::new(Variant::Delta);
    let initial_versions = [("a".to_owned(), "1".to_owned())].into();
    session.delta(Route, DeltaUpdate { initial_versions, ..subscribe(&["a"]) }).unwrap();
    publish(&mut session, set(1, &[(Route, &[("a", "1"), ("b", "1")])]));
    assert_eq!(next(&mut session), "");
    assert_eq!(session.synced(), Some(1));
}

#[test]
fn names_on_demand() {
    let mut session = Session::new(Variant::Delta);
    publish(&mut session, set(1, &[(Route, &[("a", "1"), ("b", "1")])]));
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
    publish(&mut session, set(2, &[(Route, &[("a", "2"), ("b", "1"), ("missing", "1")])]));
    assert_eq!(next(&mut session), "rds missing=1");
    ack(&mut session, Route, &[]);
    publish(&mut session, set(3, &[]));
    assert_eq!(next(&mut session), "rds -b -missing");
}

#[test]
fn leaving_the_wildcard_keeps_the_names() {
    let mut session = Session::new(Variant::Delta);
    publish(&mut session, set(1, &[(Listener, &[("a", "1"), ("b", "1")])]));
    session.delta(Listener, subscribe(&["*", "a"])).unwrap();
    assert_eq!(next(&mut session), "lds a=1 b=1");
    ack(&mut session, Listener, &[]);
    session.delta(Listener, DeltaUpdate { unsubscribe: strings(&["*"]), ..DeltaUpdate::default() }).unwrap();
    publish(&mut session, set(2, &[(Listener, &[("a", "2"), ("b", "2")])]));
    assert_eq!(next(&mut session), "lds a=2");
}

#[test]
fn one_push_is_outstanding_and_the_newest_set_follows() {
    let mut session = Session::new(Variant::Delta);
    session.delta(Listener, subscribe(&[])).unwrap();
    publish(&mut session, set(1, &[(Listener, &[("a", "1")])]));
    assert_eq!(next(&mut session), "lds a=1");
    for revision in 2..5 {
        publish(&mut session, set(revision, &[(Listener, &[("a", &revision.to_string())])]));
        assert_eq!(next(&mut session), "");
    }
    ack(&mut session, Listener, &[]);
    assert_eq!(next(&mut session), "lds a=4");
}

#[test]
fn a_refused_resource_is_not_sent_again_until_it_changes() {
    let mut session = Session::new(Variant::Delta);
    session.delta(Listener, subscribe(&[])).unwrap();
    publish(&mut session, set(1, &[(Listener, &[("a", "1")])]));
    assert_eq!(next(&mut session), "lds a=1");
    let refuse = DeltaUpdate { nonce: "1".to_owned(), error: Some("bad regex".to_owned()), ..DeltaUpdate::default() };
    match session.delta(Listener, refuse).unwrap() {
        Reply::Nack(delivered, message) => {
            assert_eq!((delivered.names, delivered.revision, message.as_str()), (strings(&["a"]), 1, "bad regex"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(next(&mut session), "");
    publish(&mut session, set(2, &[(Listener, &[("a", "2")])]));
    assert_eq!(next(&mut session), "lds a=2");
}

#[test]
fn stale_nonces_answer_nothing() {
    for variant in [Variant::Delta, Variant::StateOfTheWorld] {
        let mut session = Session::new(variant);
        publish(&mut session, set(1, &[(Listener, &[("a", "1")])]));
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
        publish(&mut session, set(2, &[(Listener, &[("a", "2")])]));
        assert_eq!(next(&mut session), "", "still outstanding");
    }
}

/// A client with one cluster, its endpoints, a listener and a route, in step with revision 1.
fn settled(variant: Variant) -> Session {
    let mut session = Session::new(variant);
    publish(
        &mut session,
        set(
            1,
            &[
                (Cluster, &[("old", "1")]),
                (Endpoint, &[("old", "1")]),
                (Listener, &[("l", "1")]),
                (Route, &[("r", "1")]),
            ],
        ),
    );
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
fn moved() -> ResourceSet {
    set(
        2,
        &[(Cluster, &[("new", "1")]), (Endpoint, &[("new", "1")]), (Listener, &[("l", "1")]), (Route, &[("r", "2")])],
    )
}

#[test]
fn make_before_break_delta() {
    let mut session = settled(Variant::Delta);
    publish(&mut session, moved());
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
    publish(&mut session, moved());
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
    publish(&mut session, moved());
    assert_eq!(next(&mut session), "cds new=1");
    ack(&mut session, Cluster, &[]);
    assert_eq!(next(&mut session), "");
    assert_eq!(session.wake_at(), Some(now() + ENDPOINT_WAIT));
    assert_eq!(next_at(&mut session, now() + ENDPOINT_WAIT), "rds r=2");
}

#[test]
fn endpoints_follow_a_changed_cluster() {
    let mut session = settled(Variant::Delta);
    publish(
        &mut session,
        set(
            2,
            &[
                (Cluster, &[("old", "2")]),
                (Endpoint, &[("old", "1")]),
                (Listener, &[("l", "1")]),
                (Route, &[("r", "1")]),
            ],
        ),
    );
    assert_eq!(next(&mut session), "cds old=2");
    ack(&mut session, Cluster, &[]);
    assert_eq!(next(&mut session), "eds old=1");
}

#[test]
fn an_endpoint_change_sends_only_that_resource() {
    for variant in [Variant::Delta, Variant::StateOfTheWorld] {
        let mut session = settled(variant);
        publish(
            &mut session,
            set(
                2,
                &[
                    (Cluster, &[("old", "1")]),
                    (Endpoint, &[("old", "2"), ("other", "1")]),
                    (Listener, &[("l", "1")]),
                    (Route, &[("r", "1")]),
                ],
            ),
        );
        assert_eq!(next(&mut session), "eds old=2");
        ack(&mut session, Endpoint, &["old"]);
        assert_eq!(next(&mut session), "");
    }
}

#[test]
fn world_names_replace_each_other() {
    let mut session = Session::new(Variant::StateOfTheWorld);
    publish(&mut session, set(1, &[(Route, &[("a", "1"), ("b", "1")])]));
    session.world(Route, ask(&["a"])).unwrap();
    assert_eq!(next(&mut session), "rds a=1");
    ack(&mut session, Route, &["a"]);
    assert_eq!(next(&mut session), "");
    ack(&mut session, Route, &["a", "b"]);
    assert_eq!(next(&mut session), "rds b=1");
    ack(&mut session, Route, &["b"]);
    assert_eq!(next(&mut session), "", "fewer names need no answer");
    publish(&mut session, set(2, &[(Route, &[("a", "2"), ("b", "1")])]));
    assert_eq!(next(&mut session), "");
    ack(&mut session, Route, &["b", "missing"]);
    assert_eq!(next(&mut session), "rds", "an answer without the missing name");
}

#[test]
fn large_sets_are_sent_in_parts() {
    let body = Any { type_url: String::new(), value: vec![0; PUSH_BYTES / 2 + 1] };
    let large = Arc::new(Resource { version: "1".into(), body });
    let mut session = Session::new(Variant::Delta);
    session.delta(Cluster, subscribe(&[])).unwrap();
    session.delta(Listener, subscribe(&[])).unwrap();
    let many = ["a", "b", "c"].into_iter();
    let many = many.fold(set(1, &[(Listener, &[("l", "1")])]), |set, name| set.with(Cluster, name, Arc::clone(&large)));
    publish(&mut session, many);
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

#[test]
fn only_the_names_of_a_publication_are_looked_at() {
    let mut session = Session::new(Variant::Delta);
    session.delta(Cluster, subscribe(&[])).unwrap();
    publish(&mut session, set(1, &[(Cluster, &[("a", "1"), ("b", "1")])]));
    assert_eq!(next(&mut session), "cds a=1 b=1");
    ack(&mut session, Cluster, &[]);
    let mut changed = Difference::default();
    changed.insert(Cluster, "b".into());
    session.publish(set(2, &[(Cluster, &[("a", "2"), ("b", "2")])]), &changed);
    assert_eq!(next(&mut session), "cds b=2");
    ack(&mut session, Cluster, &[]);
    session.publish(set(3, &[(Cluster, &[("a", "2"), ("b", "2")])]), &changed);
    assert_eq!(next(&mut session), "", "it is as the client has it");
}

/// A client that subscribes and unsubscribes as it likes has in the end what it wants, as it is, and nothing else.
#[test]
fn clients_catch_up_whatever_they_ask_for() {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};
    for seed in 0..200 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut session = Session::new(Variant::Delta);
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        let mut has: HashMap<String, String> = HashMap::new();
        let mut current = ResourceSet::new(0);
        let mut outstanding = String::new();
        session.delta(Route, subscribe(&["first"])).unwrap();
        wanted.insert("first".to_owned());
        for step in 1..40 {
            let name = ["first", "a", "b", "c"][random.random_range(0..4)];
            match random.random_range(0..4) {
                0 => {
                    let mut next = ResourceSet::new(step);
                    for (known, resource) in current.iter(Route).filter(|(known, _)| ***known != *name) {
                        next = next.with(Route, Arc::clone(known), Arc::clone(resource));
                    }
                    if random.random_bool(0.7) {
                        next = next.with(Route, name, resource(&step.to_string()));
                    }
                    let mut changed = Difference::default();
                    changed.insert(Route, name.into());
                    session.publish(next.clone(), &changed);
                    current = next;
                }
                1 => {
                    wanted.insert(name.to_owned());
                    session.delta(Route, subscribe(&[name])).unwrap();
                }
                2 => {
                    wanted.remove(name);
                    has.remove(name);
                    session
                        .delta(Route, DeltaUpdate { unsubscribe: strings(&[name]), ..DeltaUpdate::default() })
                        .unwrap();
                }
                _ => {
                    let nonce = std::mem::take(&mut outstanding);
                    session.delta(Route, DeltaUpdate { nonce, ..DeltaUpdate::default() }).unwrap();
                }
            }
            while let Some(push) = session.next(now()) {
                outstanding = push.nonce;
                has.extend(push.resources.iter().map(|(name, one)| (name.to_string(), one.version.to_string())));
                push.removed.iter().for_each(|name| drop(has.remove(&**name)));
            }
        }
        for _ in 0..3 {
            let nonce = std::mem::take(&mut outstanding);
            session.delta(Route, DeltaUpdate { nonce, ..DeltaUpdate::default() }).unwrap();
            while let Some(push) = session.next(now()) {
                outstanding = push.nonce;
                has.extend(push.resources.iter().map(|(name, one)| (name.to_string(), one.version.to_string())));
                push.removed.iter().for_each(|name| drop(has.remove(&**name)));
            }
        }
        has.retain(|name, _| wanted.contains(name));
        let expected = current.iter(Route).filter(|(name, _)| wanted.contains(&***name));
        let expected: HashMap<String, String> =
            expected.map(|(name, one)| (name.to_string(), one.version.to_string())).collect();
        assert_eq!(has, expected, "seed {seed}");
    }
}
