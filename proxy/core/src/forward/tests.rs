use http::{HeaderName, Method, StatusCode};
use regex::Regex;

use super::*;
use crate::route::HeaderOps;

fn cluster(name: &str, weight: u32) -> WeightedCluster {
    WeightedCluster { name: name.into(), weight, header_ops: HeaderOps::default() }
}

#[test]
fn splits_follow_weights() {
    let split = [cluster("a", 90), cluster("none", 0), cluster("b", 10)];
    for (random, expected) in [(0, "a"), (89, "a"), (90, "b"), (99, "b"), (100, "a"), (u64::MAX, "a")] {
        assert_eq!(pick_cluster(&split, random).unwrap().name.as_str(), expected, "{random}");
    }
    assert_eq!(pick_cluster(&split[..1], 7).unwrap().name.as_str(), "a");
    assert!(pick_cluster(&[cluster("a", 0), cluster("b", 0)], 7).is_none());
    assert!(pick_cluster(&[], 7).is_none());
}

fn prefix(value: &str) -> PathMatch {
    PathMatch::Prefix { value: value.into(), case_sensitive: true }
}

fn exact(value: &str) -> PathMatch {
    PathMatch::Exact { value: value.into(), case_sensitive: true }
}

#[test]
fn paths_are_rewritten() {
    let to = |p: &str| PathRewrite::Prefix(p.into());
    let regex = PathRewrite::Regex { pattern: Regex::new("^/v([0-9]+)/(.*)$").unwrap(), substitution: "/$2/$1".into() };
    for (rewrite, matched, path, query, expected) in [
        (to("/new"), prefix("/old"), "/old/x", None, "/new/x"),
        (to("/new"), prefix("/old"), "/old", Some("a=1"), "/new?a=1"),
        (to("/"), prefix("/old"), "/old/x", None, "/x"),
        (to("/"), prefix("/old"), "/old", None, "/"),
        (to("/"), prefix("/old/"), "/old/x", None, "/x"),
        (to("/new"), exact("/old"), "/old", None, "/new"),
        (PathRewrite::Full("/full".into()), prefix("/"), "/any", Some("q"), "/full?q"),
        (regex, prefix("/"), "/v2/shop", None, "/shop/2"),
    ] {
        assert_eq!(rewrite_path(&rewrite, &matched, path, query), expected, "{rewrite:?} {path}");
    }
}

#[test]
fn headers_change_in_order() {
    let name = |n: &'static str| HeaderName::from_static(n);
    let value = |v: &'static str| HeaderValue::from_static(v);
    let mut headers = HeaderMap::new();
    headers.insert("gone", value("1"));
    headers.insert("kept", value("old"));
    headers.insert("set", value("old"));
    apply(
        &[
            HeaderOp::Set(name("set"), value("new")),
            HeaderOp::Remove(name("gone")),
            HeaderOp::Append(name("kept"), value("more")),
            HeaderOp::Default(name("kept"), value("no")),
            HeaderOp::Default(name("fresh"), value("yes")),
        ],
        &mut headers,
    );
    let all = |n: &str| headers.get_all(n).iter().map(|v| v.to_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(all("set"), ["new"]);
    assert_eq!(all("gone"), Vec::<String>::new());
    assert_eq!(all("kept"), ["old", "more"]);
    assert_eq!(all("fresh"), ["yes"]);
}

#[test]
fn redirects_say_where() {
    let headers = HeaderMap::new();
    let request = RequestView {
        method: &Method::GET,
        scheme: "http",
        authority: "a.com:8080",
        path: "/old/x",
        query: Some("q=1"),
        headers: &headers,
    };
    let plain =
        Redirect { scheme: None, host: None, port: None, path: None, status: StatusCode::FOUND, strip_query: false };
    let https = Redirect { scheme: Some("https".into()), ..plain.clone() };
    for (redirect, expected) in [
        (plain.clone(), "http://a.com:8080/old/x?q=1"),
        (https.clone(), "https://a.com/old/x?q=1"),
        (Redirect { port: Some(443), ..https.clone() }, "https://a.com/old/x?q=1"),
        (Redirect { port: Some(8443), ..https }, "https://a.com:8443/old/x?q=1"),
        (Redirect { host: Some("b.com".into()), ..plain.clone() }, "http://b.com/old/x?q=1"),
        (
            Redirect { strip_query: true, path: Some(PathRewrite::Prefix("/new".into())), ..plain },
            "http://a.com:8080/new/x",
        ),
    ] {
        assert_eq!(location(&redirect, &prefix("/old"), &request), expected, "{redirect:?}");
    }
}

#[test]
fn hash_keys_take_the_first_input_there_is() {
    let mut headers = HeaderMap::new();
    headers.insert("cookie", HeaderValue::from_static("a=1; user=jason"));
    let request = RequestView {
        method: &Method::GET,
        scheme: "http",
        authority: "h",
        path: "/",
        query: Some("u=2"),
        headers: &headers,
    };
    let header = HashInput::Header(HeaderName::from_static("x-user"));
    let cookie = |name: &str, ttl: Option<u64>| {
        let ttl = ttl.map(Duration::from_secs);
        HashInput::Cookie(HashCookie { name: name.into(), ttl, path: "/".into(), attributes: "; Secure".into() })
    };
    let query = HashInput::QueryParameter("u".into());
    let client = SocketAddr::from(([1, 2, 3, 4], 5));
    let key = |inputs: &[HashInput]| hash(inputs, &request, client).key;
    assert_eq!(key(&[header.clone(), cookie("user", None)]), Some(fnv(b"jason")));
    assert_eq!(key(&[header.clone(), query]), Some(fnv(b"2")));
    assert_eq!(key(&[header.clone(), HashInput::SourceIp]), Some(fnv(b"1.2.3.4")));
    assert_eq!(key(&[header]), None);
    assert_eq!(hash(&[cookie("other", None)], &request, client), Hashed::default());
    for (ttl, expected) in [(0, ""), (60, "; Max-Age=60")] {
        let inputs = [cookie("other", Some(ttl))];
        let made = hash(&inputs, &request, client);
        let text = made_cookie(&inputs, client).unwrap();
        let text = text.to_str().unwrap();
        let value = text.strip_prefix("other=\"").and_then(|rest| rest.split('"').next()).unwrap();
        assert_eq!(text, format!("other=\"{value}\"{expected}; Path=/; Secure; HttpOnly"));
        assert!(made.lacks_cookie);
        assert_eq!(made.key, Some(fnv(value.as_bytes())), "the cookie leads to the same endpoint again");
    }
}
