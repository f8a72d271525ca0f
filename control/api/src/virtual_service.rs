//! VirtualService: how calls to a host are routed.

mod cors;
pub(crate) mod http;
mod matching;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::problem::Located;
use crate::reader::{Fields, Reader};
use crate::visibility::{ExportTo, export_to};

/// Matches of all routes together. Each becomes a route in the table of every proxy that the VirtualService holds for.
const MOST_MATCHES: usize = 5_000;
/// Bytes of a compiled expression: half of what proxies take, as they compile it with anchors around it.
const REGEX_SIZE: usize = 1 << 19;

/// A VirtualService.
#[derive(Clone, Debug)]
pub struct VirtualService {
    /// Empty: other VirtualServices delegate to this one.
    pub hosts: Vec<Located<String>>,
    /// Empty: the mesh, that is all sidecars.
    pub gateways: Vec<Located<String>>,
    /// In order: the first that matches is taken.
    pub http: Vec<HttpRoute>,
    pub tcp: Vec<TcpRoute>,
    pub export_to: ExportTo,
}

/// One HTTP route.
#[derive(Clone, Debug, Default)]
pub struct HttpRoute {
    pub name: String,
    /// Any of these; empty matches everything.
    pub matches: Vec<HttpMatch>,
    pub route: Vec<WeightedDestination>,
    pub redirect: Option<Redirect>,
    /// Status and body.
    pub direct_response: Option<(u16, String)>,
    pub rewrite: Option<Rewrite>,
    pub timeout: Option<Duration>,
    pub retries: Option<Retries>,
    pub fault: Option<Fault>,
    pub mirrors: Vec<Mirror>,
    pub headers: HeaderOperations,
    pub cors: Option<CorsPolicy>,
    /// Another VirtualService whose routes take this one's place.
    pub delegate: Option<Delegate>,
}

/// A VirtualService without hosts that has the rest of a route.
#[derive(Clone, Debug)]
pub struct Delegate {
    pub name: Located<String>,
    /// That of the delegating one if it is absent.
    pub namespace: Option<String>,
}

/// Which pages of other origins may call, as browsers ask (Fetch standard, CORS protocol).
#[derive(Clone, Debug, Default)]
pub struct CorsPolicy {
    pub allow_origins: Vec<StringMatch>,
    pub allow_methods: Vec<String>,
    pub allow_headers: Vec<String>,
    pub expose_headers: Vec<String>,
    pub max_age: Option<Duration>,
    pub allow_credentials: bool,
    /// Preflight requests of other origins go to the service, which may know better.
    pub forward_unmatched: bool,
}

/// Conditions that must all hold.
#[derive(Clone, Debug, Default)]
pub struct HttpMatch {
    pub name: String,
    pub uri: Option<StringMatch>,
    pub ignore_uri_case: bool,
    pub scheme: Option<StringMatch>,
    pub method: Option<StringMatch>,
    pub authority: Option<StringMatch>,
    /// `None`: the header must be there.
    pub headers: BTreeMap<String, Option<StringMatch>>,
    pub without_headers: BTreeMap<String, Option<StringMatch>>,
    pub query_params: BTreeMap<String, Option<StringMatch>>,
    pub port: Option<u16>,
    /// Of the calling workload.
    pub source_labels: BTreeMap<String, String>,
    pub source_namespace: Option<String>,
    /// Gateways for which this match counts; empty: those of the VirtualService.
    pub gateways: Vec<Located<String>>,
}

/// A condition on text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StringMatch {
    Exact(String),
    Prefix(String),
    /// Of the whole text.
    Regex(String),
}

/// Where calls go.
#[derive(Clone, Debug)]
pub struct Destination {
    pub host: Located<String>,
    pub subset: Option<Located<String>>,
    pub port: Option<u16>,
}

/// A share of calls.
#[derive(Clone, Debug)]
pub struct WeightedDestination {
    pub destination: Destination,
    pub weight: u32,
    pub headers: HeaderOperations,
}

/// A copy of calls.
#[derive(Clone, Debug)]
pub struct Mirror {
    pub destination: Destination,
    /// 0 to 100.
    pub percent: f64,
}

/// An answer that sends the caller elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Redirect {
    pub uri: Option<String>,
    pub authority: Option<String>,
    pub port: Option<u16>,
    pub scheme: Option<String>,
    pub code: u16,
}

/// What is changed on the way.
#[derive(Clone, Debug, Default)]
pub struct Rewrite {
    pub uri: Option<String>,
    pub authority: Option<String>,
    /// Expression and its substitution, as RE2 has them.
    pub uri_regex: Option<(String, String)>,
}

/// When and how often a call is tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retries {
    pub attempts: u32,
    pub per_try_timeout: Option<Duration>,
    /// Envoy's conditions and status codes; `None`: Istio's default.
    pub retry_on: Option<String>,
    pub backoff: Option<Duration>,
}

/// Injected faults.
#[derive(Clone, Debug, Default)]
pub struct Fault {
    pub delay: Option<FixedDelay>,
    pub abort: Option<Abort>,
}

#[derive(Clone, Debug)]
pub struct FixedDelay {
    pub duration: Duration,
    /// 0 to 100.
    pub percent: f64,
}

#[derive(Clone, Debug)]
pub enum Abort {
    Http { status: u16, percent: f64 },
    Grpc { status: u32, percent: f64 },
}

/// Header changes for requests and answers.
#[derive(Clone, Debug, Default)]
pub struct HeaderOperations {
    pub request_set: BTreeMap<String, String>,
    pub request_add: BTreeMap<String, String>,
    pub request_remove: Vec<String>,
    pub response_set: BTreeMap<String, String>,
    pub response_add: BTreeMap<String, String>,
    pub response_remove: Vec<String>,
}

