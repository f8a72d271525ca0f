//! The packet filter rules that take a workload's connections to its sidecar, as in a pod.

use std::net::IpAddr;

/// The group that the sidecar runs as: what it sends is left alone. Istio's number, which other tools know.
pub(crate) const PROXY_GROUP: u32 = 1337;
const OUTBOUND: u16 = 15001;
const INBOUND: u16 = 15006;
const ADMIN: u16 = 15000;
/// The sidecar's own ports, which others may call: status, readiness, HBONE, metrics.
const OWN: &str = "{ 15008, 15020, 15021, 15090 }";

/// Rules for `nft -f`, in a network namespace of the workload's own; IPv4. Only `operator` may call the admin interface
/// from outside.
///
/// From the sidecar's source address 127.0.0.6 it calls its own application. What it sends over loopback to another
/// address of the workload is a call of the workload to itself, which comes in as everybody's does.
pub(crate) fn rules(operator: IpAddr) -> String {
    format!(
        "table ip orrery {{
  chain output {{
    type nat hook output priority -100; policy accept;
    oifname \"lo\" ip saddr 127.0.0.6 return
    oifname \"lo\" ip daddr != 127.0.0.1 meta skgid {PROXY_GROUP} meta l4proto tcp redirect to :{INBOUND}
    meta skgid {PROXY_GROUP} return
    ip daddr 127.0.0.0/8 return
    meta l4proto tcp redirect to :{OUTBOUND}
  }}
  chain prerouting {{
    type nat hook prerouting priority -100; policy accept;
    tcp dport {OWN} return
    tcp dport {ADMIN} return
    meta l4proto tcp redirect to :{INBOUND}
  }}
  {}
}}
",
        guard(operator)
    )
}

/// Rules for a gateway, to which nothing is redirected.
pub(crate) fn gateway_rules(operator: IpAddr) -> String {
    format!("table ip orrery {{\n  {}\n}}\n", guard(operator))
}

fn guard(operator: IpAddr) -> String {
    format!(
        "chain input {{
    type filter hook input priority 0; policy accept;
    iifname != \"lo\" tcp dport {ADMIN} ip saddr != {operator} drop
  }}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sidecars_own_traffic_comes_before_the_redirection() {
        let rules = rules(IpAddr::from([10, 77, 0, 1]));
        let place = |text: &str| rules.find(text).unwrap_or_else(|| panic!("{text} is not in\n{rules}"));
        assert!(place("ip saddr 127.0.0.6 return") < place("redirect to :15006"));
        assert!(place("skgid 1337 return") < place("redirect to :15001"));
        assert!(place("15021, 15090 } return") < rules.rfind("redirect to :15006").unwrap());
        assert!(rules.contains("tcp dport 15000 ip saddr != 10.77.0.1 drop"), "{rules}");
        assert_eq!(rules.matches('{').count(), rules.matches('}').count());
        let gateway = gateway_rules(IpAddr::from([10, 77, 0, 1]));
        assert!(gateway.contains("drop") && !gateway.contains("redirect"), "{gateway}");
    }
}
