//! Route tables as JSON.

use orrery_core::route::{Forward, PathMatch, Route, RouteAction, RouteTable, VirtualHost};
use serde_json::{Value, json};

pub(crate) fn table(table: &RouteTable) -> Value {
    let hosts: Vec<Value> = table.virtual_hosts.iter().map(|host| virtual_host(host)).collect();
    json!({"name": table.name.as_str(), "virtual_hosts": hosts})
}

fn virtual_host(host: &VirtualHost) -> Value {
    let routes: Vec<Value> = host.routes.iter().map(|one| route(one)).collect();
    json!({"name": &*host.name, "domains": host.domains, "routes": routes})
}

fn route(route: &Route) -> Value {
    let mut matches = match &route.matches.path {
        PathMatch::Prefix { value, .. } => json!({"prefix": value}),
        PathMatch::Exact { value, .. } => json!({"path": value}),
        PathMatch::SeparatedPrefix { value, .. } => json!({"path_separated_prefix": value}),
        PathMatch::Regex(regex) => json!({"safe_regex": {"regex": regex.as_str()}}),
        PathMatch::Connect => json!({"connect_matcher": {}}),
    };
    if !route.matches.headers.is_empty() {
        matches["headers"] = route
            .matches
            .headers
            .iter()
            .map(|h| json!({"name": h.name, "match": format!("{:?}", h.condition), "invert": h.invert}))
            .collect();
    }
    if !route.matches.query.is_empty() {
        matches["query_parameters"] = route
            .matches
            .query
            .iter()
            .map(|q| json!({"name": q.name, "match": format!("{:?}", q.condition)}))
            .collect();
    }
    let mut dump = json!({"name": &*route.name, "match": matches});
    match &route.action {
        RouteAction::Forward(forward) => dump["route"] = forward_action(forward),
        RouteAction::Redirect(redirect) => dump["redirect"] = json!(format!("{redirect:?}")),
        RouteAction::DirectResponse { status, .. } => dump["direct_response"] = json!({"status": status.as_u16()}),
        RouteAction::None => {}
    }
    if let Some(fault) = &route.fault {
        dump["fault"] = json!(format!("{fault:?}"));
    }
    if let Some(origin) = &route.origin {
        dump["metadata"] = json!({"filter_metadata": {"istio": {"config": &**origin}}});
    }
    dump
}

fn forward_action(forward: &Forward) -> Value {
    let mut action = match forward.clusters.as_slice() {
        [only] => json!({"cluster": only.name.as_str()}),
        many => json!({"weighted_clusters": {"clusters":
            many.iter().map(|c| json!({"name": c.name.as_str(), "weight": c.weight})).collect::<Vec<_>>()}}),
    };
    action["timeout"] = json!(forward.timeout.map_or_else(|| "0s".to_owned(), |timeout| format!("{timeout:?}")));
    if let Some(retry) = &forward.retry {
        action["retry_policy"] = json!({"num_retries": retry.num_retries, "retry_on": format!("{:?}", retry.on)});
    }
    if !forward.mirrors.is_empty() {
        action["request_mirror_policies"] =
            forward.mirrors.iter().map(|m| json!({"cluster": m.cluster.as_str()})).collect();
    }
    action
}
