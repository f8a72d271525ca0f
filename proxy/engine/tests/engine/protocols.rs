//! HTTP/2 on either side, gRPC with trailers, translation between versions.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use orrery_core::cluster::UpstreamProtocol;
use tokio::net::{TcpListener, TcpStream};

use crate::harness::*;

/// Length-prefixed: a message of three bytes and an empty one.
const TWO_MESSAGES: &str = "\0\0\0\0\u{3}abc\0\0\0\0\0";

type Seen = Arc<Mutex<Vec<(Version, String, HeaderMap)>>>;

/// An HTTP/2 upstream that answers with the request's body, and with a gRPC status in trailers.
async fn grpc_upstream() -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Seen::default());
    let told = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = told.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let seen = seen.clone();
                async move { Ok::<_, Infallible>(echo(request, &seen).await) }
            });
            let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(serving);
        }
    });
    (address, seen)
}

type Frames = futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>;

async fn echo(request: Request<Incoming>, seen: &Seen) -> Response<StreamBody<Frames>> {
    let uri = request.uri().to_string();
    seen.lock().unwrap().push((request.version(), uri, request.headers().clone()));
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "7".parse().unwrap());
    let frames = vec![Ok(Frame::data(body)), Ok(Frame::trailers(trailers))];
    let mut response = Response::new(StreamBody::new(futures_util::stream::iter(frames)));
    response.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    response
}

async fn http2_client(address: SocketAddr) -> hyper::client::conn::http2::SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

#[tokio::test]
async fn grpc_passes_with_its_trailers() {
    let (upstream, seen) = grpc_upstream().await;
    let mut up = cluster("up", &[upstream]);
    up.protocol = UpstreamProtocol::SameAsDownstream;
    let proxy = Proxy::start(outbound(all_to("up"), vec![up])).await;
    let mut client = http2_client(proxy.address).await;
    for _ in 0..3 {
        let request = Request::post("http://grpc.test:9080/shop.Cart/Add")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::from(TWO_MESSAGES))
            .unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["grpc-status"], "7");
        assert_eq!(body.to_bytes(), TWO_MESSAGES);
    }
    let (version, uri, headers) = seen.lock().unwrap()[0].clone();
    assert_eq!((version, uri.as_str()), (Version::HTTP_2, "http://grpc.test:9080/shop.Cart/Add"));
    assert_eq!(headers["te"], "trailers");
    proxy.expect(&[("200 -", 3)]).await;
    let (labels, count) = proxy.series("istio_requests_total").remove(0);
    assert_eq!((labels["request_protocol"].as_str(), labels["grpc_response_status"].as_str(), count), ("grpc", "7", 3));
    for family in ["istio_request_messages_total", "istio_response_messages_total"] {
        let (labels, count) = proxy.series(family).remove(0);
        assert_eq!((count, labels.contains_key("response_code")), (6, false), "{family}: {labels:?}");
    }
}

#[tokio::test]
async fn a_refused_grpc_call_gets_a_grpc_status() {
    let proxy = Proxy::start(outbound(all_to("up"), vec![cluster("up", &[])])).await;
    let mut client = http2_client(proxy.address).await;
    let request =
        Request::post("http://x/a.B/C").header("content-type", "application/grpc+proto").body(Full::default()).unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["grpc-status"].as_bytes()), (200, b"14".as_slice()));
    proxy.expect(&[("200 UH", 1)]).await;
}

#[tokio::test]
async fn versions_are_translated_both_ways() {
    let (http2, seen) = grpc_upstream().await;
    let http1 = Upstream::start(|_, _| reply(200, "one")).await;
    let mut two = cluster("up", &[http2]);
    two.protocol = UpstreamProtocol::Http2;
    let from_one = Proxy::start(outbound(all_to("up"), vec![two])).await;
    let answer = raw(
        from_one.address,
        "POST /p?q=1 HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbody",
    )
    .await;
    assert!(status(&answer) == 200 && answer.contains("body"), "{answer}");
    assert_eq!(seen.lock().unwrap()[0].1, "http://a.test/p?q=1");

    let to_one = Proxy::start(outbound(all_to("up"), vec![cluster("up", &[http1.address])])).await;
    let mut client = http2_client(to_one.address).await;
    let request = Request::post("http://b.test/x").body(Full::from("data")).unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "one");
    let request = &http1.seen()[0];
    assert!(request.starts_with("POST /x HTTP/1.1\r\n") && request.contains("host: b.test\r\n"), "{request}");
    assert!(request.ends_with("data"), "{request}");
}

#[tokio::test]
async fn many_streams_share_one_upstream_connection() {
    let (upstream, seen) = grpc_upstream().await;
    let mut up = cluster("up", &[upstream]);
    up.protocol = UpstreamProtocol::Http2;
    let proxy = Proxy::start(outbound(all_to("up"), vec![up])).await;
    let client = http2_client(proxy.address).await;
    let calls = (0..60).map(|number| {
        let mut client = client.clone();
        let request = Request::post("http://x/").body(Full::from(format!("{number}"))).unwrap();
        async move { client.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes() }
    });
    let bodies = futures_util::future::join_all(calls).await;
    assert!(bodies.iter().enumerate().all(|(number, body)| *body == number.to_string()));
    assert_eq!(seen.lock().unwrap().len(), 60);
}
