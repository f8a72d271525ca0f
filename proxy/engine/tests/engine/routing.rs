//! Hosts, paths, rewrites, splits, direct answers, and what the upstream gets to see.

use bytes::Bytes;
use http::StatusCode;
use orrery_core::route::{HeaderOp, HeaderOps, HostRewrite, PathRewrite, Redirect, RouteAction, WeightedCluster};

use crate::harness::*;

#[tokio::test]
async fn hosts_and_paths_choose_the_cluster() {
    let (a, b) = (Upstream::start(|_, _| reply(200, "a")).await, Upstream::start(|_, _| reply(200, "b")).await);
    let to = |cluster: &str| RouteAction::Forward(Box::new(forward(cluster)));
    let redirect = Redirect {
        scheme: Some("https".into()),
        host: None,
        port: None,
        path: None,
        status: StatusCode::MOVED_PERMANENTLY,
        strip_query: false,
    };
    let direct = RouteAction::DirectResponse { status: StatusCode::IM_A_TEAPOT, body: Bytes::from_static(b"short") };
    let hosts = vec![
        virtual_host(
            &["a.test"],
            vec![route("/b/", to("b")), route("/old", RouteAction::Redirect(redirect)), route("/", to("a"))],
        ),
        virtual_host(
            &["b.test", "b.test:80"],
            vec![route("/tea", direct), route("/gone", to("gone")), route("/only", to("b"))],
        ),
    ];
    let proxy =
        Proxy::start(outbound(manager(hosts), vec![cluster("a", &[a.address]), cluster("b", &[b.address])])).await;
    let cases = [
        ("a.test", "/", 200, "a"),
        ("A.Test", "/x?b=/b/", 200, "a"),
        ("a.test", "/b/c", 200, "b"),
        ("a.test", "/x/../b/c", 200, "b"),
        ("b.test", "/only", 200, "b"),
        ("b.test:80", "/only", 200, "b"),
        ("b.test", "/other", 404, ""),
        ("b.test", "/tea", 418, "short"),
        ("b.test", "/gone", 503, ""),
        ("c.test", "/", 404, ""),
        ("a.test", "/old?x=1", 301, ""),
    ];
    for (host, path, expected, body) in cases {
        let answer = get(proxy.address, host, path).await;
        assert_eq!(status(&answer), expected, "{host}{path} {answer}");
        assert!(answer.ends_with(body), "{host}{path} {answer}");
    }
    assert!(get(proxy.address, "a.test", "/old?x=1").await.contains("location: https://a.test/old?x=1\r\n"));
    proxy.expect(&[("200 -", 6), ("404 NR", 2), ("418 -", 1), ("503 NC", 1), ("301 -", 2)]).await;
}

#[tokio::test]
async fn the_upstream_gets_a_clean_and_rewritten_request() {
    let upstream = Upstream::start(|_, _| {
        Answer::Bytes(
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nkeep-alive: x\r\nserver: app\r\nx-remove: 1\r\n\r\n".into(),
        )
    })
    .await;
    let mut to = forward("up");
    to.path_rewrite = Some(PathRewrite::Prefix("/v2/".into()));
    to.host_rewrite = Some(HostRewrite::Literal("inner.test".parse().unwrap()));
    let mut changed = route("/api/", RouteAction::Forward(Box::new(to)));
    changed.header_ops = HeaderOps {
        request: vec![
            HeaderOp::Remove("x-secret".parse().unwrap()),
            HeaderOp::Set("x-new".parse().unwrap(), "1".parse().unwrap()),
        ],
        response: vec![HeaderOp::Remove("x-remove".parse().unwrap())],
    };
    let proxy = Proxy::start(outbound(
        manager(vec![virtual_host(&["*"], vec![changed])]),
        vec![cluster("up", &[upstream.address])],
    ))
    .await;
    let answer = raw(
        proxy.address,
        "GET /api/%61/./b?q=%2e HTTP/1.1\r\nhost: outer.test\r\nconnection: close, x-hop, authorization\r\nx-hop: 1\r\nauthorization: a\r\nx-secret: s\r\n\
         keep-alive: 5\r\nproxy-connection: keep-alive\r\nte: trailers, gzip\r\nupgrade: h2c\r\nhttp2-settings: AAA\r\n\r\n",
    )
    .await;
    let seen = &upstream.seen()[0];
    assert!(seen.starts_with("GET /v2/a/b?q=%2e HTTP/1.1\r\n"), "{seen}");
    for present in [
        "\r\nhost: inner.test\r\n",
        "\r\nx-new: 1\r\n",
        "\r\nx-envoy-attempt-count: 1\r\n",
        "\r\nx-request-id: ",
        "\r\nx-forwarded-proto: http\r\n",
        "\r\nauthorization: a\r\n",
    ] {
        assert!(seen.contains(present), "{present:?} in {seen}");
    }
    for absent in [
        "x-hop",
        "x-secret",
        "keep-alive",
        "proxy-connection",
        "upgrade",
        "http2-settings",
        "te:",
        "x-envoy-peer-metadata",
    ] {
        assert!(!seen.contains(absent), "{absent} in {seen}");
    }
    assert!(answer.contains("server: orrery\r\n") && answer.contains("x-envoy-upstream-service-time: "), "{answer}");
    assert!(!answer.contains("x-remove") && !answer.contains("keep-alive"), "{answer}");
}

