//! What an annotation's value may look like.

use std::net::IpAddr;

/// Longest name of a network interface in Linux.
const LONGEST_INTERFACE: usize = 15;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Any,
    Bool,
    Interception,
    Interfaces,
    ListedNetworks,
    ListedPorts,
    Networks,
    Number,
    Port,
    Ports,
    ProxyConfig,
    Quantity,
}

impl Format {
    /// What the value should be, if it is not.
    pub(super) fn complaint(self, value: &str) -> Option<&'static str> {
        let networks = value.is_empty() || value.split(',').all(is_network);
        let ports = value.trim().is_empty() || value.split(',').all(is_port);
        let (fine, expected) = match self {
            Self::Any => (true, ""),
            // What Go takes for a truth value.
            Self::Bool => (
                matches!(
                    value,
                    "1" | "t" | "T" | "true" | "TRUE" | "True" | "0" | "f" | "F" | "false" | "FALSE" | "False"
                ),
                "true or false",
            ),
            Self::Interception => (matches!(value, "REDIRECT" | "TPROXY" | "NONE"), "REDIRECT, TPROXY or NONE"),
            Self::Interfaces => (value.split(',').all(is_interface), "names of interfaces separated by commas"),
            Self::ListedNetworks => (networks, "networks as 10.0.0.0/8 separated by commas"),
            Self::ListedPorts => (ports, "port numbers separated by commas"),
            Self::Networks => (value == "*" || networks, "networks as 10.0.0.0/8 separated by commas, or *"),
            Self::Number => (value.parse::<u32>().is_ok(), "a number"),
            Self::Port => (is_port(value), "a port number"),
            Self::Ports => (value == "*" || ports, "port numbers separated by commas, or *"),
            Self::ProxyConfig => (is_mapping(value), "YAML of a ProxyConfig"),
            Self::Quantity => (is_quantity(value), "a quantity of Kubernetes, as 100m or 128Mi"),
        };
        (!fine).then_some(expected)
    }
}

fn is_port(text: &str) -> bool {
    text.trim().parse::<u16>().is_ok()
}

fn is_network(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let longest = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= longest)
}

fn is_interface(text: &str) -> bool {
    let name = text.trim();
    name.len() <= LONGEST_INTERFACE && !name.contains(|c: char| c == '/' || c.is_whitespace())
}

fn is_mapping(text: &str) -> bool {
    orrery_api::documents(text)
        .is_ok_and(|documents| documents.first().is_none_or(|document| document.to_json().is_object()))
}

/// `<sign><number><suffix>`, with the suffixes of Kubernetes' resource quantities.
fn is_quantity(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let is_number = number.parse::<f64>().is_ok();
    let exponent = suffix.strip_prefix(['e', 'E']).is_some_and(|rest| rest.parse::<i8>().is_ok());
    let known = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    is_number && (exponent || known.contains(&suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_by_format() {
        for (format, good, bad) in [
            (Format::Bool, vec!["true", "F", "0"], vec!["yes", "", "tRUE"]),
            (Format::Interception, vec!["TPROXY"], vec!["tproxy", ""]),
            (Format::Interfaces, vec!["", "eth0,eth1"], vec!["a/b", "a-name-that-is-too-long"]),
            (Format::ListedNetworks, vec!["", "10.0.0.0/8,::/0"], vec!["*", "10.0.0.0", "10.0.0.0/33"]),
            (Format::ListedPorts, vec!["", " 80, 443"], vec!["*", "80,", "65536"]),
            (Format::Networks, vec!["*"], vec!["*,10.0.0.0/8"]),
            (Format::Number, vec!["0"], vec!["-1", "1.5"]),
            (Format::Port, vec!["15020"], vec!["", "http"]),
            (Format::Ports, vec!["*", "80"], vec!["*,80"]),
            (Format::ProxyConfig, vec!["", "concurrency: 2"], vec!["[", "2"]),
            (Format::Quantity, vec!["100m", "1.5Gi", "1e3", "2"], vec!["", "m", "1 Gi", "1g"]),
        ] {
            for value in good {
                assert_eq!(format.complaint(value), None, "{format:?} {value:?}");
            }
            for value in bad {
                assert!(format.complaint(value).is_some(), "{format:?} {value:?}");
            }
        }
    }
}
