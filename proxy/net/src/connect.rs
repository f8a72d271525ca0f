//! Reaching an upstream address: TCP, and TLS over it if wanted, within a time.
//!
//! Does not pool connections and does not know what is spoken on them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::stream::Stream;
use crate::tls::{Connector, PeerIdentity, peer_identity};

/// Why an upstream could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("{address} did not answer within {limit:?}; is it reachable from here?")]
    Timeout { address: SocketAddr, limit: Duration },
    #[error("cannot connect to {address}: {source}")]
    Tcp { address: SocketAddr, source: io::Error },
    #[error("TLS with {address} failed: {source}; do both sides trust the same root, and is it the expected service?")]
    Tls { address: SocketAddr, source: io::Error },
}

/// How to connect.
#[derive(Clone, Debug)]
pub struct ConnectPlan<'a> {
    pub address: SocketAddr,
    /// The address that the connection comes from; `None`: the kernel chooses.
    pub source: Option<IpAddr>,
    /// For TCP and TLS together.
    pub limit: Duration,
    pub tls: Option<&'a Connector>,
    pub keep_alive: Option<KeepAlive>,
    /// Sent before anything else, TLS included.
    pub preamble: Option<&'a [u8]>,
}

/// Probes on an idle connection; `None` is the system's default.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeepAlive {
    pub time: Option<Duration>,
    pub interval: Option<Duration>,
    pub probes: Option<u32>,
}

impl KeepAlive {
    fn put_on(self, stream: &TcpStream) -> io::Result<()> {
        let mut settings = TcpKeepalive::new();
        if let Some(time) = self.time {
            settings = settings.with_time(time);
        }
        if let Some(interval) = self.interval {
            settings = settings.with_interval(interval);
        }
        if let Some(probes) = self.probes {
            settings = settings.with_retries(probes);
        }
        SockRef::from(stream).set_tcp_keepalive(&settings)
    }
}

/// A connection that stands.
#[derive(Debug)]
pub struct Connected {
    pub stream: Stream,
    pub facts: ConnectionFacts,
}

/// What is known of an upstream connection.
#[derive(Clone, Debug)]
pub struct ConnectionFacts {
    pub local: Option<SocketAddr>,
    /// `None` without TLS.
    pub peer: Option<PeerIdentity>,
    /// The SPIFFE name that we showed; left to the caller, who knows the certificate.
    pub own: Option<Arc<str>>,
    pub alpn: Option<Arc<[u8]>>,
}

/// Connects.
pub async fn connect(plan: &ConnectPlan<'_>) -> Result<Connected, ConnectError> {
    let address = plan.address;
    match tokio::time::timeout(plan.limit, connect_unlimited(plan)).await {
        Ok(connected) => connected,
        Err(_late) => Err(ConnectError::Timeout { address, limit: plan.limit }),
    }
}

async fn open(to: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let Some(from) = from else { return TcpStream::connect(to).await };
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(from, 0))?;
    socket.connect(to).await
}

async fn connect_unlimited(plan: &ConnectPlan<'_>) -> Result<Connected, ConnectError> {
    let address = plan.address;
    let mut tcp = open(address, plan.source).await.map_err(|source| ConnectError::Tcp { address, source })?;
    let prepared =
        tcp.set_nodelay(true).and_then(|()| plan.keep_alive.map_or(Ok(()), |settings| settings.put_on(&tcp)));
    prepared.map_err(|source| ConnectError::Tcp { address, source })?;
    if let Some(preamble) = plan.preamble {
        tcp.write_all(preamble).await.map_err(|source| ConnectError::Tcp { address, source })?;
    }
    let local = tcp.local_addr().ok();
    let Some(connector) = plan.tls else {
        return Ok(Connected {
            stream: tcp.into(),
            facts: ConnectionFacts { local, peer: None, own: None, alpn: None },
        });
    };
    let tls = connector.connect(tcp, address.ip()).await.map_err(|source| ConnectError::Tls { address, source })?;
    let session = tls.get_ref().1;
    let facts = ConnectionFacts {
        local,
        peer: peer_identity(session.peer_certificates()),
        own: None,
        alpn: session.alpn_protocol().map(Arc::from),
    };
    Ok(Connected { stream: Stream::Connected(Box::new(tls)), facts })
}
