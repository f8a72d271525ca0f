//! UDP: a session per client, its end, and what is counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use orrery_core::datagram::DatagramListener;
use orrery_core::snapshot::Snapshot;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::harness::*;

/// An upstream that answers each datagram with its own name, the sender's port, and what came.
async fn echoing(name: &'static str) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let answer = format!("{name} {} {text}", from.port());
            socket.send_to(answer.as_bytes(), from).await.unwrap();
        }
    });
    address
}

fn datagrams(upstreams: &[SocketAddr], idle_timeout: Duration) -> Snapshot {
    let mut snapshot = Snapshot { generation: 1, ..Snapshot::default() };
    let listener = DatagramListener {
        name: "udp".into(),
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        cluster: "up".into(),
        idle_timeout,
    };
    snapshot.datagram_listeners.insert(listener.name.clone(), Arc::new(listener));
    let up = cluster("up", upstreams);
    snapshot.clusters.insert(up.name.clone(), Arc::new(up));
    snapshot
}

async fn ask(client: &UdpSocket, to: SocketAddr, text: &str) -> String {
    client.send_to(text.as_bytes(), to).await.unwrap();
    let mut buffer = [0; 2048];
    let (length, from) = timeout(PATIENCE, client.recv_from(&mut buffer)).await.unwrap().unwrap();
    assert_eq!(from, to, "answers come from the listener");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

async fn client() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_keeps_its_session() {
    let proxy = Proxy::start(datagrams(&[echoing("a").await], Duration::from_secs(60))).await;
    let (one, other) = (client().await, client().await);
    let first = ask(&one, proxy.address, "x").await;
    assert!(first.starts_with("a ") && first.ends_with(" x"), "{first}");
    assert_eq!(ask(&one, proxy.address, "x").await, first, "the same session comes from the same port");
    assert_ne!(ask(&other, proxy.address, "x").await, first, "another client has a session of its own");
    let counted = proxy.registry.datagrams();
    assert_eq!((counted.opened.value(), counted.closed.value(), counted.dropped.value()), (2, 0, 0));
    assert_eq!(counted.received.value(), 3);
    assert!(counted.sent.value() > 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_nothing_is_sent() {
    let proxy = Proxy::start(datagrams(&[echoing("a").await], Duration::from_millis(20))).await;
    let client = client().await;
    let first = ask(&client, proxy.address, "x").await;
    let closed = || proxy.registry.datagrams().closed.value() == 1;
    eventually(closed, || "the session should be over".to_owned()).await;
    assert_ne!(ask(&client, proxy.address, "x").await, first, "a new session");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_endpoint_datagrams_are_dropped_and_counted() {
    let proxy = Proxy::start(datagrams(&[], Duration::from_secs(60))).await;
    client().await.send_to(b"x", proxy.address).await.unwrap();
    eventually(|| proxy.registry.datagrams().dropped.value() == 1, || "one is dropped".to_owned()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_goes_takes_its_sessions_along() {
    let proxy = Proxy::start(datagrams(&[echoing("a").await], Duration::from_secs(60))).await;
    ask(&client().await, proxy.address, "x").await;
    proxy.engine.apply(Arc::new(Snapshot { generation: 2, ..Snapshot::default() })).await.unwrap();
    eventually(|| proxy.registry.datagrams().closed.value() == 1, || "the session is over".to_owned()).await;
    // The address is free again.
    let again = std::net::UdpSocket::bind(proxy.address);
    assert!(again.is_ok(), "{again:?}");
}
