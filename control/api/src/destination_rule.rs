//! DestinationRule: subsets of a service and how they are called.

pub(crate) mod connection_pool;
mod load_balancer;
pub(crate) mod outlier;
mod tls;

use std::time::Duration;

pub(crate) use connection_pool::keepalive;
pub use connection_pool::{ConnectionPool, H2Upgrade, Keepalive, TcpKeepalive};
pub(crate) use load_balancer::locality;
pub use load_balancer::{
    Algorithm, ConsistentHash, Distribute, Failover, HashCookie, HashKey, HashTable, LoadBalancer, Locality, Warmup,
};
pub use outlier::OutlierDetection;
pub use tls::{ClientTls, ClientTlsMode};

use crate::problem::Located;
use crate::reader::{Fields, Reader};
use crate::selector::Labels;
use crate::visibility::{ExportTo, export_to};

/// A DestinationRule.
#[derive(Clone, Debug)]
pub struct DestinationRule {
    pub host: Located<String>,
    pub policy: Option<TrafficPolicy>,
    pub subsets: Vec<Subset>,
    pub export_to: ExportTo,
    /// The clients that it is for, of its own namespace; `None`: all.
    pub workload_selector: Option<Labels>,
}

/// Endpoints with certain labels.
#[derive(Clone, Debug)]
pub struct Subset {
    pub name: String,
    pub labels: Labels,
    pub policy: Option<TrafficPolicy>,
}

/// How calls are made; what is `None` is as the next wider policy says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrafficPolicy {
    pub load_balancer: Option<LoadBalancer>,
    pub connection_pool: Option<ConnectionPool>,
    pub outlier_detection: Option<OutlierDetection>,
    pub tls: Option<ClientTls>,
    pub tunnel: Option<Tunnel>,
    pub proxy_protocol: Option<ProxyProtocol>,
    pub retry_budget: Option<RetryBudget>,
    pub ports: Vec<PortPolicy>,
}

/// A policy for one port, which replaces the wider one whole.
#[derive(Clone, Debug, PartialEq)]
pub struct PortPolicy {
    pub port: u16,
    pub policy: TrafficPolicy,
}

/// `tunnel`: TCP connections are carried in requests of a proxy at the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    pub method: TunnelMethod,
    pub host: String,
    pub port: u16,
}

/// The request that asks for a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelMethod {
    Connect,
    Post,
}

/// Which version of the PROXY protocol begins a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    V1,
    V2,
}

/// How many retries may be under way, measured by the requests that are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryBudget {
    /// Of the requests under way.
    pub percent: f64,
    /// So many are always allowed.
    pub min_concurrency: u32,
    /// Requests of the last so long count too.
    pub interval: Option<Duration>,
}

pub(crate) fn read(spec: Fields<'_>) -> Option<DestinationRule> {
    let host = spec.require("host").and_then(|host| host.located_text());
    let policy = spec.take("trafficPolicy").map(|policy| traffic_policy(&policy, Level::Whole));
    let mut subsets: Vec<Subset> = Vec::new();
    for reader in spec.list("subsets") {
        if let Some(subset) = subset(&reader, &subsets) {
            subsets.push(subset);
        }
    }
    let export_to = export_to(&spec);
    let workload_selector = spec.fields("workloadSelector").map(|selector| {
        let labels = Labels(selector.text_map("matchLabels"));
        selector.finish(&["matchLabels"]);
        labels
    });
    spec.finish(&["host", "trafficPolicy", "subsets", "exportTo", "workloadSelector"]);
    Some(DestinationRule { host: host?, policy, subsets, export_to, workload_selector })
}

