//! One connection or datagram of an application.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, UdpSocket};

use super::super::recorder::{NUMBER, Turn};
use super::Shared;
use crate::answer::{Received, ReceivedHead, ReceivedTls};
use crate::case::{OneOrMany, Outcome, Text};

/// Opaque bytes begin with this, and the number of their call up to a line's end.
pub(in super::super) const OPAQUE: &str = "\0simulate ";

type Body = UnsyncBoxBody<Bytes, Infallible>;

pub(super) async fn connections(shared: Arc<Shared>, listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let Ok(at) = stream.local_addr() else { continue };
        let shared = shared.clone();
        tokio::task::spawn_local(async move {
            let Some(stream) = Begun::read(stream).await else { return };
            // The first byte of a TLS handshake record.
            if stream.first.first() != Some(&22) {
                return serve(shared, at, None, stream).await;
            }
            let Some(config) = shared.tls(at.ip()) else { return };
            let Ok(stream) = tokio_rustls::TlsAcceptor::from(config).accept(stream).await else { return };
            let session = stream.get_ref().1;
            let tls = ReceivedTls {
                sni: session.server_name().map(str::to_owned),
                certificate: session.peer_certificates().and_then(|chain| Some(chain.first()?.to_vec())),
            };
            if let Some(stream) = Begun::read(stream).await {
                serve(shared, at, Some(tls), stream).await;
            }
        });
    }
}

pub(super) async fn datagrams(shared: Arc<Shared>, socket: UdpSocket, at: SocketAddr) {
    let mut buffer = [0; 1024];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
        if let Some(number) = number_of(&buffer[..length]) {
            let received = Received { at: at.ip(), by: shared.names(at.ip()), head: None, tls: None };
            shared.recorder.received(number, received);
            // Who asked may have gone.
            let _ = socket.send_to(&buffer[..length], peer).await;
        }
    }
}

async fn serve<S>(shared: Arc<Shared>, at: SocketAddr, tls: Option<ReceivedTls>, mut stream: Begun<S>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if stream.first.first() == Some(&0) {
        let mut line = vec![0; 64];
        if let Ok(length @ 1..) = stream.read(&mut line).await
            && let Some(number) = number_of(&line[..length])
        {
            let received = Received { at: at.ip(), by: shared.names(at.ip()), head: None, tls };
            shared.recorder.received(number, received);
            let _ = stream.write_all(&line[..length]).await;
            let _ = stream.shutdown().await;
        }
        return;
    }
    let service = service_fn(move |request| answer(shared.clone(), at, tls.clone(), request));
    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    // How a connection ends is the proxy's business.
    let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
}

fn number_of(bytes: &[u8]) -> Option<u64> {
    std::str::from_utf8(bytes).ok()?.strip_prefix(OPAQUE)?.trim_end().parse().ok()
}

/// The connection is to break off.
#[derive(Debug, thiserror::Error)]
#[error("the call wants its connection broken off")]
struct BreakOff;

async fn answer(
    shared: Arc<Shared>,
    at: SocketAddr,
    tls: Option<ReceivedTls>,
    request: Request<Incoming>,
) -> Result<Response<Body>, BreakOff> {
    let (parts, body) = request.into_parts();
    let number = parts.headers.get(NUMBER).and_then(|number| number.to_str().ok()?.parse().ok());
    let mut head = ReceivedHead::of(&parts);
    head.headers.remove(NUMBER);
    let received = Received { at: at.ip(), by: shared.names(at.ip()), head: Some(head), tls };
    let turn = number.and_then(|number| shared.recorder.received(number, received));
    let Some(Turn { application, as_told }) = turn else {
        let mut response = Response::new(Full::new(Bytes::from_static(b"no call")).boxed_unsync());
        *response.status_mut() = StatusCode::MISDIRECTED_REQUEST;
        return Ok(response);
    };
    let grpc = parts.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    if parts.headers.contains_key(UPGRADE) && !as_told_to_fail(&application, as_told) {
        return Ok(upgrade(Request::from_parts(parts, body)));
    }
    // The whole request counts as received once its body is.
    let _ = body.collect().await;
    if let Some(delay) = application.delay.filter(|_| as_told) {
        tokio::time::sleep(delay).await;
    }
    if application.outcome.filter(|_| as_told) == Some(Outcome::Reset) {
        return Err(BreakOff);
    }
    let status = application.status.filter(|_| as_told).unwrap_or(200);
    let code = application.grpc.filter(|_| as_told).unwrap_or(0);
    let mut response = if grpc { grpc_answer(code) } else { Response::new(Full::default().boxed_unsync()) };
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    add(response.headers_mut(), &application.headers);
    Ok(response)
}

fn as_told_to_fail(application: &crate::case::Application, as_told: bool) -> bool {
    as_told && (application.status.is_some() || application.outcome.is_some())
}

/// An empty message and a status behind it; a failure has the status in its head alone.
fn grpc_answer(code: u32) -> Response<Body> {
    let status = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from(code))]);
    let body = if code == 0 {
        let frames = [Frame::data(Bytes::from_static(&[0; 5])), Frame::trailers(status.clone())];
        StreamBody::new(futures_util::stream::iter(frames.map(Ok))).boxed_unsync()
    } else {
        Full::default().boxed_unsync()
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if code != 0 {
        response.headers_mut().extend(status);
    }
    response
}

fn upgrade(mut request: Request<Incoming>) -> Response<Body> {
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let mut stream = TokioIo::new(upgraded);
        let mut buffer = [0; 64];
        while let Ok(length @ 1..) = stream.read(&mut buffer).await {
            if stream.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
    });
    let mut response = Response::new(Full::default().boxed_unsync());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    response
}

fn add(headers: &mut HeaderMap, named: &std::collections::BTreeMap<String, OneOrMany<Text>>) {
    for (name, values) in named {
        for value in values.as_slice() {
            let pair = (HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()), HeaderValue::from_str(&value.0));
            if let (Ok(name), Ok(value)) = pair {
                headers.append(name, value);
            }
        }
    }
}

/// A stream whose first bytes were read to see what it is.
struct Begun<S> {
    first: Bytes,
    stream: S,
}

impl<S: AsyncRead + Unpin> Begun<S> {
    /// `None`: it ended, or said nothing for long.
    async fn read(mut stream: S) -> Option<Self> {
        let mut first = vec![0; 64];
        let length = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut first)).await.ok()?.ok()?;
        first.truncate(length);
        (length > 0).then(|| Self { first: first.into(), stream })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let length = self.first.len().min(buf.remaining());
        buf.put_slice(&self.first.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
