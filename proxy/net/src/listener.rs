//! Listening sockets: binding (one per worker with `SO_REUSEPORT`), accepting, original destination.
//!
//! It does not know what is spoken on a connection, nor which listener of the configuration it serves.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::addr::{Addresses, LocalAddr, OriginalDst, PeerAddr};

/// Connections that wait in the kernel to be accepted.
const BACKLOG: i32 = 4096;
/// How long accepting rests when the process has no file descriptor left (EMFILE, ENFILE, ENOBUFS).
const REST: Duration = Duration::from_millis(50);

/// A socket that could not be bound.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address}: {source}; is another process using that port, or does the address not exist here?"
)]
pub struct BindError {
    pub address: SocketAddr,
    #[source]
    pub source: io::Error,
}

/// Binds a listening socket that other workers of this process can bind too, after making sure that no other process
/// listens there: sharing a port with a forgotten process would lose half of the connections without a word.
pub fn bind(address: SocketAddr) -> Result<std::net::TcpListener, BindError> {
    let bound = match address.port() {
        0 => bind_socket(address, Sharing::Workers),
        _ => bind_socket(address, Sharing::Nobody).and_then(|alone| {
            drop(alone);
            bind_socket(address, Sharing::Workers)
        }),
    };
    bound.map_err(|source| BindError { address, source })
}

#[derive(Clone, Copy)]
enum Sharing {
    Nobody,
    Workers,
}

fn bind_socket(address: SocketAddr, sharing: Sharing) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    match sharing {
        Sharing::Nobody => {}
        Sharing::Workers => socket.set_reuse_port(true)?,
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Another socket on an address that this process has bound already (its port may have been 0).
pub fn rebind(first: &std::net::TcpListener) -> Result<std::net::TcpListener, BindError> {
    match first.local_addr() {
        Ok(address) => bind_socket(address, Sharing::Workers).map_err(|source| BindError { address, source }),
        Err(source) => Err(BindError { address: SocketAddr::from(([0, 0, 0, 0], 0)), source }),
    }
}

/// The next connection, with Nagle's algorithm off. Errors of a single connection are skipped; without file
/// descriptors it rests a little and goes on, so that the loop neither ends nor spins.
pub async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, %peer, "cannot set TCP_NODELAY");
                }
                return (stream, peer);
            }
            Err(error) if is_of_one_connection(&error) => {
                tracing::debug!(%error, "a connection ended while being accepted")
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections: resting; raise the limit of open files if this goes on");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// The addresses of an accepted connection. The original destination is asked of the kernel only when the listener
/// takes redirected connections; without a redirection it is the local address.
pub fn addresses(stream: &TcpStream, peer: SocketAddr, redirected: Redirected) -> io::Result<Addresses> {
    let local = stream.local_addr()?;
    let original = match redirected {
        Redirected::No => local,
        Redirected::Maybe => original_destination(stream, local).unwrap_or(local),
    };
    Ok(Addresses { peer: PeerAddr(peer), local: LocalAddr(local), original: OriginalDst(original) })
}

/// Whether connections of a listener may have been redirected by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirected {
    No,
    Maybe,
}

fn original_destination(stream: &TcpStream, local: SocketAddr) -> Option<SocketAddr> {
    let socket = SockRef::from(stream);
    let found = match local {
        SocketAddr::V4(_) => socket.original_dst_v4(),
        SocketAddr::V6(_) => socket.original_dst_v6(),
    };
    found.ok().and_then(|address| address.as_socket())
}

/// Asks the kernel to probe an idle connection after this long.
pub fn keep_alive(stream: &TcpStream, after: Duration) -> io::Result<()> {
    SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_sockets_share_a_port_and_tell_addresses() {
        let first = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let second = rebind(&first).unwrap();
        let address = first.local_addr().unwrap();
        assert_eq!(second.local_addr().unwrap(), address);
        drop(second);
        let listener = TcpListener::from_std(first).unwrap();
        let client = TcpStream::connect(address).await.unwrap();
        let (stream, peer) = accept(&listener).await;
        let found = addresses(&stream, peer, Redirected::Maybe).unwrap();
        assert_eq!(found.peer.0, client.local_addr().unwrap());
        assert_eq!(found.local.0, address);
        assert_eq!(found.original.0, address);
    }

    #[test]
    fn a_taken_address_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let error = bind(taken.local_addr().unwrap()).unwrap_err();
        assert!(error.to_string().contains("127.0.0.1"), "{error}");
    }
}
