//! A client as the call describes it, on a connection of its own.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Request as HttpRequest, Response as HttpResponse};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use super::backends::OPAQUE;
use super::recorder::NUMBER;
use super::tls;
use crate::answer::{Answer, End, Response};
use crate::call;
use crate::case::{Call, Outcome, Protocol, Scheme, Tls};
use crate::cluster::{Cluster, NodeKind, ProxyNode};

/// A call that takes longer has no answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// Clients outside of the mesh.
const OUTSIDE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));

/// What all calls of one `count` have in common.
pub(super) struct Facts {
    source: IpAddr,
    tls: Option<(Arc<ClientConfig>, Option<ServerName<'static>>)>,
    authority: String,
}

type Ended = Result<End, Outcome>;

impl Facts {
    pub(super) fn of(cluster: &Cluster, call: &Call, node: &ProxyNode, to: SocketAddr) -> Result<Self, String> {
        let source = match node.kind {
            NodeKind::Gateway => OUTSIDE,
            NodeKind::Sidecar => node.address,
        };
        let wanted = match (&call.request, &call.tcp) {
            (Some(request), _) => (request.scheme == Scheme::Https).then(|| call::http_tls(request)),
            (None, Some(tcp)) => call::tcp_tls(tcp),
            (None, None) => None,
        };
        let tls =
            wanted.map(|wanted| Ok::<_, String>((tls::client(cluster, &wanted)?, server_name(&wanted)))).transpose()?;
        let authority = call.request.as_ref().map(|request| request.authority(to.ip())).unwrap_or_default();
        Ok(Self { source, tls, authority: cluster.with_facts(&authority)? })
    }
}

fn server_name(tls: &Tls) -> Option<ServerName<'static>> {
    ServerName::try_from(tls.sni.clone()?).ok()
}

/// Makes a call.
pub(super) async fn call(facts: &Facts, call: &Call, to: SocketAddr, number: u64) -> Answer {
    let begun = Instant::now();
    let ended = match tokio::time::timeout(PATIENCE, make(facts, call, to, number)).await {
        Ok(Ok(end)) => end,
        Ok(Err(outcome)) => End::Failed(outcome),
        Err(_late) => End::Failed(Outcome::Timeout),
    };
    Answer { end: Some(ended), took: begun.elapsed(), ..Answer::default() }
}

async fn make(facts: &Facts, call: &Call, to: SocketAddr, number: u64) -> Ended {
    if call.udp.is_some() {
        return datagram(facts, to, number).await;
    }
    let tcp = connect(facts.source, to).await?;
    let Some((config, name)) = &facts.tls else { return speak(facts, call, tcp, number).await };
    let mut config = ClientConfig::clone(config);
    config.enable_sni = name.is_some();
    let name = name.clone().unwrap_or_else(|| ServerName::IpAddress(to.ip().into()));
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, tcp).await.map_err(|error| broken(&error))?;
    speak(facts, call, stream, number).await
}

async fn connect(source: IpAddr, to: SocketAddr) -> Result<TcpStream, Outcome> {
    let socket = TcpSocket::new_v4().map_err(|_| Outcome::Refused)?;
    socket.bind(SocketAddr::new(source, 0)).map_err(|_| Outcome::Refused)?;
    let stream = socket.connect(to).await.map_err(|_| Outcome::Refused)?;
    stream.set_nodelay(true).map_err(|_| Outcome::Reset)?;
    Ok(stream)
}

async fn speak<S>(facts: &Facts, call: &Call, stream: S, number: u64) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match &call.request {
        None => opaque(stream, number).await,
        Some(request) => match request.protocol {
            Protocol::Http1 | Protocol::Websocket => http1(facts, call, stream, number).await,
            Protocol::H2 | Protocol::Grpc => http2(facts, call, stream, number).await,
        },
    }
}