#[tokio::test]
async fn weights_split_traffic() {
    let (a, b) = (Upstream::echoing().await, Upstream::echoing().await);
    let mut split = forward("a");
    split.clusters = [("a", 80), ("b", 20)].map(|(name, weight)| WeightedCluster::plain(name.into(), weight)).into();
    let hosts = vec![virtual_host(&["*"], vec![route("/", RouteAction::Forward(Box::new(split)))])];
    let proxy =
        Proxy::start(outbound(manager(hosts), vec![cluster("a", &[a.address]), cluster("b", &[b.address])])).await;
    let one = "GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(499);
    let answers = raw(proxy.address, &format!("{one}GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
    assert_eq!(answers.matches("200 OK").count(), 500);
    let to_b = b.seen().len();
    // 100 expected; five standard deviations are 45.
    assert!((55..=145).contains(&to_b), "{to_b}");
    assert_eq!(a.seen().len() + to_b, 500);
}

#[tokio::test]
async fn a_new_snapshot_takes_effect_and_keeps_connections_to_unchanged_endpoints() {
    let (a, b) = (Upstream::start(|_, _| reply(200, "a")).await, Upstream::start(|_, _| reply(200, "b")).await);
    let clusters = || vec![cluster("a", &[a.address]), cluster("b", &[b.address])];
    let proxy = Proxy::start(outbound(all_to("a"), clusters())).await;
    assert!(get(proxy.address, "x", "/").await.ends_with('a'));
    let mut next = outbound(all_to("b"), clusters());
    next.generation = 2;
    let applied = proxy.engine.apply(std::sync::Arc::new(next)).await.unwrap();
    assert_eq!(applied.listening[0].1, proxy.address);
    assert!(get(proxy.address, "x", "/").await.ends_with('b'));
    let mut back = outbound(all_to("a"), clusters());
    back.generation = 3;
    proxy.engine.apply(std::sync::Arc::new(back)).await.unwrap();
    assert!(get(proxy.address, "x", "/").await.ends_with('a'));
    assert_eq!((a.connections(), b.connections()), (1, 1));
}

#[tokio::test]
async fn copies_are_sent_and_their_answers_thrown_away() {
    use orrery_core::fault::Fraction;
    use orrery_core::route::Mirror;
    let (main, copy) = (Upstream::echoing().await, Upstream::start(|_, _| reply(500, "no")).await);
    let mut to = forward("main");
    to.mirrors = vec![Mirror { cluster: "copy".into(), share: Fraction::ALL }];
    let hosts = vec![virtual_host(&["*"], vec![route("/", RouteAction::Forward(Box::new(to)))])];
    let proxy = Proxy::start(outbound(
        manager(hosts),
        vec![cluster("main", &[main.address]), cluster("copy", &[copy.address])],
    ))
    .await;
    let answer =
        raw(proxy.address, "POST / HTTP/1.1\r\nhost: x.test\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbody")
            .await;
    assert_eq!(status(&answer), 200);
    eventually(|| copy.seen().len() == 1, || "no copy".into()).await;
    let seen = copy.seen()[0].clone();
    assert!(seen.contains("host: x.test-shadow\r\n") && seen.ends_with("body"), "{seen}");
}
