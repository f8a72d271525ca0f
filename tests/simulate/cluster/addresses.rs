//! Addresses that are given out once for each purpose and never taken back.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// Who has which address.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    pods: Range,
    services: Range,
    outside: Range,
}

#[derive(Debug, Default)]
struct Range(BTreeMap<String, u16>);

impl Addresses {
    /// Of a pod, in 10.1.0.0/16.
    pub(super) fn pod(&mut self, name: &str) -> IpAddr {
        self.pods.address([10, 1], name)
    }

    /// Of a Service, in 10.96.0.0/16.
    pub(super) fn service(&mut self, name: &str) -> IpAddr {
        self.services.address([10, 96], name)
    }

    /// Of a host that no object describes, in 198.18.0.0/16 (RFC 2544).
    pub(super) fn outside(&mut self, host: &str) -> IpAddr {
        self.outside.address([198, 18], host)
    }

    pub(super) fn known_outside(&self, host: &str) -> Option<IpAddr> {
        self.outside.0.get(host).map(|number| address([198, 18], *number))
    }

    /// Hosts outside with their addresses.
    pub(super) fn all_outside(&self) -> impl Iterator<Item = (&str, IpAddr)> {
        self.outside.0.iter().map(|(host, number)| (host.as_str(), address([198, 18], *number)))
    }
}

impl Range {
    fn address(&mut self, network: [u8; 2], name: &str) -> IpAddr {
        // The first addresses of a network belong to routers and name servers.
        let next = u16::try_from(self.0.len()).expect("fewer than 65,000 addresses") + 10;
        address(network, *self.0.entry(name.to_owned()).or_insert(next))
    }
}

fn address([a, b]: [u8; 2], number: u16) -> IpAddr {
    let [c, d] = number.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}
