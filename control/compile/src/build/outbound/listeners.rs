//! Outbound listeners, made of what hosts add to them by address and port. What would take the same connections as
//! something before it is left out: a listener with two such chains would be refused whole.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use envoy_types::pb::envoy::config::core::v3::{CidrRange, TrafficDirection};
use envoy_types::pb::envoy::config::listener::v3::{FilterChain, FilterChainMatch, Listener};
use ipnet::IpNet;

use super::Side;
use super::chains::Chain;
use crate::build::http;
use crate::build::value::{flag, ip_address, number};

/// What the HTTP inspector calls plain HTTP.
const PLAIN_HTTP: [&str; 3] = ["http/1.0", "http/1.1", "h2c"];

/// Where a listener is; without an IP it is for every address of the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Address {
    ip: Option<IpAddr>,
    port: u16,
}

/// What a host adds to a listener.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Piece {
    pub(crate) address: Address,
    /// A socket is bound for it.
    bound: bool,
    content: Content,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    /// Requests, by the routes of this name.
    Http(String),
    Connections(Chain),
}

/// A listener while pieces are added to it.
#[derive(Debug, Default)]
struct Entry {
    bound: bool,
    /// Name of the routes for HTTP.
    http: Option<String>,
    tcp: Vec<Chain>,
    /// Server names and ranges that have a chain.
    taken: BTreeSet<(Option<String>, Option<IpNet>)>,
}

impl Address {
    pub(super) fn new(ip: Option<IpAddr>, port: u16) -> Self {
        Self { ip: ip.filter(|ip| !ip.is_unspecified()), port }
    }

    fn ip(self) -> IpAddr {
        self.ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into())
    }

    /// The name of its listener.
    pub(crate) fn name(self) -> String {
        format!("{}_{}", self.ip(), self.port)
    }
}

impl Piece {
    pub(super) fn http(address: Address, bound: bool, routes: &str) -> Self {
        Self { address, bound, content: Content::Http(routes.to_owned()) }
    }

    pub(super) fn tcp(address: Address, bound: bool, chain: Chain) -> Self {
        Self { address, bound, content: Content::Connections(chain) }
    }
}

impl Side<'_> {
    /// A listener of these pieces, the first before the next.
    pub(in crate::build) fn listener<'p>(&self, at: Address, pieces: impl Iterator<Item = &'p Piece>) -> Listener {
        let mut entry = Entry::default();
        for piece in pieces {
            entry.bound |= piece.bound;
            match &piece.content {
                Content::Http(routes) => drop(entry.http.get_or_insert_with(|| routes.clone())),
                Content::Connections(chain) => entry.add(chain.clone()),
            }
        }
        entry.listener(at, self)
    }
}

impl Entry {
    /// Adds a chain for the ranges, or the server names, that have none yet.
    fn add(&mut self, mut chain: Chain) {
        let ranges: Vec<Option<IpNet>> = match chain.ranges.is_empty() {
            true => vec![None],
            false => chain.ranges.iter().copied().map(Some).collect(),
        };
        if chain.server_names.is_empty() {
            let free: Vec<Option<IpNet>> =
                ranges.into_iter().filter(|range| self.taken.insert((None, *range))).collect();
            if free.is_empty() {
                return;
            }
            chain.ranges = free.into_iter().flatten().collect();
        } else {
            let taken = &self.taken;
            let is_free = |name: &String| !ranges.iter().any(|range| taken.contains(&(Some(name.clone()), *range)));
            chain.server_names.retain(is_free);
            if chain.server_names.is_empty() {
                return;
            }
            for name in &chain.server_names {
                self.taken.extend(ranges.iter().map(|range| (Some(name.clone()), *range)));
            }
        }
        self.tcp.push(chain);
    }

    fn listener(self, at: Address, side: &Side<'_>) -> Listener {
        let name = at.name();
        let settings = side.settings();
        // HTTP is looked for where other things may come too.
        let detects = at.ip.is_none() || !self.tcp.is_empty();
        let by_name = self.tcp.iter().any(|chain| !chain.server_names.is_empty());
        let mut filter_chains = Vec::new();
        let mut default_filter_chain = None;
        if let Some(routes) = &self.http {
            let prefix = format!("outbound_{name}");
            let chain = http::chain(settings, &prefix, http::rds(routes), http::Side::Outbound, &["websocket"]);
            filter_chains.push(if detects { plain_http(chain) } else { chain });
        }
        for (number, chain) in self.tcp.into_iter().enumerate() {
            let made = FilterChain {
                name: format!("{} {number}", chain.prefix),
                metadata: chain.metadata(),
                ..http::tcp_chain(settings, &chain.prefix, chain.to.clone())
            };
            match chain.server_names.is_empty() && chain.ranges.is_empty() {
                true => default_filter_chain = Some(made),
                false => filter_chains.push(FilterChain { filter_chain_match: Some(matches(&chain)), ..made }),
            }
        }
        if detects && default_filter_chain.is_none() {
            default_filter_chain = Some(side.rest());
        }
        let alone = filter_chains.is_empty();
        Listener {
            name,
            address: ip_address(at.ip(), at.port),
            filter_chains: if alone { default_filter_chain.take().into_iter().collect() } else { filter_chains },
            default_filter_chain,
            bind_to_port: flag(self.bound),
            // Bytes are looked at only where something depends on them: some servers speak first.
            listener_filters: http::inspectors(by_name, detects && self.http.is_some()),
            continue_on_listener_filters_timeout: true,
            traffic_direction: TrafficDirection::Outbound.into(),
            ..Default::default()
        }
    }
}

fn plain_http(mut chain: FilterChain) -> FilterChain {
    chain.filter_chain_match = Some(FilterChainMatch {
        transport_protocol: "raw_buffer".to_owned(),
        application_protocols: PLAIN_HTTP.iter().map(|one| (*one).to_owned()).collect(),
        ..Default::default()
    });
    chain
}

fn matches(chain: &Chain) -> FilterChainMatch {
    let range =
        |net: &IpNet| CidrRange { address_prefix: net.addr().to_string(), prefix_len: number(net.prefix_len().into()) };
    FilterChainMatch {
        server_names: chain.server_names.clone(),
        prefix_ranges: chain.ranges.iter().map(range).collect(),
        ..Default::default()
    }
}
