//! The PROXY protocol's header, which tells a server where a connection came from before a proxy took it
//! (HAProxy's specification, versions 1 and 2).
//!
//! Does not read such headers.

use std::net::{IpAddr, SocketAddr};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The text form.
pub fn version1(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let (source, destination) = alike(from.ip(), to.ip());
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    format!("PROXY {family} {source} {destination} {} {}\r\n", from.port(), to.port()).into_bytes()
}

/// The binary form.
pub fn version2(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    const PROXY: u8 = 0x21;
    let mut header = SIGNATURE.to_vec();
    match alike(from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            header.extend([PROXY, 0x11, 0, 12]);
            header.extend(source.octets());
            header.extend(destination.octets());
        }
        (source, destination) => {
            header.extend([PROXY, 0x21, 0, 36]);
            header.extend(wide(source).octets());
            header.extend(wide(destination).octets());
        }
    }
    header.extend(from.port().to_be_bytes());
    header.extend(to.port().to_be_bytes());
    header
}

/// Both of one family.
fn alike(source: IpAddr, destination: IpAddr) -> (IpAddr, IpAddr) {
    let (source, destination) = (source.to_canonical(), destination.to_canonical());
    if source.is_ipv4() == destination.is_ipv4() {
        return (source, destination);
    }
    (wide(source).into(), wide(destination).into())
}

fn wide(address: IpAddr) -> std::net::Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn text() {
        for (from, to, expected) in [
            ("1.2.3.4:5", "6.7.8.9:80", "PROXY TCP4 1.2.3.4 6.7.8.9 5 80\r\n"),
            ("[::1]:5", "[::2]:80", "PROXY TCP6 ::1 ::2 5 80\r\n"),
            ("[::ffff:1.2.3.4]:5", "6.7.8.9:80", "PROXY TCP4 1.2.3.4 6.7.8.9 5 80\r\n"),
            ("1.2.3.4:5", "[::2]:80", "PROXY TCP6 ::ffff:1.2.3.4 ::2 5 80\r\n"),
        ] {
            assert_eq!(String::from_utf8(version1(at(from), at(to))).unwrap(), expected);
        }
    }

    #[test]
    fn binary() {
        let header = version2(at("1.2.3.4:256"), at("6.7.8.9:80"));
        assert_eq!(header[..12], SIGNATURE);
        assert_eq!(header[12..], [0x21, 0x11, 0, 12, 1, 2, 3, 4, 6, 7, 8, 9, 1, 0, 0, 80]);
        assert_eq!(version2(at("[::1]:1"), at("[::2]:2")).len(), 16 + 36);
    }
}
