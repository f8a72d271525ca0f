//! Addresses of Gateways: whether anything runs behind a Gateway, and where it is reached. The one part of a status that
//! depends on endpoints, so it is looked up when a status is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use orrery_api::GatewayWorkloads;

use crate::condition::{Condition, Fault};

/// What runs, and where.
pub trait Reach {
    /// A service by its host, if it is of this namespace.
    fn service(&self, host: &str, namespace: &str) -> Option<ReachedService>;

    /// Addresses of ready workloads that any of these select.
    fn workloads(&self, workloads: &[GatewayWorkloads]) -> Vec<IpAddr>;
}

/// A service as it is reached.
#[derive(Clone, Debug, Default)]
pub struct ReachedService {
    /// Its ports, and whether there are endpoints for them.
    pub ports: BTreeMap<u16, bool>,
    /// Ports of its endpoints.
    pub target_ports: BTreeSet<u16>,
    /// Inside of the cluster.
    pub addresses: Vec<String>,
    /// Outside of the cluster, names too.
    pub external: Vec<String>,
    /// Waits for an address outside of the cluster.
    pub pending: bool,
    /// Was made for a Gateway by its controller.
    pub managed: bool,
}

/// What a Gateway is reached by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    pub(crate) namespace: String,
    /// Hosts of services.
    pub(crate) services: Vec<String>,
    pub(crate) ports: BTreeSet<u16>,
    pub(crate) workloads: Vec<GatewayWorkloads>,
    /// The services are the controller's own.
    pub(crate) managed: bool,
    /// Addresses that were asked for.
    pub(crate) wanted: Vec<IpAddr>,
    /// Which addresses inside of the cluster are told where there are none outside.
    pub(crate) tells: Internal,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Internal {
    #[default]
    Hosts,
    Ips,
    Both,
}

/// What came of looking.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) programmed: Condition,
    pub(crate) addresses: Vec<String>,
}

#[derive(Default)]
struct Found {
    hosts: BTreeSet<String>,
    ports: BTreeSet<String>,
    ips: BTreeSet<String>,
    external: BTreeSet<String>,
    pending: BTreeSet<String>,
    warnings: BTreeSet<String>,
    unusable: bool,
}

impl Target {
    pub(crate) fn look(&self, reach: &dyn Reach) -> Reached {
        let mut found = Found::default();
        for host in &self.services {
            match reach.service(host, &self.namespace) {
                Some(service) => self.look_at(host, &service, &mut found),
                None if self.managed && self.runs_alone(reach, &mut found) => {}
                None => {
                    found.unusable = true;
                    found.warnings.insert(format!("there is no service {host} in {}", self.namespace));
                }
            }
        }
        let mut addresses = self.addresses(&found);
        if !self.wanted.is_empty() {
            addresses = self.only_wanted(&addresses, reach, &mut found);
        }
        Reached { programmed: self.programmed(&found), addresses }
    }

    /// Proxies of a Gateway that no service stands before are reached at their own addresses.
    fn runs_alone(&self, reach: &dyn Reach, found: &mut Found) -> bool {
        let addresses = reach.workloads(&self.workloads);
        found.external.extend(addresses.iter().map(ToString::to_string));
        found.ports.extend(addresses.iter().map(ToString::to_string));
        !addresses.is_empty()
    }

    fn look_at(&self, host: &str, service: &ReachedService, found: &mut Found) {
        for port in &self.ports {
            match service.ports.get(port) {
                Some(true) => {
                    found.hosts.insert(host.to_owned());
                    found.ports.insert(format!("{host}:{port}"));
                    found.ips.extend(service.addresses.iter().cloned());
                    found.external.extend(service.external.iter().cloned());
                    if service.external.is_empty() && service.pending {
                        found.pending.insert(host.to_owned());
                        found.warnings.insert(format!("{host} waits for its address"));
                    }
                }
                _ if service.target_ports.is_empty() => {
                    found.warnings.insert(format!("nothing runs behind {host}"));
                }
                // Of a service that the controller made, endpoints are merely late.
                Some(false) if service.managed => {}
                Some(false) | None => {
                    let hint = if service.target_ports.contains(port) {
                        "; a workload has it, and listeners name the service's ports"
                    } else {
                        ""
                    };
                    found.warnings.insert(format!("{host} has no port {port}{hint}"));
                    found.unusable = true;
                }
            }
        }
    }

    fn addresses(&self, found: &Found) -> Vec<String> {
        if !found.external.is_empty() {
            return found.external.iter().cloned().collect();
        }
        let ips = found.ips.iter().filter(|_| self.tells != Internal::Hosts);
        let hosts = found.hosts.difference(&found.pending).filter(|_| self.tells != Internal::Ips);
        ips.chain(hosts).cloned().collect()
    }

    /// Of the addresses that were asked for those that can be had.
    fn only_wanted(&self, addresses: &[String], reach: &dyn Reach, found: &mut Found) -> Vec<String> {
        let alone = reach.workloads(&self.workloads);
        let has = |wanted: &IpAddr| {
            let text = wanted.to_string();
            alone.contains(wanted) || addresses.contains(&text) || found.ips.contains(&text)
        };
        let (had, missing): (Vec<IpAddr>, Vec<IpAddr>) = self.wanted.iter().partition(|wanted| has(wanted));
        for address in missing {
            found.warnings.insert(format!("nothing has the address {address}"));
            found.unusable = true;
        }
        had.iter().map(ToString::to_string).collect()
    }

    fn programmed(&self, found: &Found) -> Condition {
        let at: Vec<&str> = found.ports.iter().map(String::as_str).collect();
        if self.services.is_empty() {
            let fault = Fault::new("UnsupportedAddress", "none of the addresses can be had");
            return Condition::broken("Programmed", &fault);
        }
        if found.warnings.is_empty() {
            let message =
                if at.is_empty() { "proxies have it".to_owned() } else { format!("reached at {}", at.join(", ")) };
            return Condition::fine("Programmed", &message);
        }
        let warnings: Vec<&str> = found.warnings.iter().map(String::as_str).collect();
        let reason = if found.unusable { "AddressNotUsable" } else { "AddressNotAssigned" };
        Condition::broken("Programmed", &Fault::new(reason, warnings.join("; ")))
    }
}
