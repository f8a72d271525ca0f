//! Limits of connections and of requests that wait for one, cookies of consistent hashing, the PROXY protocol.

use std::collections::BTreeSet;
use std::time::Duration;

use orrery_core::cluster::{Balancing, ProxyProtocol, Transport, TransportMatch};
use orrery_core::route::{HashCookie, HashInput, RouteAction};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::{
    Answer, PATIENCE, Proxy, Upstream, all_to, cluster, eventually, forward, get, manager, outbound, raw, reply, route,
    status, virtual_host,
};

#[tokio::test]
async fn requests_wait_for_the_only_connection_that_is_allowed() {
    let upstream = Upstream::echoing().await;
    let mut narrow = cluster("up", &[upstream.address]);
    narrow.limits.max_connections = 1;
    let proxy = Proxy::start(outbound(all_to("up"), vec![narrow])).await;
    let address = proxy.address;
    let all: Vec<_> = (0..10).map(|_| tokio::spawn(async move { get(address, "x", "/").await })).collect();
    for one in all {
        assert_eq!(status(&one.await.unwrap()), 200);
    }
    assert_eq!(upstream.connections(), 1);
    proxy.expect(&[("200 -", 10)]).await;
}

#[tokio::test]
async fn more_requests_than_may_wait_are_refused() {
    let upstream = Upstream::start(|_, _| Answer::Silence).await;
    let mut narrow = cluster("up", &[upstream.address]);
    narrow.limits.max_connections = 1;
    narrow.limits.max_pending_requests = 1;
    let mut slow = forward("up");
    slow.timeout = Some(Duration::from_millis(500));
    let action = RouteAction::Forward(Box::new(slow));
    let manager = manager(vec![virtual_host(&["*"], vec![route("/", action)])]);
    let proxy = Proxy::start(outbound(manager, vec![narrow])).await;
    let address = proxy.address;
    let first = tokio::spawn(async move { get(address, "x", "/").await });
    eventually(|| upstream.seen().len() == 1, || "the first request arrives".to_owned()).await;
    let more: Vec<_> = (0..2).map(|_| tokio::spawn(async move { get(address, "x", "/").await })).collect();
    for one in more.into_iter().chain([first]) {
        one.await.unwrap();
    }
    proxy.expect(&[("503 UO", 1), ("504 UT", 2)]).await;
}

#[tokio::test]
async fn a_client_without_the_hashed_cookie_gets_one_that_leads_back() {
    let upstreams = [Upstream::echoing().await, Upstream::echoing().await, Upstream::echoing().await];
    let mut hashed = cluster("up", &upstreams.each_ref().map(|upstream| upstream.address));
    hashed.balancing = Balancing::Maglev;
    let mut sticky = forward("up");
    let cookie =
        HashCookie { name: "user".into(), ttl: Some(Duration::from_secs(60)), path: "/".into(), attributes: "".into() };
    sticky.hash = vec![HashInput::Cookie(cookie)];
    let action = RouteAction::Forward(Box::new(sticky));
    let manager = manager(vec![virtual_host(&["*"], vec![route("/", action)])]);
    let proxy = Proxy::start(outbound(manager, vec![hashed])).await;
    let served = || upstreams.iter().map(|upstream| upstream.seen().len()).collect::<Vec<_>>();
    let answer = get(proxy.address, "x", "/").await;
    let first = served();
    let given = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
    assert!(given.ends_with("; Max-Age=60; Path=/; HttpOnly"), "{given}");
    let pair = given.split(';').next().unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: x\r\ncookie: {pair}\r\nconnection: close\r\n\r\n");
    for _ in 0..5 {
        let answer = raw(proxy.address, &request).await;
        assert!(!answer.contains("set-cookie"), "{answer}");
    }
    let used: BTreeSet<usize> = served().iter().enumerate().filter(|(_, n)| **n > 0).map(|(at, _)| at).collect();
    assert_eq!(used.len(), 1, "{first:?} {:?}", served());
}

#[tokio::test]
async fn a_connection_tells_where_it_came_from() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut told = cluster("up", &[server.local_addr().unwrap()]);
    told.transports = vec![TransportMatch {
        name: "default".into(),
        labels: Vec::new(),
        transport: Transport::Plain,
        proxy_protocol: Some(ProxyProtocol::V1),
    }];
    let proxy = Proxy::start(outbound(all_to("up"), vec![told])).await;
    let answering = tokio::spawn(async move {
        let mut heads = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"\r\n\r\n") {
                assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
            }
            heads.push(String::from_utf8(bytes).unwrap());
            let Answer::Bytes(answer) = reply(200, "") else { panic!("bytes") };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        heads
    });
    for _ in 0..2 {
        assert_eq!(status(&get(proxy.address, "x", "/").await), 200);
    }
    let heads = tokio::time::timeout(PATIENCE, answering).await.unwrap().unwrap();
    let port = proxy.address.port();
    for head in heads {
        let first = head.lines().next().unwrap();
        assert!(first.starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 ") && first.ends_with(&format!(" {port}")), "{head}");
        assert!(head.contains("\r\nGET / HTTP/1.1\r\n"), "{head}");
    }
}
