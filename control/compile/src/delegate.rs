//! VirtualServices that hand routes to others: the routes of both, made one.
//!
//! As Istio merges them: a delegate's matches must lie within those of the route that delegates, and what the delegate
//! leaves open is as that route says.

use std::collections::BTreeMap;

use orrery_api::{HttpMatch, HttpRoute, Key, Kind, Located, Object, StringMatch, VirtualService};

use crate::build::gateway_name;
use crate::world::World;

/// A route, and the object whose namespace its short names are of.
#[derive(Clone, Debug)]
pub(crate) struct EffectiveRoute<'a> {
    pub(crate) object: &'a Object,
    pub(crate) http: HttpRoute,
}

/// The HTTP routes of a virtual service with those of its delegates in their place. What delegates to nothing that is
/// there, or is seen from here, has no routes.
pub(crate) fn routes<'a>(world: &'a World, object: &'a Object, service: &'a VirtualService) -> Vec<EffectiveRoute<'a>> {
    let mut routes = Vec::new();
    for http in &service.http {
        let Some(delegate) = &http.delegate else {
            routes.push(EffectiveRoute { object, http: http.clone() });
            continue;
        };
        let namespace = delegate.namespace.as_ref().unwrap_or(&object.key.namespace);
        if let Some((target, delegated)) = find(world, namespace, &delegate.name.value, &object.key.namespace) {
            let root = anchored(world, object, http);
            let leaves = delegated.http.iter().filter(|leaf| leaf.delegate.is_none());
            let merged = leaves.filter_map(|leaf| merge(&root, &anchored(world, target, leaf)));
            routes.extend(merged.map(|http| EffectiveRoute { object: target, http }));
        }
    }
    routes
}

/// The virtual service that is delegated to, if the delegating one's namespace sees it.
pub(crate) fn find<'a>(
    world: &'a World,
    namespace: &str,
    name: &str,
    seen_from: &str,
) -> Option<(&'a Object, &'a VirtualService)> {
    let key = Key { kind: Kind::VirtualService, namespace: namespace.to_owned(), name: name.to_owned() };
    let (object, service) = world.virtual_service(&key)?;
    (service.hosts.is_empty() && service.export_to.includes(namespace, seen_from)).then_some((object, service))
}

/// A route with its names in full, so that they mean the same in another namespace.
fn anchored(world: &World, object: &Object, http: &HttpRoute) -> HttpRoute {
    let namespace = &object.key.namespace;
    let mut http = http.clone();
    for mirror in &mut http.mirrors {
        mirror.destination.host.value = world.resolve(&mirror.destination.host.value, namespace);
    }
    for gateway in http.matches.iter_mut().flat_map(|one| &mut one.gateways) {
        gateway.value = gateway_name(&gateway.value, namespace);
    }
    http
}

fn merge(root: &HttpRoute, leaf: &HttpRoute) -> Option<HttpRoute> {
    let matches = match (root.matches.is_empty(), leaf.matches.is_empty()) {
        (true, _) => leaf.matches.clone(),
        (false, true) => root.matches.clone(),
        (false, false) => {
            let mut matches: Vec<HttpMatch> = Vec::new();
            for inner in &leaf.matches {
                let before = matches.len();
                matches.extend(root.matches.iter().filter_map(|outer| merge_match(outer, inner)));
                // One match that lies outside takes the whole route with it.
                if matches.len() == before {
                    return None;
                }
            }
            matches
        }
    };
    let names = [root.name.as_str(), leaf.name.as_str()];
    let headers = if leaf.headers.is_empty() { &root.headers } else { &leaf.headers };
    Some(HttpRoute {
        name: names.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join("-"),
        matches,
        route: leaf.route.clone(),
        redirect: leaf.redirect.clone(),
        direct_response: leaf.direct_response.clone(),
        rewrite: leaf.rewrite.clone().or_else(|| root.rewrite.clone()),
        timeout: leaf.timeout.or(root.timeout),
        retries: leaf.retries.clone().or_else(|| root.retries.clone()),
        fault: leaf.fault.clone().or_else(|| root.fault.clone()),
        mirrors: if leaf.mirrors.is_empty() { root.mirrors.clone() } else { leaf.mirrors.clone() },
        headers: headers.clone(),
        cors: leaf.cors.clone().or_else(|| root.cors.clone()),
        delegate: None,
        share: leaf.share.or(root.share),
    })
}

type Conditions = BTreeMap<String, Option<StringMatch>>;

