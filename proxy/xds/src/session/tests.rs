use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, DiscoveryType};
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::service::discovery::v3::Resource;
use envoy_types::util::pack_any;
use prost::{Message, Name};

use super::*;

struct Fixture {
    session: Session,
    store: Store,
    status: AdsStatus,
    nonce: u64,
}

impl Fixture {
    fn new() -> Self {
        let mut fixture =
            Self { session: Session::default(), store: Store::default(), status: AdsStatus::default(), nonce: 0 };
        fixture.open();
        fixture
    }

    fn open(&mut self) -> Vec<DeltaDiscoveryRequest> {
        self.session.open(&self.store, &BTreeSet::new())
    }

    fn respond(&mut self, kind: Kind, resources: Vec<Resource>, removed: &[&str]) -> Vec<DeltaDiscoveryRequest> {
        self.nonce += 1;
        let response = DeltaDiscoveryResponse {
            type_url: kind.type_url(),
            resources,
            removed_resources: removed.iter().map(|name| (*name).to_owned()).collect(),
            nonce: self.nonce.to_string(),
            ..Default::default()
        };
        self.session.respond(response, &mut self.store, &BTreeSet::new(), &self.status)
    }
}

fn resource<M: Message + Name>(name: &str, version: &str, message: M) -> Resource {
    Resource { name: name.into(), version: version.into(), resource: Some(pack_any(message)), ..Default::default() }
}

fn eds_cluster(name: &str) -> Cluster {
    let eds = ClusterDiscoveryType::Type(DiscoveryType::Eds.into());
    Cluster { name: name.into(), cluster_discovery_type: Some(eds), ..Default::default() }
}

fn assignment(name: &str) -> ClusterLoadAssignment {
    ClusterLoadAssignment { cluster_name: name.into(), ..Default::default() }
}

#[test]
fn clusters_lead_to_their_endpoints_and_nothing_is_complete_before() {
    let mut fixture = Fixture::new();
    let requests = fixture.respond(Kind::Cluster, vec![resource("a", "1", eds_cluster("a"))], &[]);
    assert_eq!(requests.len(), 2);
    assert_eq!((requests[0].response_nonce.as_str(), requests[0].error_detail.as_ref()), ("1", None));
    assert_eq!(requests[1].type_url, Kind::Endpoints.type_url());
    assert_eq!(requests[1].resource_names_subscribe, ["a"]);
    fixture.respond(Kind::Listener, vec![], &[]);
    assert!(fixture.session.has_begun() && !fixture.session.is_complete());
    fixture.respond(Kind::Endpoints, vec![resource("a", "1", assignment("a"))], &[]);
    assert!(fixture.session.is_complete());

    let requests = fixture.respond(Kind::Cluster, vec![], &["a"]);
    assert_eq!(requests[1].resource_names_unsubscribe, ["a"]);
    assert!(!fixture.store.holds(Kind::Endpoints, "a"), "what nothing refers to is forgotten");
}

#[test]
fn good_resources_are_kept_beside_refused_ones() {
    let mut fixture = Fixture::new();
    fixture.respond(Kind::Cluster, vec![resource("a", "1", eds_cluster("a"))], &[]);
    let bad = Cluster { connection_pool_per_downstream_connection: true, ..eds_cluster("a") };
    let requests =
        fixture.respond(Kind::Cluster, vec![resource("a", "2", bad), resource("b", "2", eds_cluster("b"))], &[]);
    let detail = requests[0].error_detail.as_ref().expect("a NACK");
    assert!(detail.message.contains("a: connection_pool_per_downstream_connection"), "{}", detail.message);
    let versions = fixture.store.versions(Kind::Cluster);
    assert_eq!((versions["a"].as_str(), versions["b"].as_str()), ("1", "2"));
    assert!(fixture.status.report()["refused"]["CDS a"].is_string());
}

#[test]
fn a_new_stream_says_what_is_held() {
    let mut fixture = Fixture::new();
    fixture.respond(Kind::Cluster, vec![resource("a", "7", eds_cluster("a"))], &[]);
    fixture.respond(Kind::Endpoints, vec![resource("a", "8", assignment("a"))], &[]);
    let requests = fixture.open();
    assert_eq!(requests[0].initial_resource_versions["a"], "7");
    assert_eq!(requests[1].initial_resource_versions["a"], "8");
    assert_eq!(requests[1].resource_names_subscribe, ["a"]);
    assert!(!fixture.session.is_complete(), "no listener was ever told of");
    fixture.respond(Kind::Listener, vec![], &[]);
    assert!(fixture.session.is_complete(), "what is held need not come again");
}

#[test]
fn a_resource_that_does_not_exist_is_not_awaited() {
    let mut fixture = Fixture::new();
    fixture.respond(Kind::Listener, vec![], &[]);
    fixture.respond(Kind::Cluster, vec![resource("a", "1", eds_cluster("a"))], &[]);
    fixture.respond(Kind::Endpoints, vec![], &["a"]);
    assert!(fixture.session.is_complete());
}

#[test]
fn unknown_types_are_refused() {
    let mut fixture = Fixture::new();
    let response =
        DeltaDiscoveryResponse { type_url: "type.googleapis.com/x.Y".into(), nonce: "n".into(), ..Default::default() };
    let requests = fixture.session.respond(response, &mut fixture.store, &BTreeSet::new(), &fixture.status);
    assert_eq!(requests[0].response_nonce, "n");
    assert!(requests[0].error_detail.is_some());
}