/// A route of opaque connections.
#[derive(Clone, Debug)]
pub struct TcpRoute {
    /// Ports of the service; empty: all.
    pub ports: Vec<u16>,
    pub route: Vec<WeightedDestination>,
}

impl HeaderOperations {
    /// Nothing is changed.
    pub fn is_empty(&self) -> bool {
        let Self { request_set, request_add, request_remove, response_set, response_add, response_remove } = self;
        [request_set, request_add, response_set, response_add].iter().all(|map| map.is_empty())
            && request_remove.is_empty()
            && response_remove.is_empty()
    }
}

pub(crate) fn read(spec: Fields<'_>) -> Option<VirtualService> {
    let service = VirtualService {
        hosts: spec.texts("hosts"),
        gateways: spec.texts("gateways"),
        http: spec.list("http").iter().filter_map(http::route).collect(),
        tcp: spec.list("tcp").iter().filter_map(tcp_route).collect(),
        export_to: export_to(&spec),
    };
    let delegated = service.gateways.is_empty() && service.tcp.is_empty() && !service.http.is_empty();
    if service.hosts.is_empty() && !delegated {
        spec.report(
            "hosts is missing",
            "only a VirtualService that others delegate to has no hosts, and it has http, and neither gateways nor tcp",
        );
    }
    if service.hosts.is_empty() && service.http.iter().any(|route| route.delegate.is_some()) {
        spec.report("a VirtualService that others delegate to cannot delegate itself", "");
    }
    let matches: usize = service.http.iter().map(|route| route.matches.len().max(1)).sum();
    if matches > MOST_MATCHES {
        spec.report(
            format!("http has {matches} matches; at most {MOST_MATCHES} are taken"),
            "split it by host or delegate",
        );
    }
    spec.not_supported(&["tls"]);
    spec.finish(&["hosts", "gateways", "http", "tcp", "exportTo"]);
    Some(service)
}

fn tcp_route(reader: &Reader<'_>) -> Option<TcpRoute> {
    let fields = reader.fields()?;
    let mut ports = Vec::new();
    for one in fields.list("match") {
        let Some(one) = one.fields() else { continue };
        ports.extend(one.port("port"));
        one.not_supported(&["destinationSubnets", "sourceLabels", "gateways", "sourceNamespace", "sourceSubnet"]);
        one.finish(&["port"]);
    }
    let route = weighted(&fields);
    fields.finish(&["match", "route"]);
    Some(TcpRoute { ports, route })
}

/// The `route` of an HTTP or TCP route.
fn weighted(fields: &Fields<'_>) -> Vec<WeightedDestination> {
    let list = fields.list("route");
    if list.is_empty() && fields.has("route") {
        fields.report("route is empty: there is no destination", "");
    }
    let alone = list.len() == 1;
    let route: Vec<WeightedDestination> =
        list.iter().filter_map(|reader| weighted_destination(reader, alone)).collect();
    let sum: u64 = route.iter().map(|one| u64::from(one.weight)).sum();
    if sum > u64::from(u32::MAX) {
        fields.report(format!("the weights of route are {sum} together; at most {} is taken", u32::MAX), "");
    }
    route
}

fn weighted_destination(reader: &Reader<'_>, alone: bool) -> Option<WeightedDestination> {
    let fields = reader.fields()?;
    let destination = fields.require("destination").and_then(|one| destination(&one));
    let weight = fields.take("weight").and_then(|weight| weight.number(0, 1_000_000));
    let headers = fields.take("headers").map(|one| http::header_operations(&one)).unwrap_or_default();
    fields.finish(&["destination", "weight", "headers"]);
    let weight = match weight {
        // Without a weight the only destination gets everything, and one of several nothing.
        None => u32::from(alone),
        Some(weight) => u32::try_from(weight).ok()?,
    };
    Some(WeightedDestination { destination: destination?, weight: if alone { weight.max(1) } else { weight }, headers })
}

fn destination(reader: &Reader<'_>) -> Option<Destination> {
    let fields = reader.fields()?;
    let host = fields.require("host").and_then(|host| host.located_text());
    let subset =
        fields.take("subset").and_then(|subset| subset.located_text()).filter(|subset| !subset.value.is_empty());
    let port = fields.fields("port").and_then(|port| {
        let number = port.require("number").and_then(|number| number.number(1, 65_535));
        port.finish(&["number"]);
        u16::try_from(number?).ok()
    });
    fields.finish(&["host", "subset", "port"]);
    Some(Destination { host: host?, subset, port })
}

/// Reads `0..=100` from `percentage.value`; absent means all.
fn percentage(fields: &Fields<'_>, name: &str) -> Option<f64> {
    let percentage = fields.fields(name)?;
    let value = percentage.take("value").and_then(|value| value.decimal(0.0, 100.0));
    percentage.finish(&["value"]);
    Some(value.unwrap_or(0.0))
}

/// Reports what is wrong with an expression that proxies could not compile.
pub(crate) fn is_regex(reader: &Reader<'_>, text: &str) -> bool {
    match regex::RegexBuilder::new(text).size_limit(REGEX_SIZE).build() {
        Ok(_) => true,
        Err(error) => {
            // The last line of the library's message says what is wrong; the lines before draw a picture.
            let why = error.to_string();
            let why = why.lines().last().unwrap_or_default().trim();
            reader.report(format!("{text:?} is no regular expression: {why}"), "");
            false
        }
    }
}
