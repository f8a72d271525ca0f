//! DestinationRule: subsets of a service and how they are called.

use std::time::Duration;

use crate::header::is_header_name;
use crate::problem::Located;
use crate::reader::{Fields, Reader};
use crate::selector::Labels;
use crate::visibility::{ExportTo, export_to};

/// A DestinationRule.
#[derive(Clone, Debug)]
pub struct DestinationRule {
    pub host: Located<String>,
    pub policy: TrafficPolicy,
    pub subsets: Vec<Subset>,
    pub export_to: ExportTo,
}

/// Endpoints with certain labels.
#[derive(Clone, Debug)]
pub struct Subset {
    pub name: String,
    pub labels: Labels,
    pub policy: TrafficPolicy,
}

/// How calls are made; what is `None` is as the next wider policy says.
#[derive(Clone, Debug, Default)]
pub struct TrafficPolicy {
    pub load_balancer: Option<LoadBalancer>,
    pub connection_pool: Option<ConnectionPool>,
    pub outlier_detection: Option<OutlierDetection>,
    pub tls: Option<ClientTls>,
    pub ports: Vec<PortPolicy>,
}

/// A policy for one port, which replaces the wider one whole.
#[derive(Clone, Debug)]
pub struct PortPolicy {
    pub port: u16,
    pub policy: TrafficPolicy,
}

/// `loadBalancer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadBalancer {
    LeastRequest,
    Random,
    RoundRobin,
    /// The connection's own destination.
    Passthrough,
    HashHeader(String),
    HashCookie {
        name: String,
        path: String,
        ttl: Duration,
    },
    HashSourceIp,
    HashQueryParameter(String),
}

/// `connectionPool`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionPool {
    pub max_connections: Option<u32>,
    pub connect_timeout: Option<Duration>,
    pub keepalive: Option<Duration>,
    pub max_pending_requests: Option<u32>,
    pub max_requests: Option<u32>,
    pub max_requests_per_connection: Option<u32>,
    pub max_retries: Option<u32>,
    pub idle_timeout: Option<Duration>,
    /// `h2UpgradePolicy: UPGRADE`.
    pub h2_upgrade: bool,
}

/// `outlierDetection`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutlierDetection {
    pub consecutive_5xx: Option<u32>,
    pub consecutive_gateway_errors: Option<u32>,
    pub consecutive_local_origin_failures: Option<u32>,
    pub split_external_local_origin_errors: bool,
    pub interval: Option<Duration>,
    pub base_ejection_time: Option<Duration>,
    pub max_ejection_percent: Option<u32>,
    pub min_health_percent: Option<u32>,
}

/// `tls` of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTls {
    pub mode: ClientTlsMode,
    pub sni: String,
    pub subject_alt_names: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientTlsMode {
    Disable,
    IstioMutual,
}

pub(crate) fn read(spec: Fields<'_>) -> Option<DestinationRule> {
    let host = spec.require("host").and_then(|host| host.located_text());
    let policy = spec.take("trafficPolicy").map(|policy| traffic_policy(&policy, Level::Whole)).unwrap_or_default();
    let mut subsets: Vec<Subset> = Vec::new();
    for reader in spec.list("subsets") {
        if let Some(subset) = subset(&reader, &subsets) {
            subsets.push(subset);
        }
    }
    let export_to = export_to(&spec);
    spec.not_supported(&["workloadSelector"]);
    spec.finish(&["host", "trafficPolicy", "subsets", "exportTo", "workloadSelector"]);
    Some(DestinationRule { host: host?, policy, subsets, export_to })
}

fn subset(reader: &Reader<'_>, before: &[Subset]) -> Option<Subset> {
    let fields = reader.fields()?;
    let name = fields.require("name")?;
    let text = name.text()?;
    if before.iter().any(|other| other.name == text) {
        name.report(format!("there is another subset {text}"), "names of subsets are unique in a rule");
    }
    let labels = Labels(fields.text_map("labels"));
    let policy = fields.take("trafficPolicy").map(|policy| traffic_policy(&policy, Level::Whole)).unwrap_or_default();
    fields.finish(&["name", "labels", "trafficPolicy"]);
    Some(Subset { name: text, labels, policy })
}

