//! Opaque TCP, WebSocket and CONNECT.

use std::sync::Arc;

use orrery_core::fault::Fraction;
use orrery_core::listener::{Direction, NetworkFilter, TcpProxy};
use orrery_core::route::{PathMatch, RouteAction, WeightedCluster};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::*;

pub(crate) fn tcp_to(cluster: &str) -> NetworkFilter {
    NetworkFilter::Tcp(Arc::new(TcpProxy {
        stat_prefix: "tcp".into(),
        clusters: vec![WeightedCluster::plain(cluster.into(), 1)],
        idle_timeout: None,
        access_log: None,
    }))
}

/// Sends a greeting, then everything back until the client ends.
pub(crate) async fn greeter() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.write_all(b"hi ").await.unwrap();
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await.unwrap();
            });
        }
    });
    address
}

#[tokio::test]
async fn opaque_bytes_pass_and_are_counted() {
    let upstream = greeter().await;
    let snapshot = snapshot(listener(Direction::Outbound, vec![chain(tcp_to("up"))]), vec![cluster("up", &[upstream])]);
    let proxy = Proxy::start(snapshot).await;
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    let mut greeting = [0; 3];
    client.read_exact(&mut greeting).await.unwrap();
    client.write_all(&[7; 100_000]).await.unwrap();
    client.shutdown().await.unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!((&greeting, rest.len()), (b"hi ", 100_000));
    let value = |family: &str| proxy.series(family).first().map_or(0, |(_, value)| *value);
    eventually(|| value("istio_tcp_connections_closed_total") == 1, || proxy.registry.encode()).await;
    assert_eq!(value("istio_tcp_connections_opened_total"), 1);
    assert_eq!((value("istio_tcp_received_bytes_total"), value("istio_tcp_sent_bytes_total")), (100_000, 100_003));
    let (labels, _) = proxy.series("istio_tcp_sent_bytes_total").remove(0);
    assert_eq!((labels["destination_workload"].as_str(), labels["request_protocol"].as_str()), ("server-v1", "tcp"));
}

#[tokio::test]
async fn an_opaque_connection_without_upstream_is_closed_and_flagged() {
    let snapshot = snapshot(listener(Direction::Outbound, vec![chain(tcp_to("up"))]), vec![cluster("up", &[])]);
    let proxy = Proxy::start(snapshot).await;
    assert_eq!(raw(proxy.address, "x").await, "");
    eventually(|| !proxy.series("istio_tcp_connections_closed_total").is_empty(), || "no record".into()).await;
    assert_eq!(proxy.series("istio_tcp_connections_closed_total")[0].0["response_flags"], "UH");
}

#[tokio::test]
async fn a_websocket_is_opened_only_when_the_upstream_agrees() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nfirst";
    let upstream = Upstream::start(move |request, _| match request.contains("/ws ") {
        true => Answer::Bytes(switch.into()),
        false => reply(403, "no"),
    })
    .await;
    let mut upgrading = all_to("up");
    upgrading.upgrades.websocket = true;
    let proxy = Proxy::start(outbound(upgrading, vec![cluster("up", &[upstream.address])])).await;
    let ask = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: WebSocket\r\nsec-websocket-key: k\r\n\r\n"
        )
    };
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    client.write_all(ask("/ws").as_bytes()).await.unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"first") {
        assert_ne!(client.read_buf(&mut got).await.unwrap(), 0, "{}", String::from_utf8_lossy(&got));
    }
    assert!(got.starts_with(b"HTTP/1.1 101 "));
    let seen = upstream.seen()[0].to_lowercase();
    assert!(seen.contains("connection: upgrade\r\n") && seen.contains("sec-websocket-key: k\r\n"), "{seen}");
    drop(client);
    let mut declined = TcpStream::connect(proxy.address).await.unwrap();
    declined.write_all(ask("/other").as_bytes()).await.unwrap();
    assert_eq!(status(&read_message(&mut declined).await.unwrap()), 403);
}

#[tokio::test]
async fn connect_opens_a_tunnel_to_the_cluster() {
    let upstream = greeter().await;
    let mut tunnel = route("/", RouteAction::Forward(Box::new(forward("up"))));
    tunnel.matches.path = PathMatch::Connect;
    tunnel.matches.share = Some(Fraction::ALL);
    let mut connecting = manager(vec![virtual_host(&["db.test:5432"], vec![tunnel])]);
    connecting.upgrades.connect = true;
    let proxy = Proxy::start(outbound(connecting, vec![cluster("up", &[upstream])])).await;
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    client.write_all(b"CONNECT db.test:5432 HTTP/1.1\r\nhost: db.test:5432\r\n\r\n").await.unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"hi ") {
        assert_ne!(client.read_buf(&mut got).await.unwrap(), 0, "{}", String::from_utf8_lossy(&got));
    }
    assert!(got.starts_with(b"HTTP/1.1 200 "));
    client.write_all(b"ping").await.unwrap();
    let mut back = [0; 4];
    client.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"ping");
    drop(client);
    proxy.expect(&[("200 -", 1)]).await;
}
