//! Injected delays and aborts.

use std::time::{Duration, Instant};

use orrery_core::fault::{Abort, AbortAnswer, Delay, Fault, Fraction};
use orrery_core::route::RouteAction;

use crate::harness::*;

async fn proxy_with(fault: Fault, upstream: &Upstream) -> Proxy {
    let mut faulty = route("/", RouteAction::Forward(Box::new(forward("up"))));
    faulty.fault = Some(fault);
    let hosts = vec![virtual_host(&["*"], vec![faulty])];
    Proxy::start(outbound(manager(hosts), vec![cluster("up", &[upstream.address])])).await
}

#[tokio::test]
async fn an_abort_answers_in_place_of_the_upstream() {
    let upstream = Upstream::echoing().await;
    let abort = Abort { answer: AbortAnswer::Http(555), share: Fraction::ALL };
    let proxy = proxy_with(Fault { delay: None, abort: Some(abort) }, &upstream).await;
    let answer = get(proxy.address, "x", "/").await;
    assert_eq!(status(&answer), 555);
    assert!(answer.ends_with("fault filter abort"), "{answer}");
    assert!(upstream.seen().is_empty());
    proxy.expect(&[("555 FI", 1)]).await;
}

#[tokio::test]
async fn a_delay_holds_the_request_back() {
    let upstream = Upstream::echoing().await;
    let duration = Duration::from_millis(150);
    let proxy =
        proxy_with(Fault { delay: Some(Delay { duration, share: Fraction::ALL }), abort: None }, &upstream).await;
    let began = Instant::now();
    assert_eq!(status(&get(proxy.address, "x", "/").await), 200);
    assert!(began.elapsed() >= duration);
    proxy.expect(&[("200 DI", 1)]).await;
}

#[tokio::test]
async fn a_grpc_abort_is_a_grpc_status() {
    let upstream = Upstream::echoing().await;
    let abort = Abort { answer: AbortAnswer::Grpc(14), share: Fraction::ALL };
    let proxy = proxy_with(Fault { delay: None, abort: Some(abort) }, &upstream).await;
    let answer = get(proxy.address, "x", "/").await;
    assert!(status(&answer) == 200 && answer.contains("grpc-status: 14\r\n"), "{answer}");
}
