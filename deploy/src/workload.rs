//! Workloads of a mesh on one machine: names, identity, and the two addresses of each.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// A /16 of addresses: of loopback, where the next /16 is for applications, or a private one for network namespaces,
/// where an application has its workload's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: u8,
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
    /// The default without network namespaces.
    pub const LOOPBACK: Self = Self { first: 127, second: 1 };
    /// The default with them.
    pub const PRIVATE: Self = Self { first: 10, second: 77 };

    /// Whether its addresses are this machine's own everywhere.
    pub fn is_loopback(self) -> bool {
        self.first == 127
    }

    /// Mesh address number `host`.
    pub fn mesh(self, host: u8) -> IpAddr {
        self.at(self.second, 0, host)
    }

    /// Application address number `host`.
    pub fn app(self, host: u8) -> IpAddr {
        let second = if self.is_loopback() { self.second + 1 } else { self.second };
        self.at(second, 0, host)
    }

    /// Cluster address number `host` of a service; nobody has it.
    pub fn service(self, host: u8) -> IpAddr {
        self.at(self.second, 1, host)
    }

    /// This machine's address among network namespaces.
    pub fn host(self) -> IpAddr {
        self.at(self.second, 0, 1)
    }

    /// What every address begins with.
    pub fn prefix(self) -> String {
        format!("{}.{}.", self.first, self.second)
    }

    fn at(self, second: u8, third: u8, host: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(self.first, second, third, host))
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "a /16 is expected: of loopback from 127.1.0.0/16 to 127.254.0.0/16, or with --netns a private one such as 10.77.0.0/16"
                .to_owned()
        };
        let address = text.strip_suffix("/16").ok_or_else(wrong)?;
        let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
        match address.octets() {
            // 127.0 has the ports of everything else on the machine; 127.255 has no /16 after it.
            [127, second @ 1..=254, 0, 0] => Ok(Self { first: 127, second }),
            [first, second, 0, 0] if address.is_private() => Ok(Self { first, second }),
            _ => Err(wrong()),
        }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.0.0/16", self.first, self.second)
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
        let private: Network = "10.78.0.0/16".parse().unwrap();
        assert_eq!((private.mesh(10), private.host().to_string()), (private.app(10), "10.78.0.1".to_owned()));
        assert!(!private.is_loopback() && network.is_loopback());
        for wrong in ["127.0.0.0/16", "127.255.0.0/16", "11.0.0.0/16", "127.1.0.0/24", "127.1.1.0/16", "", "/16"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
