use http::HeaderMap;
use regex::Regex;

use super::*;
use crate::fault::Fraction;
use crate::route::{HeaderOps, RouteAction};

fn host(name: &str, domains: &[&str], routes: Vec<Route>) -> Arc<VirtualHost> {
    Arc::new(VirtualHost {
        name: name.into(),
        domains: domains.iter().map(|d| (*d).into()).collect(),
        routes: routes.into_iter().map(Arc::new).collect(),
        include_attempt_count: false,
        header_ops: HeaderOps::default(),
    })
}

fn route(name: &str, path: PathMatch) -> Route {
    Route {
        name: name.into(),
        matches: RouteMatch { path, headers: Vec::new(), query: Vec::new(), share: None, grpc_only: false },
        action: RouteAction::None,
        header_ops: HeaderOps::default(),
        fault: None,
        cors: None,
        origin: None,
        operation: None,
    }
}

fn table(hosts: Vec<Arc<VirtualHost>>, ignore_port: bool) -> RouteTable {
    let domains = DomainIndex::build(&hosts).unwrap();
    RouteTable { name: "t".into(), virtual_hosts: hosts, domains, ignore_port, header_ops: HeaderOps::default() }
}

fn view<'a>(authority: &'a str, path: &'a str, headers: &'a HeaderMap) -> RequestView<'a> {
    RequestView { method: &Method::GET, scheme: "http", authority, path, query: None, headers }
}

fn prefix(value: &str) -> PathMatch {
    PathMatch::Prefix { value: value.into(), case_sensitive: true }
}

#[test]
fn hosts_by_specificity() {
    let hosts = vec![
        host("exact", &["www.foo.com", "reviews:9080"], vec![]),
        host("long suffix", &["*-bar.foo.com"], vec![]),
        host("suffix", &["*.foo.com"], vec![]),
        host("prefix", &["foo.*"], vec![]),
        host("any", &["*"], vec![]),
    ];
    let table = table(hosts, false);
    for (authority, expected) in [
        ("www.foo.com", "exact"),
        ("WWW.Foo.COM", "exact"),
        ("reviews:9080", "exact"),
        ("reviews", "any"),
        ("baz-bar.foo.com", "long suffix"),
        ("-bar.foo.com", "suffix"),
        ("a.b.foo.com", "suffix"),
        (".foo.com", "any"),
        ("foo.org", "prefix"),
        ("foo.", "any"),
        ("www.foo.com:80", "any"),
    ] {
        assert_eq!(&*table.virtual_host(authority).unwrap().name, expected, "{authority}");
    }
}

#[test]
fn ports_are_ignored_when_asked() {
    let table = table(vec![host("one", &["a.com", "[::1]"], vec![])], true);
    for (authority, found) in
        [("a.com", true), ("a.com:8080", true), ("[::1]:80", true), ("[::1]", true), ("b.com:80", false)]
    {
        assert_eq!(table.virtual_host(authority).is_some(), found, "{authority}");
    }
}

#[test]
fn one_domain_belongs_to_one_virtual_host() {
    for domain in ["a.com", "*.a.com", "a.*", "*"] {
        let refused = DomainIndex::build(&[host("x", &[domain], vec![]), host("y", &[domain], vec![])]).unwrap_err();
        assert_eq!((&*refused.domain, &*refused.first, &*refused.second), (domain, "x", "y"));
        assert!(DomainIndex::build(&[host("x", &[domain, domain], vec![])]).is_ok());
    }
}

#[test]
fn paths() {
    let none = HeaderMap::new();
    let regex = |r: &str| PathMatch::Regex(Regex::new(&format!("^(?:{r})$")).unwrap());
    let separated = |v: &str, case_sensitive| PathMatch::SeparatedPrefix { value: v.into(), case_sensitive };
    let exact = |v: &str, case_sensitive| PathMatch::Exact { value: v.into(), case_sensitive };
    let insensitive = |v: &str| PathMatch::Prefix { value: v.into(), case_sensitive: false };
    for (matcher, path, expected) in [
        (prefix("/a"), "/ab", true),
        (prefix("/a"), "/A", false),
        (insensitive("/a"), "/Ab", true),
        (exact("/a", true), "/a", true),
        (exact("/a", true), "/a/", false),
        (exact("/a", false), "/A", true),
        (separated("/a", true), "/a", true),
        (separated("/a", true), "/a/b", true),
        (separated("/a", true), "/ab", false),
        (separated("/a", false), "/A/b", true),
        (regex("/a/[0-9]+"), "/a/12", true),
        (regex("/a/[0-9]+"), "/a/12/b", false),
        (PathMatch::Connect, "/", false),
    ] {
        assert_eq!(matcher.matches(&view("h", path, &none)), expected, "{matcher:?} {path}");
    }
}

#[test]
fn the_first_matching_route_wins_and_shares_are_honoured() {
    let mut half = route("half", prefix("/"));
    half.matches.share = Some(Fraction::per_million(500_000));
    let mut grpc = route("grpc", prefix("/"));
    grpc.matches.grpc_only = true;
    let table = table(vec![host("h", &["*"], vec![grpc, half, route("rest", prefix("/"))])], false);
    let mut headers = HeaderMap::new();
    let name =
        |headers: &HeaderMap, random| Arc::clone(&select(&table, &view("h", "/", headers), random).unwrap().route.name);
    assert_eq!(&*name(&headers, 499_999), "half");
    assert_eq!(&*name(&headers, 500_000), "rest");
    for (content_type, expected) in
        [("application/grpc", "grpc"), ("application/grpc+proto", "grpc"), ("application/grpc-web", "rest")]
    {
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        assert_eq!(&*name(&headers, 999_999), expected, "{content_type}");
    }
}

#[test]
fn nothing_matches() {
    let none = HeaderMap::new();
    let table = table(vec![host("h", &["a"], vec![route("r", prefix("/x"))])], false);
    assert_eq!(select(&table, &view("b", "/x", &none), 0).unwrap_err(), NoRoute::Host);
    assert_eq!(select(&table, &view("a", "/y", &none), 0).unwrap_err(), NoRoute::Route);
}
