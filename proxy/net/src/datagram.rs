//! UDP sockets: listening ones, one per worker, and one for each client towards its endpoint.
//!
//! It knows no sessions; which socket a client's datagrams go to is the engine's business.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use crate::listener::BindError;

/// Binds a socket for datagrams that other workers of this process can bind too; the kernel gives each client to one of
/// them. No other process may be there already, as for connections.
pub fn bind(address: SocketAddr) -> Result<std::net::UdpSocket, BindError> {
    let bound = match address.port() {
        0 => bind_socket(address, Sharing::Workers),
        _ => bind_socket(address, Sharing::Nobody).and_then(|alone| {
            drop(alone);
            bind_socket(address, Sharing::Workers)
        }),
    };
    bound.map_err(|source| BindError { address, source })
}

/// Another socket on an address that this process has bound already.
pub fn rebind(first: &std::net::UdpSocket) -> Result<std::net::UdpSocket, BindError> {
    match first.local_addr() {
        Ok(address) => bind_socket(address, Sharing::Workers).map_err(|source| BindError { address, source }),
        Err(source) => Err(BindError { address: SocketAddr::from(([0, 0, 0, 0], 0)), source }),
    }
}

#[derive(Clone, Copy)]
enum Sharing {
    Nobody,
    Workers,
}

fn bind_socket(address: SocketAddr, sharing: Sharing) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    match sharing {
        Sharing::Nobody => {}
        Sharing::Workers => socket.set_reuse_port(true)?,
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Sends to a client now, or not at all: a full buffer is an error.
pub fn send_to(socket: &UdpSocket, datagram: &[u8], client: SocketAddr) -> io::Result<usize> {
    // Not over the runtime, which knows nothing yet of a new socket, and would say that it is not ready.
    SockRef::from(socket).send_to(datagram, &client.into())
}

/// Sends to the endpoint that a socket is connected to, as [`send_to`].
pub fn send(socket: &UdpSocket, datagram: &[u8]) -> io::Result<usize> {
    SockRef::from(socket).send(datagram)
}

/// A socket that sends to one endpoint, and hears only that one.
pub fn connect(endpoint: SocketAddr) -> io::Result<UdpSocket> {
    let any = match endpoint {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = Socket::new(Domain::for_address(endpoint), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(any, 0).into())?;
    socket.connect(&endpoint.into())?;
    UdpSocket::from_std(socket.into())
}
