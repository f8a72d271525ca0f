//! Workloads of a mesh on one machine: names, identity, and the two addresses of each.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// A /16 of loopback addresses for the mesh; the next /16 is for applications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    second: u8,
}

/// One workload and its proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Workload {
    /// Name of the pod or workload entry.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Name of its owner.
    pub owner: String,
    /// Service account.
    pub service_account: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Its address in the mesh, which the proxy listens on.
    pub address: IpAddr,
    /// What runs there.
    pub role: Role,
}

/// What runs beside, or is, the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// An application that listens on this address.
    Sidecar { app: IpAddr },
    /// Nothing: the proxy is a gateway.
    Gateway,
}

impl Network {
    /// Mesh address number `host`.
    pub fn mesh(self, host: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, self.second, 0, host))
    }

    /// Application address number `host`.
    pub fn app(self, host: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, self.second + 1, 0, host))
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a /16 of loopback from 127.1.0.0/16 to 127.254.0.0/16 is expected".to_owned();
        let address = text.strip_suffix("/16").ok_or_else(wrong)?;
        let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
        match address.octets() {
            // 127.0 has the ports of everything else on the machine; 127.255 has no /16 after it.
            [127, second @ 1..=254, 0, 0] => Ok(Self { second }),
            _ => Err(wrong()),
        }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "127.{}.0.0/16", self.second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let network: Network = "127.31.0.0/16".parse().unwrap();
        assert_eq!(network.mesh(10).to_string(), "127.31.0.10");
        assert_eq!(network.app(10).to_string(), "127.32.0.10");
        assert_eq!(network.to_string(), "127.31.0.0/16");
        for wrong in ["127.0.0.0/16", "127.255.0.0/16", "10.0.0.0/16", "127.1.0.0/24", "127.1.1.0/16", "", "/16"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