async fn opaque<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, number: u64) -> Ended {
    let line = format!("{OPAQUE}{number}\n");
    stream.write_all(line.as_bytes()).await.map_err(|error| broken(&error))?;
    let mut echo = vec![0; line.len()];
    stream.read_exact(&mut echo).await.map_err(|error| broken(&error))?;
    if echo == line.as_bytes() { Ok(End::Echo) } else { Err(Outcome::Reset) }
}

async fn datagram(facts: &Facts, to: SocketAddr, number: u64) -> Ended {
    let socket = UdpSocket::bind(SocketAddr::new(facts.source, 0)).await.map_err(|_| Outcome::Refused)?;
    socket.connect(to).await.map_err(|_| Outcome::Refused)?;
    let line = format!("{OPAQUE}{number}\n");
    socket.send(line.as_bytes()).await.map_err(|_| Outcome::Refused)?;
    let mut echo = [0; 128];
    let length = socket.recv(&mut echo).await.map_err(|_| Outcome::Refused)?;
    if echo.get(..length) == Some(line.as_bytes()) { Ok(End::Echo) } else { Err(Outcome::Reset) }
}

fn request(facts: &Facts, call: &Call, number: u64) -> Result<HttpRequest<Full<Bytes>>, Outcome> {
    let wanted = call.request.as_ref().ok_or(Outcome::Reset)?;
    let mut parts = call::head(wanted, &facts.authority, facts.tls.is_some()).map_err(|_| Outcome::Reset)?;
    parts.headers.insert(NUMBER, HeaderValue::from(number));
    let body = match wanted.protocol {
        // An empty message.
        Protocol::Grpc => Bytes::from_static(&[0; 5]),
        Protocol::Http1 | Protocol::H2 | Protocol::Websocket => Bytes::new(),
    };
    Ok(HttpRequest::from_parts(parts, Full::new(body)))
}

async fn http1<S>(facts: &Facts, call: &Call, stream: S, number: u64) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shaken =
        hyper::client::conn::http1::Builder::new().title_case_headers(false).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|error| of_hyper(&error))?;
    tokio::task::spawn_local(connection.with_upgrades());
    let mut response = sender.send_request(request(facts, call, number)?).await.map_err(|error| of_hyper(&error))?;
    if response.status() == 101 {
        let mut upgraded = TokioIo::new(hyper::upgrade::on(&mut response).await.map_err(|error| of_hyper(&error))?);
        upgraded.write_all(b"ping").await.map_err(|_| Outcome::Reset)?;
        let mut echo = [0; 4];
        upgraded.read_exact(&mut echo).await.map_err(|_| Outcome::Reset)?;
        return if echo == *b"ping" { Ok(End::Response(head_only(&response))) } else { Err(Outcome::Reset) };
    }
    whole(response).await
}

async fn http2<S>(facts: &Facts, call: &Call, stream: S, number: u64) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shaken = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|error| of_hyper(&error))?;
    tokio::spawn(connection);
    let mut request = request(facts, call, number)?;
    // HTTP/2 has it in the target.
    request.headers_mut().remove(HOST);
    whole(sender.send_request(request).await.map_err(|error| of_hyper(&error))?).await
}

fn head_only(response: &HttpResponse<Incoming>) -> Response {
    Response {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        grpc: None,
        body: String::new(),
    }
}

async fn whole(response: HttpResponse<Incoming>) -> Ended {
    let mut answer = head_only(&response);
    let body = response.into_body().collect().await.map_err(|error| of_hyper(&error))?;
    let in_trailers = body.trailers().and_then(grpc_status);
    let is_grpc = answer.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    answer.grpc = in_trailers.or_else(|| grpc_status(&answer.headers)).filter(|_| is_grpc);
    answer.body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    Ok(End::Response(answer))
}

fn grpc_status(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// What a broken connection is to the client.
fn broken(error: &std::io::Error) -> Outcome {
    match error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
        true => Outcome::TlsError,
        false => Outcome::Reset,
    }
}

fn of_hyper(error: &hyper::Error) -> Outcome {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return broken(io);
        }
        source = inner.source();
    }
    Outcome::Reset
}