/// Port policies have no port policies inside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Whole,
    Port,
}

fn traffic_policy(reader: &Reader<'_>, level: Level) -> TrafficPolicy {
    let Some(fields) = reader.fields() else { return TrafficPolicy::default() };
    let policy = TrafficPolicy {
        load_balancer: fields.take("loadBalancer").and_then(|one| load_balancer(&one)),
        connection_pool: fields.take("connectionPool").and_then(|one| connection_pool(&one)),
        outlier_detection: fields.take("outlierDetection").and_then(|one| outlier_detection(&one)),
        tls: fields.take("tls").and_then(|one| client_tls(&one)),
        ports: match level {
            Level::Whole => fields.list("portLevelSettings").iter().filter_map(port_policy).collect(),
            Level::Port => Vec::new(),
        },
    };
    if level == Level::Port {
        fields.take("port");
    }
    fields.not_supported(&["tunnel", "proxyProtocol", "retryBudget"]);
    fields.finish(&["loadBalancer", "connectionPool", "outlierDetection", "tls", "portLevelSettings"]);
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

fn load_balancer(reader: &Reader<'_>) -> Option<LoadBalancer> {
    let fields = reader.fields()?;
    let words = [
        ("UNSPECIFIED", LoadBalancer::LeastRequest),
        ("LEAST_CONN", LoadBalancer::LeastRequest),
        ("LEAST_REQUEST", LoadBalancer::LeastRequest),
        ("RANDOM", LoadBalancer::Random),
        ("ROUND_ROBIN", LoadBalancer::RoundRobin),
        ("PASSTHROUGH", LoadBalancer::Passthrough),
    ];
    let indexed: Vec<(&str, usize)> = words.iter().enumerate().map(|(at, (word, _))| (*word, at)).collect();
    let simple = fields
        .take("simple")
        .and_then(|simple| simple.word(&indexed))
        .and_then(|at| words.get(at))
        .map(|(_, lb)| lb.clone());
    let hash = fields.take("consistentHash").and_then(|hash| consistent_hash(&hash));
    if simple.is_some() && hash.is_some() {
        fields.report("simple and consistentHash exclude each other", "");
    }
    fields.not_supported(&["localityLbSetting", "warmup", "warmupDurationSecs"]);
    fields.finish(&["simple", "consistentHash", "localityLbSetting", "warmup"]);
    hash.or(simple)
}

fn consistent_hash(reader: &Reader<'_>) -> Option<LoadBalancer> {
    let fields = reader.fields()?;
    let cookie = fields.fields("httpCookie").and_then(|cookie| {
        let read = LoadBalancer::HashCookie {
            name: cookie.require("name")?.text()?,
            path: cookie.text("path").unwrap_or_default(),
            ttl: cookie.duration("ttl").unwrap_or_default(),
        };
        cookie.finish(&["name", "path", "ttl"]);
        Some(read)
    });
    let source_ip = fields.take("useSourceIp").and_then(|flag| flag.flag()).filter(|flag| *flag);
    let chosen = cookie
        .or_else(|| hash_header(&fields).map(LoadBalancer::HashHeader))
        .or_else(|| fields.text("httpQueryParameterName").map(LoadBalancer::HashQueryParameter))
        .or_else(|| source_ip.map(|_| LoadBalancer::HashSourceIp));
    if chosen.is_none() {
        fields.report(
            "it does not say what is hashed",
            "one of httpHeaderName, httpCookie, httpQueryParameterName, useSourceIp",
        );
    }
    // The ring's size changes memory, not which endpoint a key finds here.
    fields.take("minimumRingSize");
    fields.take("ringHash");
    fields.take("maglev");
    fields.finish(&["httpHeaderName", "httpCookie", "httpQueryParameterName", "useSourceIp", "ringHash", "maglev"]);
    chosen
}

fn hash_header(fields: &Fields<'_>) -> Option<String> {
    let reader = fields.take("httpHeaderName")?;
    reader.text().filter(|name| is_header_name(&reader, name))
}

pub(crate) fn connection_pool(reader: &Reader<'_>) -> Option<ConnectionPool> {
    let fields = reader.fields()?;
    let mut pool = ConnectionPool::default();
    if let Some(tcp) = fields.fields("tcp") {
        pool.max_connections = tcp.count("maxConnections");
        pool.connect_timeout = tcp.duration("connectTimeout");
        if let Some(keepalive) = tcp.fields("tcpKeepalive") {
            pool.keepalive = keepalive.duration("time");
            keepalive.take("probes");
            keepalive.take("interval");
            keepalive.finish(&["time", "probes", "interval"]);
        }
        tcp.not_supported(&["maxConnectionDuration", "idleTimeout"]);
        tcp.finish(&["maxConnections", "connectTimeout", "tcpKeepalive"]);
    }
    if let Some(http) = fields.fields("http") {
        pool.max_pending_requests = http.count("http1MaxPendingRequests");
        pool.max_requests = http.count("http2MaxRequests");
        pool.max_requests_per_connection = http.count("maxRequestsPerConnection");
        pool.max_retries = http.count("maxRetries");
        pool.idle_timeout = http.duration("idleTimeout");
        let policy = http.take("h2UpgradePolicy");
        let words = [("DEFAULT", false), ("DO_NOT_UPGRADE", false), ("UPGRADE", true)];
        pool.h2_upgrade = policy.and_then(|policy| policy.word(&words)).unwrap_or(false);
        http.not_supported(&["useClientProtocol", "maxConcurrentStreams"]);
        http.finish(&[
            "http1MaxPendingRequests",
            "http2MaxRequests",
            "maxRequestsPerConnection",
            "maxRetries",
            "idleTimeout",
            "h2UpgradePolicy",
        ]);
    }
    fields.finish(&["tcp", "http"]);
    Some(pool)
}

fn outlier_detection(reader: &Reader<'_>) -> Option<OutlierDetection> {
    let fields = reader.fields()?;
    let percent = |name: &str| {
        let number = fields.take(name)?.number(0, 100)?;
        u32::try_from(number).ok()
    };
    let detection = OutlierDetection {
        consecutive_5xx: fields.count("consecutive5xxErrors").or_else(|| fields.count("consecutiveErrors")),
        consecutive_gateway_errors: fields.count("consecutiveGatewayErrors"),
        consecutive_local_origin_failures: fields.count("consecutiveLocalOriginFailures"),
        split_external_local_origin_errors: fields
            .take("splitExternalLocalOriginErrors")
            .and_then(|f| f.flag())
            .unwrap_or(false),
        interval: fields.duration("interval"),
        base_ejection_time: fields.duration("baseEjectionTime"),
        max_ejection_percent: percent("maxEjectionPercent"),
        min_health_percent: percent("minHealthPercent"),
    };
    fields.finish(&[
        "consecutive5xxErrors",
        "consecutiveGatewayErrors",
        "consecutiveLocalOriginFailures",
        "splitExternalLocalOriginErrors",
        "interval",
        "baseEjectionTime",
        "maxEjectionPercent",
        "minHealthPercent",
    ]);
    Some(detection)
}

fn client_tls(reader: &Reader<'_>) -> Option<ClientTls> {
    let fields = reader.fields()?;
    let mode = fields.require("mode")?;
    let words = [
        ("DISABLE", Some(ClientTlsMode::Disable)),
        ("ISTIO_MUTUAL", Some(ClientTlsMode::IstioMutual)),
        ("SIMPLE", None),
        ("MUTUAL", None),
    ];
    let chosen = mode.word(&words)?;
    if chosen.is_none() {
        mode.report("certificates from files and secrets are not supported yet", "use DISABLE or ISTIO_MUTUAL");
    }
    fields.not_supported(&[
        "clientCertificate",
        "privateKey",
        "caCertificates",
        "credentialName",
        "insecureSkipVerify",
        "caCrl",
    ]);
    let tls = ClientTls {
        mode: chosen?,
        sni: fields.text("sni").unwrap_or_default(),
        subject_alt_names: fields.texts("subjectAltNames").into_iter().map(|name| name.value).collect(),
    };
    fields.finish(&["mode", "sni", "subjectAltNames"]);
    Some(tls)
}
