//! A small HTTP client: one request a call, or many over kept connections.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header::HOST};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// One kept connection.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    authority: String,
}

/// What to ask; the host defaults to the connection's address.
#[derive(Clone, Debug, Default)]
pub struct Ask<'a> {
    pub method: Option<Method>,
    pub path: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, authority: address.to_string() })
    }

    pub async fn ask(&mut self, ask: &Ask<'_>) -> Result<Answer> {
        let mut request = Request::builder().method(ask.method.clone().unwrap_or(Method::GET)).uri(ask.path);
        if !ask.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header(HOST, &self.authority);
        }
        for (name, value) in ask.headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(ask.body)))?;
        self.sender.ready().await?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}

/// One GET on a fresh connection; `url` is `http://address/path`.
pub async fn get(url: &str) -> Result<Answer> {
    let (address, path) = split(url)?;
    Connection::open(address)
        .await?
        .ask(&Ask { path: &path, ..Ask::default() })
        .await
        .with_context(|| format!("GET {url}"))
}

/// One GET whose answer must be 200 and JSON.
pub async fn get_json(url: &str) -> Result<serde_json::Value> {
    let answer = get(url).await?;
    let text = String::from_utf8_lossy(&answer.body);
    anyhow::ensure!(answer.status == StatusCode::OK, "GET {url}: {} {text}", answer.status);
    serde_json::from_slice(&answer.body).with_context(|| format!("GET {url}: no JSON: {text}"))
}

/// `http://address/path` to its two halves.
pub fn split(url: &str) -> Result<(SocketAddr, String)> {
    let rest = url.strip_prefix("http://").with_context(|| format!("{url} does not begin with http://"))?;
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    Ok((address.parse().with_context(|| format!("{address} is no socket address"))?, format!("/{path}")))
}
