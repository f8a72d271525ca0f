//! Requests that two servers could read differently never reach an upstream.

use crate::harness::*;

async fn proxy_to(upstream: &Upstream) -> Proxy {
    Proxy::start(outbound(all_to("up"), vec![cluster("up", &[upstream.address])])).await
}

#[tokio::test]
async fn ambiguous_requests_are_refused() {
    let upstream = Upstream::echoing().await;
    let proxy = proxy_to(&upstream).await;
    let bodies = "0\r\n\r\n";
    let with = |headers: &str| format!("POST / HTTP/1.1\r\nhost: x\r\n{headers}\r\n{bodies}");
    let cases = [
        with("transfer-encoding: chunked, chunked\r\n"),
        with("transfer-encoding: ,chunked\r\n"),
        with("transfer-encoding: identity, chunked\r\n"),
        with("transfer-encoding: gzip, chunked\r\n"),
        with("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n"),
        with("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n"),
        with("transfer-encoding: xchunked\r\n"),
        with("transfer-encoding: identity\r\n"),
        with("transfer-encoding: \"chunked\"\r\n"),
        with("transfer-encoding : chunked\r\n"),
        with("content-length: 5\r\ncontent-length: 6\r\n"),
        with("content-length: 5, 5\r\n"),
        with("content-length: +5\r\n"),
        with("content-length: -5\r\n"),
        with("content-length: 0x5\r\n"),
        with("content-length: 5_0\r\n"),
        with("content-length: \r\n"),
        with("content-length: 99999999999999999999999\r\n"),
        with("host: y\r\n"),
        with(" x: folded\r\n"),
        with("x\r\n"),
        with(": x\r\n"),
        "GET / HTTP/1.1\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nhost: a,b\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nhost: a b\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nhost: user@a\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nhost: a:0\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nhost: a:65536\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nhost: \r\n\r\n".into(),
        "GET / HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n".into(),
        "GET /%00 HTTP/1.1\r\nhost: x\r\n\r\n".into(),
        "GET * HTTP/1.1\r\nhost: x\r\n\r\n".into(),
        "GET  /  HTTP/1.1\r\nhost: x\r\n\r\n".into(),
        "CONNECT x:80 HTTP/1.1\r\nhost: x:80\r\n\r\n".into(),
        "GET / HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".into(),
        "GET / HTTP/1.0\r\nhost: x\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n".into(),
    ];
    for case in cases {
        let closing = case.replacen("\r\n", "\r\nconnection: close\r\n", 1);
        let case = if case.contains("\r\nconnection:") { case } else { closing };
        let answer = raw_or_closed(&proxy, &case).await;
        if let Some(code) = answer {
            assert!((400..=505).contains(&code) && code != 502 && code != 503, "{code} for {case:?}");
        }
    }
    assert_eq!(upstream.seen(), Vec::<String>::new());
    let flags: Vec<String> = proxy.outcomes().into_keys().collect();
    assert!(flags.iter().all(|outcome| outcome.ends_with("DPE") || outcome.starts_with("40")), "{flags:?}");
}

/// The status of the first answer, or `None` when the connection was closed without one.
async fn raw_or_closed(proxy: &Proxy, request: &str) -> Option<u16> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(proxy.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("an answer or an end");
    read.ok().and_then(|_| String::from_utf8_lossy(&answer[9..]).parse().ok())
}

#[tokio::test]
async fn what_is_clear_passes_in_one_form() {
    let upstream = Upstream::echoing().await;
    let proxy = proxy_to(&upstream).await;
    let requests = [
        "GET http://b.test/x HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: Chunked\r\n\r\n3;ext=1\r\nabc\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nabc",
    ];
    for request in requests {
        let answer = raw(proxy.address, request).await;
        assert!(answer.contains("HTTP/1.1 200 OK"), "{answer}");
    }
    let seen = upstream.seen();
    assert!(seen[0].starts_with("GET /x HTTP/1.1\r\n") && seen[0].contains("host: b.test\r\n"), "{}", seen[0]);
    assert!(!seen[0].contains("a.test"), "{}", seen[0]);
    assert!(seen[1].ends_with("\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), "{}", seen[1]);
    assert_eq!(seen[1].matches("transfer-encoding: chunked").count(), 1);
    assert!(seen[2].ends_with("abc") && !seen[2].contains("expect"), "{}", seen[2]);
}

#[tokio::test]
async fn a_broken_body_is_the_clients_fault() {
    let upstream = Upstream::echoing().await;
    let proxy = proxy_to(&upstream).await;
    let request = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n";
    raw(proxy.address, request).await;
    eventually(|| !proxy.outcomes().is_empty(), || "no record".into()).await;
    let outcomes = proxy.outcomes();
    assert!(outcomes.keys().all(|outcome| outcome == "400 DPE" || outcome == "0 DC"), "{outcomes:?}");
}

#[tokio::test]
async fn an_upstream_that_answers_badly_is_not_used_again() {
    let answers = [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
    ];
    for answer in answers {
        let upstream = Upstream::start(move |_, _| Answer::Bytes(answer.to_owned())).await;
        let proxy = proxy_to(&upstream).await;
        let code = status(&get(proxy.address, "x", "/").await);
        assert_eq!(code, 502, "{answer:?}");
        get(proxy.address, "x", "/").await;
        proxy.expect(&[("502 UPE", 2)]).await;
        assert_eq!(upstream.connections(), 2, "{answer:?}");
    }
}