fn subset(reader: &Reader<'_>, before: &[Subset]) -> Option<Subset> {
    let fields = reader.fields()?;
    let name = fields.require("name")?;
    let text = name.text()?;
    if before.iter().any(|other| other.name == text) {
        name.report(format!("there is another subset {text}"), "names of subsets are unique in a rule");
    }
    let labels = Labels(fields.text_map("labels"));
    let policy = fields.take("trafficPolicy").map(|policy| traffic_policy(&policy, Level::Whole));
    fields.finish(&["name", "labels", "trafficPolicy"]);
    Some(Subset { name: text, labels, policy })
}

/// Port policies have fewer fields.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Whole,
    Port,
}

fn traffic_policy(reader: &Reader<'_>, level: Level) -> TrafficPolicy {
    let Some(fields) = reader.fields() else { return TrafficPolicy::default() };
    let mut policy = TrafficPolicy {
        load_balancer: fields.take("loadBalancer").and_then(|one| load_balancer::read(&one)),
        connection_pool: fields.take("connectionPool").and_then(|one| connection_pool::read(&one)),
        outlier_detection: fields.take("outlierDetection").and_then(|one| outlier::read(&one)),
        tls: fields.take("tls").and_then(|one| tls::read(&one)),
        ..TrafficPolicy::default()
    };
    match level {
        Level::Whole => {
            policy.tunnel = fields.take("tunnel").and_then(|one| tunnel(&one));
            policy.proxy_protocol = fields.take("proxyProtocol").and_then(|one| proxy_protocol(&one));
            policy.retry_budget = fields.take("retryBudget").and_then(|one| retry_budget(&one));
            policy.ports = fields.list("portLevelSettings").iter().filter_map(port_policy).collect();
            fields.finish(&[
                "loadBalancer",
                "connectionPool",
                "outlierDetection",
                "tls",
                "portLevelSettings",
                "tunnel",
                "proxyProtocol",
                "retryBudget",
            ]);
        }
        Level::Port => {
            fields.take("port");
            fields.finish(&["port", "loadBalancer", "connectionPool", "outlierDetection", "tls"]);
        }
    }
    policy
}

fn port_policy(reader: &Reader<'_>) -> Option<PortPolicy> {
    let fields = reader.fields()?;
    let port = fields.require("port")?.fields()?;
    let number = port.require("number").and_then(|number| number.number(1, 65_535));
    port.finish(&["number"]);
    let policy = traffic_policy(reader, Level::Port);
    Some(PortPolicy { port: u16::try_from(number?).ok()?, policy })
}

fn tunnel(reader: &Reader<'_>) -> Option<Tunnel> {
    let fields = reader.fields()?;
    let words = [("CONNECT", TunnelMethod::Connect), ("POST", TunnelMethod::Post)];
    let tunnel = Tunnel {
        method: fields.take("protocol").and_then(|one| one.word(&words)).unwrap_or(TunnelMethod::Connect),
        host: fields.require("targetHost")?.text()?,
        port: fields.require("targetPort").and_then(|_| fields.port("targetPort"))?,
    };
    fields.finish(&["protocol", "targetHost", "targetPort"]);
    Some(tunnel)
}

fn proxy_protocol(reader: &Reader<'_>) -> Option<ProxyProtocol> {
    let fields = reader.fields()?;
    let words = [("V1", ProxyProtocol::V1), ("V2", ProxyProtocol::V2)];
    let version = fields.take("version").map_or(Some(ProxyProtocol::V1), |version| version.word(&words));
    fields.finish(&["version"]);
    version
}

fn retry_budget(reader: &Reader<'_>) -> Option<RetryBudget> {
    let fields = reader.fields()?;
    let budget = RetryBudget {
        percent: fields.take("percent").and_then(|percent| percent.decimal(0.0, 100.0)).unwrap_or(20.0),
        min_concurrency: fields.count("minRetryConcurrency").filter(|least| *least > 0).unwrap_or(3),
        interval: fields.duration("budgetInterval").filter(|interval| !interval.is_zero()),
    };
    fields.finish(&["percent", "minRetryConcurrency", "budgetInterval"]);
    Some(budget)
}
