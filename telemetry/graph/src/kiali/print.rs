//! Numbers as Kiali prints them: text with two decimals, or as many as the first digit that is not zero needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ProtocolTraffic, ResponseDetail};
use crate::element::{Edge, Node};
use crate::rates::{Protocol, Rates};

/// Most decimals of a small rate.
const MOST_DECIMALS: usize = 5;

/// `0.25` as `0.25`, `12.3456` as `12.35`, `0.004` as `0.004`.
pub fn rate_to_string(rate: f64) -> String {
    let mut decimals = 0;
    let mut scaled = rate;
    while scaled > 0.0 && scaled < 1.0 && decimals < MOST_DECIMALS {
        scaled *= 10.0;
        decimals += 1;
    }
    format!("{rate:.*}", decimals.max(2))
}

pub(super) fn node_traffic(node: &Node) -> Vec<ProtocolTraffic> {
    let none = Rates::default();
    let mut all = Vec::new();
    for protocol in Protocol::ALL {
        let inbound = node.inbound.get(&protocol).unwrap_or(&none);
        let outbound = node.outbound.get(&protocol).unwrap_or(&none);
        let named: &[(&'static str, f64)] = match protocol {
            Protocol::Grpc => &[
                ("grpcIn", inbound.total),
                ("grpcInErr", inbound.server_error),
                ("grpcInNoResponse", inbound.no_response),
                ("grpcOut", outbound.total),
            ],
            Protocol::Http => &[
                ("httpIn", inbound.total),
                ("httpIn3xx", inbound.redirect),
                ("httpIn4xx", inbound.client_error),
                ("httpIn5xx", inbound.server_error),
                ("httpInNoResponse", inbound.no_response),
                ("httpOut", outbound.total),
            ],
            Protocol::Tcp => &[("tcpIn", inbound.total), ("tcpOut", outbound.total)],
        };
        let rates = print(named);
        if !rates.is_empty() {
            all.push(ProtocolTraffic { protocol: protocol.name(), rates, responses: BTreeMap::new() });
        }
    }
    all
}

pub(super) fn edge_traffic(edge: &Edge, from: &Node) -> ProtocolTraffic {
    let (protocol, rates) = (edge.protocol, &edge.rates);
    let mut traffic = ProtocolTraffic { protocol: protocol.name(), ..ProtocolTraffic::default() };
    if rates.total <= 0.0 {
        return traffic;
    }
    let (named, percent_error, percent_requests): (&[(&'static str, f64)], _, _) = match protocol {
        Protocol::Grpc => (
            &[("grpc", rates.total), ("grpcErr", rates.server_error), ("grpcNoResponse", rates.no_response)],
            "grpcPercentErr",
            "grpcPercentReq",
        ),
        Protocol::Http => (
            &[
                ("http", rates.total),
                ("http3xx", rates.redirect),
                ("http4xx", rates.client_error),
                ("http5xx", rates.server_error),
                ("httpNoResponse", rates.no_response),
            ],
            "httpPercentErr",
            "httpPercentReq",
        ),
        Protocol::Tcp => (&[("tcp", rates.total)], "", ""),
    };
    traffic.rates = print(named);
    if !percent_error.is_empty() {
        let sent = from.outbound.get(&protocol).map_or(0.0, |sent| sent.total);
        for (name, percent) in
            [(percent_error, rates.errors() / rates.total * 100.0), (percent_requests, rates.total / sent * 100.0)]
        {
            if percent > 0.0 && percent.is_finite() {
                traffic.rates.insert(name, format!("{percent:.1}"));
            }
        }
    }
    traffic.responses = rates
        .codes
        .iter()
        .map(|(code, responses)| {
            (
                code.clone(),
                ResponseDetail {
                    flags: shares(&responses.flags, rates.total),
                    hosts: shares(&responses.hosts, rates.total),
                },
            )
        })
        .collect();
    traffic
}

fn print(named: &[(&'static str, f64)]) -> BTreeMap<&'static str, String> {
    named.iter().filter(|(_, rate)| *rate > 0.0).map(|(name, rate)| (*name, rate_to_string(*rate))).collect()
}

fn shares(parts: &BTreeMap<Arc<str>, f64>, total: f64) -> BTreeMap<Arc<str>, String> {
    parts.iter().map(|(name, part)| (name.clone(), format!("{:.1}", part / total * 100.0))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals() {
        for (rate, expected) in [
            (10.0, "10.00"),
            (12.3456, "12.35"),
            (0.25, "0.25"),
            (0.004, "0.004"),
            (0.0123, "0.01"),
            (0.0000001, "0.00000"),
        ] {
            assert_eq!(rate_to_string(rate), expected);
        }
    }
}