/// Both conditions at once, or nothing when they exclude each other.
fn merge_match(root: &HttpMatch, leaf: &HttpMatch) -> Option<HttpMatch> {
    let names = [root.name.as_str(), leaf.name.as_str()];
    let gateways = match (root.gateways.is_empty(), leaf.gateways.is_empty()) {
        (true, _) => leaf.gateways.clone(),
        (false, true) => root.gateways.clone(),
        (false, false) => within(&root.gateways, &leaf.gateways)?,
    };
    Some(HttpMatch {
        name: names.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join("-"),
        uri: narrower(root.uri.as_ref(), leaf.uri.as_ref())?,
        ignore_uri_case: (root.ignore_uri_case == leaf.ignore_uri_case).then_some(leaf.ignore_uri_case)?,
        scheme: narrower(root.scheme.as_ref(), leaf.scheme.as_ref())?,
        method: narrower(root.method.as_ref(), leaf.method.as_ref())?,
        authority: narrower(root.authority.as_ref(), leaf.authority.as_ref())?,
        headers: all_of(&root.headers, &leaf.headers)?,
        without_headers: all_of(&root.without_headers, &leaf.without_headers)?,
        query_params: all_of(&root.query_params, &leaf.query_params)?,
        port: same(root.port, leaf.port)?,
        source_labels: labels(&root.source_labels, &leaf.source_labels)?,
        // As Istio has it, the leaf must say it as well.
        source_namespace: match &root.source_namespace {
            Some(_) if root.source_namespace != leaf.source_namespace => return None,
            _ => leaf.source_namespace.clone(),
        },
        stat_prefix: if leaf.stat_prefix.is_empty() { root.stat_prefix.clone() } else { leaf.stat_prefix.clone() },
        gateways,
    })
}

/// The condition of the leaf if it lies within the root's; the outer nothing when it does not.
#[allow(clippy::option_option, reason = "no condition and no match are different things")]
fn narrower(root: Option<&StringMatch>, leaf: Option<&StringMatch>) -> Option<Option<StringMatch>> {
    match (root, leaf) {
        (None, leaf) => Some(leaf.cloned()),
        (root, None) => Some(root.cloned()),
        (Some(root), Some(leaf)) => lies_within(root, leaf).then(|| Some(leaf.clone())),
    }
}

/// Of expressions nobody can tell whether one lies within the other.
fn lies_within(root: &StringMatch, leaf: &StringMatch) -> bool {
    match (root, leaf) {
        (StringMatch::Regex(_), _) | (_, StringMatch::Regex(_)) => false,
        (StringMatch::Exact(root), StringMatch::Exact(leaf)) => root == leaf,
        (StringMatch::Exact(_), StringMatch::Prefix(_)) => false,
        (StringMatch::Prefix(root), StringMatch::Exact(leaf) | StringMatch::Prefix(leaf)) => leaf.starts_with(root),
    }
}

fn all_of(root: &Conditions, leaf: &Conditions) -> Option<Conditions> {
    let mut all = leaf.clone();
    for (name, condition) in root {
        let both = match leaf.get(name) {
            None => condition.clone(),
            Some(other) => narrower(condition.as_ref(), other.as_ref())?,
        };
        all.insert(name.clone(), both);
    }
    Some(all)
}

fn labels(root: &BTreeMap<String, String>, leaf: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    let mut all = leaf.clone();
    for (key, value) in root {
        if all.insert(key.clone(), value.clone()).is_some_and(|other| other != *value) {
            return None;
        }
    }
    Some(all)
}

#[allow(clippy::option_option, reason = "no condition and no match are different things")]
fn same<T: PartialEq>(root: Option<T>, leaf: Option<T>) -> Option<Option<T>> {
    match (root, leaf) {
        (None, one) | (one, None) => Some(one),
        (Some(root), Some(leaf)) => (root == leaf).then_some(Some(leaf)),
    }
}

/// The leaf's gateways, if the root has all of them.
fn within(root: &[Located<String>], leaf: &[Located<String>]) -> Option<Vec<Located<String>>> {
    let has = |one: &Located<String>| root.iter().any(|other| other.value == one.value);
    leaf.iter().all(has).then(|| leaf.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_lie_within_roots() {
        let exact = |text: &str| StringMatch::Exact(text.to_owned());
        let prefix = |text: &str| StringMatch::Prefix(text.to_owned());
        for (root, leaf, expected) in [
            (prefix("/a"), exact("/a/b"), true),
            (prefix("/a"), prefix("/a/b"), true),
            (prefix("/a/b"), prefix("/a"), false),
            (exact("/a"), exact("/a"), true),
            (exact("/a"), prefix("/a"), false),
            (StringMatch::Regex(".*".to_owned()), exact("/a"), false),
        ] {
            assert_eq!(lies_within(&root, &leaf), expected, "{root:?} {leaf:?}");
        }
    }

    #[test]
    fn contradictions_leave_no_match() {
        let port = |port| HttpMatch { port, ..HttpMatch::default() };
        assert!(merge_match(&port(Some(80)), &port(Some(81))).is_none());
        assert_eq!(merge_match(&port(Some(80)), &port(None)).unwrap().port, Some(80));
        let header = |value: &str| HttpMatch {
            headers: BTreeMap::from([("a".to_owned(), Some(StringMatch::Exact(value.to_owned())))]),
            ..HttpMatch::default()
        };
        assert!(merge_match(&header("1"), &header("2")).is_none());
        assert_eq!(merge_match(&header("1"), &port(Some(1))).unwrap().headers.len(), 1);
    }
}
