//! Retries, time limits, circuit breakers and ejections.

use std::net::SocketAddr;
use std::time::Duration;

use orrery_core::cluster::OutlierDetection;
use orrery_core::retry::{RetryOn, RetryPolicy};
use orrery_core::route::{Forward, RouteAction};

use crate::harness::*;

fn policy(on: &str, num_retries: u32) -> RetryPolicy {
    RetryPolicy {
        on: RetryOn::parse(on).0,
        status_codes: vec![503],
        num_retries,
        per_try_timeout: None,
        base_backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(5),
        avoid_previous_hosts: true,
    }
}

fn with(change: impl FnOnce(&mut Forward)) -> orrery_core::listener::HttpConnectionManager {
    let mut to = forward("up");
    change(&mut to);
    manager(vec![virtual_host(&["*"], vec![route("/", RouteAction::Forward(Box::new(to)))])])
}

/// An address where nothing listens.
async fn nobody() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

const POST: &str = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello";

#[tokio::test]
async fn retriable_answers_are_tried_again_with_their_body() {
    let upstream = Upstream::start(|_, before| if before < 2 { reply(503, "") } else { reply(200, "ok") }).await;
    let manager = with(|to| to.retry = Some(policy("retriable-status-codes", 2)));
    let proxy = Proxy::start(outbound(manager, vec![cluster("up", &[upstream.address])])).await;
    assert_eq!(status(&raw(proxy.address, POST).await), 200);
    let seen = upstream.seen();
    assert_eq!(seen.len(), 3);
    for (number, request) in seen.iter().enumerate() {
        assert!(request.ends_with("hello"), "{request}");
        assert!(request.contains(&format!("x-envoy-attempt-count: {}\r\n", number + 1)), "{request}");
    }
    proxy.expect(&[("200 -", 1)]).await;
}

#[tokio::test]
async fn exhausted_retries_give_the_last_answer() {
    let upstream = Upstream::start(|_, _| reply(503, "mine")).await;
    let manager = with(|to| to.retry = Some(policy("5xx", 2)));
    let proxy = Proxy::start(outbound(manager, vec![cluster("up", &[upstream.address])])).await;
    assert!(get(proxy.address, "x", "/").await.ends_with("mine"));
    assert_eq!(upstream.seen().len(), 3);
    proxy.expect(&[("503 URX", 1)]).await;
}

#[tokio::test]
async fn failures_carry_envoys_flags() {
    let closing = Upstream::start(|_, _| Answer::Close).await;
    let silent = Upstream::start(|_, _| Answer::Silence).await;
    let cases: [(_, Vec<SocketAddr>, Option<RetryPolicy>, _, _); 5] = [
        ("nobody listens", vec![nobody().await], None, 503, "503 UF"),
        ("nobody listens, retried", vec![nobody().await], Some(policy("connect-failure", 2)), 503, "503 UF,URX"),
        ("no endpoints", vec![], None, 503, "503 UH"),
        ("closed without an answer", vec![closing.address], None, 503, "503 UC"),
        ("too late", vec![silent.address], None, 504, "504 UT"),
    ];
    for (what, addresses, retry, code, outcome) in cases {
        let manager = with(|to| {
            to.timeout = Some(Duration::from_millis(300));
            to.retry = retry;
        });
        let proxy = Proxy::start(outbound(manager, vec![cluster("up", &addresses)])).await;
        let answer = get(proxy.address, "x", "/").await;
        assert_eq!(status(&answer), code, "{what}: {answer}");
        proxy.expect(&[(outcome, 1)]).await;
    }
}

#[tokio::test]
async fn a_dead_endpoint_is_passed_over() {
    let upstream = Upstream::echoing().await;
    let manager = with(|to| to.retry = Some(policy("connect-failure", 2)));
    let proxy = Proxy::start(outbound(manager, vec![cluster("up", &[nobody().await, upstream.address])])).await;
    for _ in 0..10 {
        assert_eq!(status(&get(proxy.address, "x", "/").await), 200);
    }
    proxy.expect(&[("200 -", 10)]).await;
}

#[tokio::test]
async fn each_try_has_its_own_time() {
    let upstream = Upstream::start(|_, before| if before == 0 { Answer::Silence } else { reply(200, "ok") }).await;
    let manager = with(|to| {
        to.retry = Some(RetryPolicy { per_try_timeout: Some(Duration::from_millis(100)), ..policy("5xx", 1) });
    });
    let proxy = Proxy::start(outbound(manager, vec![cluster("up", &[upstream.address])])).await;
    assert_eq!(status(&get(proxy.address, "x", "/").await), 200);
    proxy.expect(&[("200 -", 1)]).await;
}

#[tokio::test]
async fn an_answer_that_stops_is_cut_off_at_the_limit() {
    let upstream =
        Upstream::start(|_, _| Answer::Bytes("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".into())).await;
    let manager = with(|to| to.timeout = Some(Duration::from_millis(200)));
    let proxy = Proxy::start(outbound(manager, vec![cluster("up", &[upstream.address])])).await;
    let answer = raw(proxy.address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.ends_with("half"), "{answer}");
    proxy.expect(&[("200 UT", 1)]).await;
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_idle_costs_no_request() {
    // Each connection serves one request and is then closed without having said so.
    let upstream = Upstream::start(|_, _| Answer::Last("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".into())).await;
    let proxy = Proxy::start(outbound(with(|_| {}), vec![cluster("up", &[upstream.address])])).await;
    for _ in 0..50 {
        assert_eq!(status(&get(proxy.address, "x", "/").await), 200);
    }
    proxy.expect(&[("200 -", 50)]).await;
}

#[tokio::test]
async fn over_the_limit_of_requests_is_refused() {
    let silent = Upstream::start(|_, _| Answer::Silence).await;
    let mut limited = cluster("up", &[silent.address]);
    limited.limits.max_requests = 1;
    let manager = with(|to| to.timeout = Some(Duration::from_secs(2)));
    let proxy = Proxy::start(outbound(manager, vec![limited])).await;
    let first = tokio::spawn(get_owned(proxy.address));
    eventually(|| silent.seen().len() == 1, || "the first request has not arrived".into()).await;
    assert_eq!(status(&get(proxy.address, "x", "/").await), 503);
    assert_eq!(status(&first.await.unwrap()), 504);
    proxy.expect(&[("503 UO", 1), ("504 UT", 1)]).await;
}

async fn get_owned(address: SocketAddr) -> String {
    get(address, "x", "/").await
}

#[tokio::test]
async fn an_endpoint_with_errors_is_set_aside() {
    let (bad, good) = (Upstream::start(|_, _| reply(500, "")).await, Upstream::echoing().await);
    let mut watched = cluster("up", &[bad.address, good.address]);
    watched.outlier = Some(OutlierDetection {
        consecutive_5xx: 2,
        consecutive_gateway_failure: 0,
        consecutive_local_origin_failure: 0,
        split_external_local_origin_errors: false,
        interval: Duration::from_secs(10),
        base_ejection_time: Duration::from_secs(30),
        max_ejection_time: Duration::from_secs(300),
        max_ejection_percent: 50,
        healthy_panic_percent: 0,
    });
    let proxy = Proxy::start(outbound(with(|_| {}), vec![watched])).await;
    for _ in 0..20 {
        get(proxy.address, "x", "/").await;
    }
    assert_eq!(bad.seen().len(), 2);
    proxy.expect(&[("200 -", 18), ("500 -", 2)]).await;
}
