//! Which filter chain of a listener takes a connection: Envoy's order of precedence, step by step, without going back.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::listener::{FilterChain, Listener, ServerNameMatch, TransportProtocol};

/// What is known of a connection before its filter chain is chosen.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionView<'a> {
    /// The original destination (the local address without redirection).
    pub destination: SocketAddr,
    pub transport: TransportProtocol,
    /// From the ClientHello.
    pub server_name: Option<&'a str>,
    /// From the ClientHello, or `http/1.1` / `h2c` when the HTTP inspector recognised plain HTTP.
    pub application_protocols: &'a [&'a str],
}

/// What a connection's first bytes told to the listener's inspectors.
#[derive(Clone, Copy, Debug)]
pub enum FirstBytes<'a> {
    /// A ClientHello.
    Tls {
        server_name: Option<&'a str>,
        alpn: &'a [Box<str>],
    },
    Http1,
    Http2,
    /// Nothing: another protocol, or no inspector looked.
    Opaque,
}

/// The chain for a connection to `destination` that begins so; see [`select_chain`].
pub fn chain_for<'a>(
    listener: &'a Listener,
    destination: SocketAddr,
    first: FirstBytes<'_>,
) -> Option<&'a Arc<FilterChain>> {
    let view = |transport, server_name, application_protocols: &[&str]| {
        select_chain(listener, &ConnectionView { destination, transport, server_name, application_protocols })
    };
    match first {
        FirstBytes::Tls { server_name, alpn } => {
            let protocols: Vec<&str> = alpn.iter().map(|name| &**name).collect();
            view(TransportProtocol::Tls, server_name, &protocols)
        }
        FirstBytes::Http1 => view(TransportProtocol::RawBuffer, None, &["http/1.1"]),
        FirstBytes::Http2 => view(TransportProtocol::RawBuffer, None, &["h2c"]),
        FirstBytes::Opaque => view(TransportProtocol::RawBuffer, None, &[]),
    }
}

/// The chain for a connection, or the listener's default chain, or `None`: the connection is closed.
pub fn select_chain<'a>(listener: &'a Listener, connection: &ConnectionView<'_>) -> Option<&'a Arc<FilterChain>> {
    let mut left: Vec<&Arc<FilterChain>> = listener.filter_chains.iter().collect();
    for score in [destination_port, destination_address, server_name, transport, application_protocol] {
        let scores: Vec<Option<usize>> = left.iter().map(|chain| score(chain, connection)).collect();
        let best = scores.iter().flatten().max().copied();
        let mut scores = scores.into_iter();
        left.retain(|_| scores.next().flatten().is_some_and(|score| Some(score) == best));
    }
    left.first().copied().or(listener.default_filter_chain.as_ref())
}

// Each step says how specifically a chain asks for what the connection has: `None` no match, 0 does not ask.

fn destination_port(chain: &FilterChain, connection: &ConnectionView<'_>) -> Option<usize> {
    match chain.matches.destination_port {
        None => Some(0),
        Some(port) => (port == connection.destination.port()).then_some(1),
    }
}

fn destination_address(chain: &FilterChain, connection: &ConnectionView<'_>) -> Option<usize> {
    if chain.matches.prefix_ranges.is_empty() {
        return Some(0);
    }
    let containing = chain.matches.prefix_ranges.iter().filter(|range| range.contains(&connection.destination.ip()));
    containing.map(|range| usize::from(range.prefix_len()) + 1).max()
}

fn server_name(chain: &FilterChain, connection: &ConnectionView<'_>) -> Option<usize> {
    if chain.matches.server_names.is_empty() {
        return Some(0);
    }
    let name = connection.server_name?;
    let specific = chain.matches.server_names.iter().filter_map(|wanted| match wanted {
        ServerNameMatch::Exact(exact) => name.eq_ignore_ascii_case(exact).then_some(usize::MAX),
        ServerNameMatch::Suffix(suffix) => {
            let from = name.len().checked_sub(suffix.len()).filter(|from| *from > 0)?;
            name.get(from..)?.eq_ignore_ascii_case(suffix).then_some(suffix.len())
        }
    });
    specific.max()
}

fn transport(chain: &FilterChain, connection: &ConnectionView<'_>) -> Option<usize> {
    match chain.matches.transport {
        None => Some(0),
        Some(transport) => (transport == connection.transport).then_some(1),
    }
}

