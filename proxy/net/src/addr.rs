//! Addresses of a connection as distinct types, so that one cannot be taken for another.
//!
//! Knows nothing of names or of how an address was found.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name(pub SocketAddr);

        impl $name {
            /// The IP part.
            pub fn ip(self) -> IpAddr {
                self.0.ip()
            }

            /// The port part.
            pub fn port(self) -> u16 {
                self.0.port()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

address!(
    /// The other end of an accepted connection.
    PeerAddr
);
address!(
    /// Our end of an accepted connection.
    LocalAddr
);
address!(
    /// Where the client wanted to go before the kernel redirected it (`SO_ORIGINAL_DST`); without
    /// redirection the same as the local address.
    OriginalDst
);

/// The three addresses of an accepted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub peer: PeerAddr,
    pub local: LocalAddr,
    pub original: OriginalDst,
}
