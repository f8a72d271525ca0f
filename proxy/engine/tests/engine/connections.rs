//! Keep-alive, disconnects, drain, slow clients: what happens around requests.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::*;

async fn proxy_to(upstream: &Upstream) -> Proxy {
    Proxy::start(outbound(all_to("up"), vec![cluster("up", &[upstream.address])])).await
}

#[tokio::test]
async fn connections_are_reused_on_both_sides() {
    let upstream = Upstream::echoing().await;
    let proxy = proxy_to(&upstream).await;
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    for _ in 0..20 {
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert!(read_message(&mut client).await.unwrap().ends_with("hello"));
    }
    assert_eq!((upstream.connections(), upstream.seen().len()), (1, 20));
    assert_eq!(proxy.engine.connections().active(), 1);
    proxy.expect(&[("200 -", 20)]).await;
}

#[tokio::test]
async fn head_and_empty_answers_leave_the_connection_usable() {
    let upstream = Upstream::start(|request, _| match request.split(' ').next() {
        Some("HEAD") => Answer::Bytes("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n".into()),
        Some("DELETE") => Answer::Bytes("HTTP/1.1 204 No Content\r\n\r\n".into()),
        _ => Answer::Bytes("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".into()),
    })
    .await;
    let proxy = proxy_to(&upstream).await;
    let request = |method: &str| format!("{method} / HTTP/1.1\r\nhost: x\r\n\r\n");
    let all = ["HEAD", "GET", "DELETE", "GET", "HEAD"].map(request).concat();
    let answer = raw(proxy.address, &format!("{all}GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 6, "{answer}");
    assert_eq!(upstream.connections(), 1);
    proxy.expect(&[("200 -", 5), ("204 -", 1)]).await;
}

#[tokio::test]
async fn a_client_that_goes_away_is_recorded_once() {
    let silent = Upstream::start(|_, _| Answer::Silence).await;
    let half = Upstream::start(|_, _| Answer::Bytes("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".into())).await;
    for (upstream, outcome) in [(&silent, "0 DC"), (&half, "200 DC")] {
        let proxy = proxy_to(upstream).await;
        let mut client = TcpStream::connect(proxy.address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        eventually(|| upstream.seen().len() == 1, || "no request".into()).await;
        if outcome.starts_with("200") {
            let mut got = [0; 8];
            client.read_exact(&mut got).await.unwrap();
        }
        drop(client);
        proxy.expect(&[(outcome, 1)]).await;
    }
}

#[tokio::test]
async fn an_upstream_that_breaks_off_is_recorded_and_passed_on() {
    let upstream =
        Upstream::start(|_, _| Answer::Last("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".into())).await;
    let proxy = proxy_to(&upstream).await;
    let answer = raw(proxy.address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.ends_with("half"), "{answer}");
    proxy.expect(&[("200 UC", 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn draining_finishes_requests_and_closes_idle_connections() {
    let (allow, allowed) = std::sync::mpsc::channel::<()>();
    let allowed = std::sync::Mutex::new(allowed);
    let upstream = Upstream::start(move |_, before| {
        if before == 1 {
            // The answer waits until draining has begun.
            let _ = tokio::task::block_in_place(|| allowed.lock().unwrap().recv());
        }
        reply(200, "done")
    });
    let upstream = upstream.await;
    let proxy = proxy_to(&upstream).await;
    let mut idle = TcpStream::connect(proxy.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    read_message(&mut idle).await.unwrap();
    let mut busy = TcpStream::connect(proxy.address).await.unwrap();
    busy.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    eventually(|| upstream.seen().len() == 2, || "no second request".into()).await;
    let (address, draining) = (proxy.address, tokio::spawn(proxy.engine.drain(PATIENCE)));
    let mut end = Vec::new();
    idle.read_to_end(&mut end).await.unwrap();
    assert!(end.is_empty());
    allow.send(()).unwrap();
    let answer = read_message(&mut busy).await.unwrap();
    assert!(answer.contains("connection: close\r\n") && answer.ends_with("done"), "{answer}");
    draining.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn draining_ends_at_its_limit() {
    let silent = Upstream::start(|_, _| Answer::Silence).await;
    let proxy = proxy_to(&silent).await;
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    eventually(|| silent.seen().len() == 1, || "no request".into()).await;
    let limit = Duration::from_millis(100);
    tokio::time::timeout(PATIENCE, proxy.engine.drain(limit)).await.expect("draining must end");
}

#[tokio::test]
async fn half_a_head_and_long_silence_are_not_waited_for() {
    let upstream = Upstream::echoing().await;
    let mut impatient = all_to("up");
    impatient.request_headers_timeout = Some(Duration::from_secs(1));
    impatient.idle_timeout = Some(Duration::from_secs(1));
    let mut snapshot = outbound(impatient, vec![cluster("up", &[upstream.address])]);
    for listener in snapshot.listeners.values_mut() {
        Arc::make_mut(listener).inspection.http = false;
    }
    let proxy = Proxy::start(snapshot).await;
    let mut half = TcpStream::connect(proxy.address).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nhos").await.unwrap();
    let mut idle = TcpStream::connect(proxy.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    read_message(&mut idle).await.unwrap();
    for mut stream in [half, idle] {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        let _ = ended.expect("the connection must be closed");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let upstream = Upstream::echoing().await;
    let proxy = proxy_to(&upstream).await;
    let big = "x".repeat(70_000);
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    // The proxy may close before everything is written.
    let _ = client.write_all(format!("GET / HTTP/1.1\r\nhost: x\r\nbig: {big}\r\n\r\n").as_bytes()).await;
    let mut answer = [0; 12];
    if client.read_exact(&mut answer).await.is_ok() {
        assert_eq!(&answer, b"HTTP/1.1 431");
    }
    assert!(upstream.seen().is_empty());
}
