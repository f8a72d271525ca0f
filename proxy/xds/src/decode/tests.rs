use envoy_types::pb::envoy::config::route::v3 as route_pb;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::google::protobuf::{BoolValue, Duration as PbDuration, UInt32Value};
use orrery_core::route::RouteAction;

use super::*;

fn table_with(change: impl FnOnce(&mut route_pb::Route)) -> route_pb::RouteConfiguration {
    let action = route_pb::RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster("outbound|9080||reviews".into())),
        timeout: Some(PbDuration { seconds: 0, nanos: 0 }),
        ..Default::default()
    };
    let matches =
        route_pb::RouteMatch { path_specifier: Some(PathSpecifier::Prefix("/".into())), ..Default::default() };
    let mut route =
        route_pb::Route { r#match: Some(matches), action: Some(Action::Route(action)), ..Default::default() };
    change(&mut route);
    let host = route_pb::VirtualHost {
        name: "reviews".into(),
        domains: vec!["reviews".into()],
        routes: vec![route],
        ..Default::default()
    };
    route_pb::RouteConfiguration {
        name: "9080".into(),
        virtual_hosts: vec![host],
        validate_clusters: Some(BoolValue { value: false }),
        ..Default::default()
    }
}

fn action(route: &mut route_pb::Route) -> &mut route_pb::RouteAction {
    match route.action.as_mut() {
        Some(Action::Route(action)) => action,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_plain_route_is_decoded() {
    let table = route::table(table_with(|_| {})).unwrap();
    let decoded = &table.virtual_hosts[0].routes[0];
    let RouteAction::Forward(forward) = &decoded.action else { panic!("{decoded:?}") };
    assert_eq!(forward.clusters[0].name.as_str(), "outbound|9080||reviews");
    assert_eq!(forward.timeout, None, "0 is no limit");
}

#[test]
fn fields_that_are_not_supported_are_named() {
    type Change = fn(&mut route_pb::Route);
    let cases: [(Change, &str); 6] = [
        (
            |r| action(r).append_x_forwarded_host = true,
            "virtual_hosts[reviews].routes[0].route.append_x_forwarded_host",
        ),
        (|r| action(r).priority = 1, "virtual_hosts[reviews].routes[0].route.priority"),
        (|r| action(r).hedge_policy = Some(Default::default()), "virtual_hosts[reviews].routes[0].route.hedge_policy"),
        (
            |r| r.request_body_buffer_limit = Some(Default::default()),
            "virtual_hosts[reviews].routes[0].request_body_buffer_limit",
        ),
        (|r| r.r#match = None, "virtual_hosts[reviews].routes[0].match"),
        (
            |r| {
                r.typed_per_filter_config.insert("envoy.filters.http.lua".into(), Any::default());
            },
            "virtual_hosts[reviews].routes[0].typed_per_filter_config",
        ),
    ];
    for (change, path) in cases {
        let refused = route::table(table_with(change)).unwrap_err();
        assert_eq!(refused.path, path, "{refused}");
    }
}

#[test]
fn bad_values_are_refused_with_their_place() {
    type Change = fn(&mut route_pb::Route);
    let cases: [(Change, &str); 4] = [
        (|r| action(r).timeout = Some(PbDuration { seconds: -1, nanos: 0 }), "not a duration"),
        (
            |r| {
                let regex = envoy_types::pb::envoy::r#type::matcher::v3::RegexMatcher {
                    regex: "a(b".into(),
                    engine_type: None,
                };
                r.r#match.as_mut().unwrap().path_specifier = Some(PathSpecifier::SafeRegex(regex));
            },
            "a(b",
        ),
        (|r| r.request_headers_to_remove = vec!["bad header".into()], "bad header"),
        (
            |r| {
                action(r).retry_policy =
                    Some(route_pb::RetryPolicy { retry_on: "sometimes".into(), ..Default::default() })
            },
            "sometimes",
        ),
    ];
    for (change, words) in cases {
        let refused = route::table(table_with(change)).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}

#[test]
fn what_is_left_is_named_by_field() {
    let policy = route_pb::RetryPolicy {
        num_retries: Some(UInt32Value { value: 1 }),
        refresh_cluster_on_retry: true,
        ..Default::default()
    };
    let refused = nothing_left(&policy).unwrap_err();
    assert_eq!(refused.path, "num_retries, refresh_cluster_on_retry");
}

#[test]
fn types_are_checked_before_decoding() {
    let any = Any { type_url: "type.googleapis.com/envoy.config.cluster.v3.Cluster".into(), value: Vec::new() };
    assert!(unpack::<route_pb::RouteConfiguration>(&any).unwrap_err().to_string().contains("RouteConfiguration"));
    let any = Any { type_url: route_pb::RouteConfiguration::type_url(), value: vec![0xff; 8] };
    assert!(unpack::<route_pb::RouteConfiguration>(&any).unwrap_err().to_string().contains("cannot be decoded"));
}
