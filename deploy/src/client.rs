//! An HTTP/1.1 client with kept connections: plain text, bounded answers, a deadline for each call.
//!
//! It connects to an address and asks; it knows no redirects, no TLS and no proxies.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Largest answer in bytes that is read.
const LARGEST: usize = 64 << 20;
/// Idle connections kept to one address.
const IDLE: usize = 256;

type Connection = SendRequest<Full<Bytes>>;

/// Why a call had no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody listens, or the name is unknown.
    #[error("cannot connect to {address}: {source}")]
    Connect { address: String, source: std::io::Error },
    /// The connection broke, or what came was not HTTP.
    #[error("{address}: {source}")]
    Http { address: String, source: hyper::Error },
    /// No whole answer in time.
    #[error("{address} did not answer within {limit:?}")]
    Timeout { address: String, limit: Duration },
    /// The answer was too large or was cut off.
    #[error("{address}: answer could not be read: {reason}")]
    Body { address: String, reason: String },
}

/// A client; connections that are idle are used again.
#[derive(Debug, Default)]
pub(crate) struct Client {
    idle: Mutex<HashMap<String, Vec<Connection>>>,
}

impl Client {
    /// A GET.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub(crate) async fn get(&self, address: &str, path: &str, limit: Duration) -> Result<Response<Bytes>, Error> {
        let mut request = Request::new(Full::default());
        // A path that is no URI asks for the root, which has an answer of its own.
        *request.uri_mut() = path.parse().unwrap_or_default();
        if let Ok(host) = address.parse() {
            request.headers_mut().insert(http::header::HOST, host);
        }
        self.send(address, request, limit).await
    }

    /// Sends a request (origin form, with its own `Host`) to `address` (`host:port`) and reads the whole answer.
    ///
    /// # Errors
    /// When there is no connection, no answer within `limit`, or a broken one.
    pub(crate) async fn send(
        &self,
        address: &str,
        request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<Response<Bytes>, Error> {
        match timeout(limit, self.exchange(address, request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::Timeout { address: address.to_owned(), limit }),
        }
    }

    async fn exchange(&self, address: &str, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Error> {
        let mut request = request;
        // A kept connection may just have been closed by the other side: then the request was not sent, and the next is tried.
        while let Some(mut connection) = self.take(address) {
            if connection.ready().await.is_err() {
                continue;
            }
            match connection.try_send_request(request).await {
                Ok(response) => return self.read(address, connection, response).await,
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(Error::Http { address: address.to_owned(), source: failed.into_error() }),
                },
            }
        }
        let mut connection = connect(address).await?;
        let answer = connection.send_request(request).await;
        let response = answer.map_err(|source| Error::Http { address: address.to_owned(), source })?;
        self.read(address, connection, response).await
    }

    async fn read(
        &self,
        address: &str,
        connection: Connection,
        response: Response<hyper::body::Incoming>,
    ) -> Result<Response<Bytes>, Error> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LARGEST).collect().await;
        let body = body.map_err(|reason| Error::Body { address: address.to_owned(), reason: reason.to_string() })?;
        self.keep(address, connection);
        Ok(Response::from_parts(head, body.to_bytes()))
    }

    fn take(&self, address: &str) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.get_mut(address)?.pop()
    }

    fn keep(&self, address: &str, connection: Connection) {
        if connection.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.entry(address.to_owned()).or_default();
        if kept.len() < IDLE {
            kept.push(connection);
        }
    }
}

async fn connect(address: &str) -> Result<Connection, Error> {
    let failed = |source| Error::Connect { address: address.to_owned(), source };
    let stream = TcpStream::connect(address).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|source| Error::Http { address: address.to_owned(), source })?;
    // Ends with the connection; what broke it shows in the exchange.
    tokio::spawn(connection);
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn keeps_connections_and_survives_their_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server =
            tokio::spawn(axum::serve(listener, Router::new().route("/", get(|| async { "hi" }))).into_future());
        let client = Client::default();
        for _ in 0..3 {
            let answer = client.get(&address.to_string(), "/", Duration::from_secs(5)).await.unwrap();
            assert_eq!(answer.body().as_ref(), b"hi");
            assert_eq!(client.idle.lock().unwrap()[&address.to_string()].len(), 1);
        }
        server.abort();
        assert!(server.await.unwrap_err().is_cancelled());
        // The kept connection still works, or is found closed; afterwards nobody listens.
        let _ = client.get(&address.to_string(), "/", Duration::from_secs(5)).await;
        client.idle.lock().unwrap().clear();
        let error = client.get(&address.to_string(), "/", Duration::from_secs(5)).await.unwrap_err();
        assert!(error.to_string().contains(&format!("cannot connect to {address}")), "{error}");
    }

    #[tokio::test]
    async fn gives_up_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let error = Client::default().get(&address, "/", Duration::from_millis(20)).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
    }
}
