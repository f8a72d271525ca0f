//! Accepting xDS connections: TCP, TLS where asked for, and who is at the other end.
//!
//! It knows certificates and connections, not what is said on them. A TLS client may come without a
//! certificate, since it needs one from here first; then it is [`Peer::Anonymous`].

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use orrery_ca::Identity;
use orrery_serve::Peer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

/// A client that has not finished its handshake by then is dropped.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Accepted connections that wait for the gRPC server.
const ACCEPTED: usize = 64;
/// Pause after accept fails, which it does when descriptors run out.
const PAUSE: Duration = Duration::from_millis(50);

/// One accepted connection.
#[derive(Debug)]
pub(crate) struct Connection {
    io: Io,
    peer: Peer,
    _slot: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Whether and how connections are encrypted.
#[derive(Clone)]
pub(crate) enum Security {
    /// Not at all: the client is believed.
    Plaintext,
    /// With TLS; client certificates are verified, if there is one, and must be of the trust domain.
    Tls { acceptor: TlsAcceptor, trust_domain: Arc<str> },
}

/// What a gRPC server takes connections from.
pub(crate) type Incoming = ReceiverStream<Result<Connection, io::Error>>;

/// Accepts on `listener` until `shutdown`; at most `limit` connections are open.
pub(crate) fn incoming(
    listener: TcpListener,
    security: Security,
    limit: usize,
    shutdown: CancellationToken,
) -> Incoming {
    let (accepted, receiver) = mpsc::channel(ACCEPTED);
    let slots = Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
    tokio::spawn(async move {
        tokio::select! {
            () = accept(listener, security, slots, accepted) => {}
            () = shutdown.cancelled() => {}
        }
    });
    ReceiverStream::new(receiver)
}

async fn accept(
    listener: TcpListener,
    security: Security,
    slots: Arc<Semaphore>,
    accepted: mpsc::Sender<Result<Connection, io::Error>>,
) {
    loop {
        // The semaphore is never closed.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let (stream, remote) = match listener.accept().await {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!(%error, "cannot accept an xDS connection");
                sleep(PAUSE).await;
                continue;
            }
        };
        let (security, accepted) = (security.clone(), accepted.clone());
        tokio::spawn(async move {
            match timeout(HANDSHAKE, handshake(stream, &security)).await {
                Ok(Ok((io, peer))) => {
                    // Fails only when the server is stopping.
                    let _ = accepted.send(Ok(Connection { io, peer, _slot: slot })).await;
                }
                Ok(Err(error)) => tracing::info!(%remote, %error, "xDS connection refused"),
                Err(_) => tracing::info!(%remote, "xDS connection dropped: no handshake within {HANDSHAKE:?}"),
            }
        });
    }
}

async fn handshake(stream: TcpStream, security: &Security) -> io::Result<(Io, Peer)> {
    stream.set_nodelay(true)?;
    match security {
        Security::Plaintext => Ok((Io::Plain(stream), Peer::Plaintext)),
        Security::Tls { acceptor, trust_domain } => {
            let stream = acceptor.accept(stream).await?;
            let peer = peer(&stream, trust_domain)?;
            Ok((Io::Tls(Box::new(stream)), peer))
        }
    }
}

fn peer(stream: &TlsStream<TcpStream>, trust_domain: &str) -> io::Result<Peer> {
    let Some(leaf) = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()) else {
        return Ok(Peer::Anonymous);
    };
    let identity = Identity::from_certificate(leaf).map_err(io::Error::other)?;
    if identity.trust_domain() != trust_domain {
        return Err(io::Error::other(format!("{identity} is not of the trust domain {trust_domain}")));
    }
    Ok(Peer::Workload {
        namespace: identity.namespace().to_owned(),
        service_account: identity.service_account().to_owned(),
    })
}

/// Binds, naming the server and the address when that fails.
pub(crate) async fn bind(name: &str, address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(error.kind(), format!("{name}: cannot listen on {address}: {error}; is another one running?"))
    })
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Io::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Io::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Io::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
