use http::{Method, Request};

use super::*;
use crate::fault::{Abort, Fault, Fraction};
use crate::listener::{Codec, ForwardedFor, RouteSource, Upgrades};
use crate::matching::StringMatch;
use crate::route::{DomainIndex, PathMatch, RouteMatch};

fn manager() -> HttpConnectionManager {
    HttpConnectionManager {
        stat_prefix: "t".into(),
        routes: RouteSource::Rds("t".into()),
        codec: Codec::Auto,
        forwarded_for: ForwardedFor::Trust,
        generate_request_id: false,
        normalize_path: true,
        merge_slashes: false,
        server_name: None,
        tracing: None,
        access_log: None,
        upgrades: Upgrades::default(),
        stream_idle_timeout: None,
        idle_timeout: None,
        request_headers_timeout: None,
        max_request_headers_kb: 60,
        max_concurrent_streams: 100,
        accept_http_10: false,
        fault_filter: true,
        cors_filter: true,
    }
}

fn table(action: RouteAction, response: Vec<HeaderOp>, aborts: bool) -> RouteTable {
    let abort = Abort { answer: AbortAnswer::Http(418), share: Fraction::per_million(500_000) };
    let cors = CorsPolicy {
        allow_origins: vec![StringMatch::Exact { value: "https://a.io".into(), ignore_case: false }],
        ..CorsPolicy::default()
    };
    let route = Route {
        name: "r".into(),
        matches: RouteMatch {
            path: PathMatch::Prefix { value: "/".into(), case_sensitive: true },
            headers: Vec::new(),
            query: Vec::new(),
            share: None,
            grpc_only: false,
        },
        action,
        header_ops: HeaderOps { request: Vec::new(), response },
        fault: aborts.then_some(Fault { delay: None, abort: Some(abort) }),
        cors: Some(Arc::new(cors)),
        origin: None,
        operation: None,
    };
    let host = VirtualHost {
        name: "h".into(),
        domains: vec!["*".into()],
        routes: vec![Arc::new(route)],
        include_attempt_count: false,
        header_ops: HeaderOps::default(),
    };
    let virtual_hosts = vec![Arc::new(host)];
    let domains = DomainIndex::build(&virtual_hosts).unwrap();
    RouteTable { name: "t".into(), virtual_hosts, domains, ignore_port: false, header_ops: HeaderOps::default() }
}

fn direct() -> RouteAction {
    RouteAction::DirectResponse { status: StatusCode::IM_A_TEAPOT, body: Bytes::from_static(b"tea") }
}

fn ask(table: &RouteTable, method: Method, abort: u32) -> Decided<'_> {
    let mut headers = HeaderMap::new();
    headers.insert("origin", HeaderValue::from_static("https://a.io"));
    headers.insert("access-control-request-method", HeaderValue::from_static("PUT"));
    let request =
        RequestView { method: &method, scheme: "http", authority: "a", path: "/", query: None, headers: &headers };
    decide(&manager(), table, &request, Draws { abort, ..Draws::default() }).expect("a route")
}

#[test]
fn a_fault_comes_before_preflights_and_before_answers_of_routes() {
    let table = table(direct(), Vec::new(), true);
    for method in [Method::OPTIONS, Method::GET] {
        let decided = ask(&table, method.clone(), 499_999);
        assert!(matches!(decided.action, Action::Abort(AbortAnswer::Http(418))), "{method}");
        assert!(decided.permission.is_none(), "the CORS filter has not seen the request");
    }
    let answered = ask(&table, Method::OPTIONS, 500_000);
    assert!(matches!(answered.action, Action::Answer(own) if own.status == StatusCode::OK));
    let answered = ask(&table, Method::GET, 500_000);
    assert!(answered.permission.is_some());
    assert!(matches!(answered.action, Action::Answer(own) if own.status == StatusCode::IM_A_TEAPOT));
}

#[test]
fn answers_of_routes_get_the_routes_header_changes() {
    let set = || vec![HeaderOp::Set(HeaderName::from_static("x-by"), HeaderValue::from_static("route"))];
    let redirect = RouteAction::Redirect(Redirect {
        scheme: None,
        host: Some("b".into()),
        port: None,
        path: None,
        status: StatusCode::FOUND,
        strip_query: false,
    });
    for (action, location) in [(direct(), None), (redirect, Some("http://b/"))] {
        let table = table(action, set(), false);
        let Action::Answer(own) = ask(&table, Method::GET, 0).action else { panic!("an answer") };
        let headers = own.headers;
        assert_eq!(headers["x-by"], "route");
        assert_eq!(headers.get(LOCATION).map(|to| to.to_str().unwrap()), location);
    }
}

#[test]
fn a_split_without_weights_has_no_destination() {
    let cluster = |name: &str, weight| WeightedCluster::plain(name.into(), weight);
    for (weights, expected) in [([0, 0], None), ([0, 3], Some("b")), ([5, 0], Some("a"))] {
        let forward = Forward {
            clusters: vec![cluster("a", weights[0]), cluster("b", weights[1])],
            timeout: None,
            idle_timeout: None,
            retry: None,
            path_rewrite: None,
            host_rewrite: Some(HostRewrite::Literal(HeaderValue::from_static("new"))),
            mirrors: Vec::new(),
            hash: Vec::new(),
            cluster_not_found: StatusCode::SERVICE_UNAVAILABLE,
        };
        let table = table(RouteAction::Forward(Box::new(forward)), Vec::new(), false);
        let decided = ask(&table, Method::GET, 0);
        let destination = decided.matched.destination.map(|one| one.name.as_str());
        assert_eq!(destination, expected);
        match decided.action {
            Action::Forward(plan) => {
                let (mut parts, ()) = Request::get("/a").header("host", "old").body(()).unwrap().into_parts();
                plan.rewrite(&mut parts).unwrap();
                assert_eq!(parts.headers["host"], "new");
            }
            other => assert!(expected.is_none() && matches!(other, Action::NoDestination), "{other:?}"),
        }
    }
}
