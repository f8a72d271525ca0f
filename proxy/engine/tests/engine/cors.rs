//! Requests of pages of other origins.

use std::sync::Arc;

use orrery_core::cors::CorsPolicy;
use orrery_core::matching::StringMatch;
use orrery_core::route::RouteAction;

use crate::harness::*;

async fn proxy_to(upstream: &Upstream) -> Proxy {
    let mut guarded = route("/", RouteAction::Forward(Box::new(forward("up"))));
    guarded.cors = Some(Arc::new(CorsPolicy {
        allow_origins: vec![StringMatch::Suffix { value: ".friend.io".into(), ignore_case: false }],
        allow_methods: Some("GET,PUT".parse().unwrap()),
        expose_headers: Some("x-more".parse().unwrap()),
        ..CorsPolicy::default()
    }));
    let hosts = vec![virtual_host(&["*"], vec![guarded])];
    Proxy::start(outbound(manager(hosts), vec![cluster("up", &[upstream.address])])).await
}

fn request(method: &str, headers: &str) -> String {
    format!("{method} / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n")
}

#[tokio::test]
async fn preflights_are_answered_without_the_upstream() {
    let upstream = Upstream::echoing().await;
    let proxy = proxy_to(&upstream).await;
    let asks = "origin: https://a.friend.io\r\naccess-control-request-method: PUT\r\n";
    let answer = raw(proxy.address, &request("OPTIONS", asks)).await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(answer.contains("access-control-allow-origin: https://a.friend.io\r\n"), "{answer}");
    assert!(answer.contains("access-control-allow-methods: GET,PUT\r\n"), "{answer}");
    let stranger = raw(proxy.address, &request("OPTIONS", &asks.replace("friend", "foe"))).await;
    assert_eq!(status(&stranger), 200, "{stranger}");
    assert!(!stranger.contains("access-control"), "{stranger}");
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn answers_tell_which_origin_may_read_them() {
    let upstream = Upstream::echoing().await;
    let proxy = proxy_to(&upstream).await;
    let friend = raw(proxy.address, &request("GET", "origin: https://a.friend.io\r\n")).await;
    assert!(friend.contains("access-control-allow-origin: https://a.friend.io\r\n"), "{friend}");
    assert!(friend.contains("access-control-expose-headers: x-more\r\n"), "{friend}");
    for headers in ["", "origin: https://a.foe.io\r\n"] {
        let other = raw(proxy.address, &request("GET", headers)).await;
        assert_eq!(status(&other), 200, "{other}");
        assert!(!other.contains("access-control-allow"), "{other}");
    }
    assert_eq!(upstream.seen().len(), 3);
}