fn application_protocol(chain: &FilterChain, connection: &ConnectionView<'_>) -> Option<usize> {
    let wanted = &chain.matches.application_protocols;
    if wanted.is_empty() {
        return Some(0);
    }
    wanted.iter().any(|protocol| connection.application_protocols.contains(&&**protocol)).then_some(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::listener::{Binding, Direction, FilterChainMatch, Inspection, NetworkFilter, OriginalDst, TcpProxy};

    fn chain(name: &str, matches: FilterChainMatch) -> Arc<FilterChain> {
        let tcp = TcpProxy { stat_prefix: "t".into(), clusters: Vec::new(), idle_timeout: None, access_log: None };
        Arc::new(FilterChain { name: name.into(), matches, tls: None, filter: NetworkFilter::Tcp(Arc::new(tcp)) })
    }

    fn listener(filter_chains: Vec<Arc<FilterChain>>) -> Listener {
        Listener {
            name: "l".into(),
            address: ([127, 0, 0, 1], 15006).into(),
            direction: Direction::Inbound,
            binding: Binding::Socket,
            original_dst: OriginalDst::Ignored,
            inspection: Inspection { tls: true, http: true, timeout: Duration::from_secs(1) },
            filter_chains,
            default_filter_chain: None,
        }
    }

    fn istio() -> FilterChainMatch {
        FilterChainMatch {
            transport: Some(TransportProtocol::Tls),
            application_protocols: vec!["istio".into(), "istio-http/1.1".into()],
            ..FilterChainMatch::default()
        }
    }

    #[test]
    fn inbound_chains_by_port_transport_and_protocol() {
        let port = |p, m: FilterChainMatch| FilterChainMatch { destination_port: Some(p), ..m };
        let tls = FilterChainMatch { transport: Some(TransportProtocol::Tls), ..FilterChainMatch::default() };
        let raw = FilterChainMatch { transport: Some(TransportProtocol::RawBuffer), ..FilterChainMatch::default() };
        let listener = listener(vec![
            chain("9080 mtls", port(9080, istio())),
            chain("9080 raw", port(9080, raw.clone())),
            chain("any mtls", istio()),
            chain("any tls", tls),
            chain("any raw", raw),
        ]);
        for (port, transport, protocols, expected) in [
            (9080, TransportProtocol::Tls, &["istio-http/1.1"][..], Some("9080 mtls")),
            (9080, TransportProtocol::RawBuffer, &[], Some("9080 raw")),
            (9080, TransportProtocol::RawBuffer, &["http/1.1"], Some("9080 raw")),
            // Envoy does not go back: port 9080 has no chain for foreign TLS.
            (9080, TransportProtocol::Tls, &["h2"], None),
            (7000, TransportProtocol::Tls, &["istio"], Some("any mtls")),
            (7000, TransportProtocol::Tls, &["h2"], Some("any tls")),
            (7000, TransportProtocol::RawBuffer, &[], Some("any raw")),
        ] {
            let connection = ConnectionView {
                destination: ([10, 0, 0, 1], port).into(),
                transport,
                server_name: None,
                application_protocols: protocols,
            };
            let found = select_chain(&listener, &connection).map(|chain| &*chain.name);
            assert_eq!(found, expected, "{connection:?}");
        }
    }

    #[test]
    fn longest_prefix_and_most_exact_server_name_win() {
        let range =
            |r: &str| FilterChainMatch { prefix_ranges: vec![r.parse().unwrap()], ..FilterChainMatch::default() };
        let name = |n| FilterChainMatch { server_names: vec![n], ..FilterChainMatch::default() };
        let by_address = listener(vec![chain("8", range("10.0.0.0/8")), chain("24", range("10.1.2.0/24"))]);
        let by_name = listener(vec![
            chain("com", name(ServerNameMatch::Suffix(".com".into()))),
            chain("a.com", name(ServerNameMatch::Suffix(".a.com".into()))),
            chain("b.a.com", name(ServerNameMatch::Exact("b.a.com".into()))),
            chain("rest", FilterChainMatch::default()),
        ]);
        let view = |ip: [u8; 4], server_name| ConnectionView {
            destination: (ip, 443).into(),
            transport: TransportProtocol::Tls,
            server_name,
            application_protocols: &[],
        };
        for (ip, expected) in [([10, 1, 2, 3], Some("24")), ([10, 9, 9, 9], Some("8")), ([11, 0, 0, 1], None)] {
            assert_eq!(select_chain(&by_address, &view(ip, None)).map(|c| &*c.name), expected, "{ip:?}");
        }
        for (server_name, expected) in [
            (Some("B.a.com"), "b.a.com"),
            (Some("c.a.com"), "a.com"),
            (Some("x.com"), "com"),
            (Some("x.org"), "rest"),
            (None, "rest"),
        ] {
            assert_eq!(select_chain(&by_name, &view([1, 1, 1, 1], server_name)).map(|c| &*c.name), Some(expected));
        }
    }
}
