//! VirtualService: how calls to a host are routed.

mod cors;
mod http;
pub(crate) mod l4;
mod matching;
mod response;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::problem::Located;
use crate::reader::{Fields, Reader};
use crate::selector::Labels;
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
    pub tls: Vec<TlsRoute>,
    pub tcp: Vec<TcpRoute>,
    pub export_to: ExportTo,
    pub semantics: RouteSemantics,
}

/// Whose rules routes follow where Istio and Gateway API differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RouteSemantics {
    #[default]
    Istio,
    /// Prefixes of paths are taken element by element, a missing destination is answered with 500, and of routes for
    /// one service those of the caller's own namespace come first.
    GatewayApi,
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
    pub direct_response: Option<(u16, Vec<u8>)>,
    pub rewrite: Option<Rewrite>,
    pub timeout: Option<Duration>,
    pub retries: Option<Retries>,
    pub fault: Option<Fault>,
    pub mirrors: Vec<Mirror>,
    pub headers: HeaderOperations,
    pub cors: Option<CorsPolicy>,
    /// Another VirtualService whose routes take this one's place.
    pub delegate: Option<Delegate>,
    /// The share of the requests that match, as parts of a whole; others go on to the next route. Of routes behind each
    /// other one random number decides for all. `None`: all.
    pub share: Option<(u64, u64)>,
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
    /// Names statistics of its own in Envoy.
    pub stat_prefix: String,
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
    /// The whole path; with a query it takes the place of the request's.
    pub uri: Option<String>,
    /// What takes the place of the matched prefix; before `uri`.
    pub prefix: Option<String>,
    pub authority: Option<String>,
    pub port: RedirectPort,
    pub scheme: Option<String>,
    pub code: u16,
}

/// The port that a redirect names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RedirectPort {
    /// The request's if neither host nor scheme change, else the protocol's own.
    #[default]
    Unsaid,
    Number(u16),
    /// The one that the request came to.
    FromRequest,
    FromProtocol,
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
#[derive(Clone, Debug, Default)]
pub struct Retries {
    pub attempts: u32,
    pub per_try_timeout: Option<Duration>,
    /// Envoy's conditions and status codes; `None`: Istio's default.
    pub retry_on: Option<String>,
    pub backoff: Option<Duration>,
    /// Endpoints that failed are tried again.
    pub again_at_previous_hosts: bool,
    /// Further localities are tried after nearer ones failed.
    pub remote_localities: bool,
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
    /// Any of these; empty matches everything.
    pub matches: Vec<L4Match>,
    pub route: Vec<WeightedDestination>,
}

/// A route of TLS connections that are not ended here.
#[derive(Clone, Debug)]
pub struct TlsRoute {
    /// Any of these.
    pub matches: Vec<TlsMatch>,
    pub route: Vec<WeightedDestination>,
}

/// Conditions on a TLS connection that must all hold.
#[derive(Clone, Debug)]
pub struct TlsMatch {
    /// Lower case: names and `*.` with the end of one.
    pub sni_hosts: Vec<Located<String>>,
    pub l4: L4Match,
}

/// Conditions on a connection that must all hold.
#[derive(Clone, Debug, Default)]
pub struct L4Match {
    /// Where it goes; empty: anywhere.
    pub destination_subnets: Vec<ipnet::IpNet>,
    pub port: Option<u16>,
    /// Of the calling workload.
    pub source_labels: Labels,
    pub source_namespace: Option<String>,
    /// Gateways for which this match counts; empty: those of the VirtualService.
    pub gateways: Vec<Located<String>>,
}

impl VirtualService {
    /// Every destination of its own routes.
    pub fn destinations(&self) -> impl Iterator<Item = &Destination> {
        let http = self.http.iter().flat_map(|one| {
            let mirrors = one.mirrors.iter().map(|mirror| &mirror.destination);
            one.route.iter().map(|to| &to.destination).chain(mirrors)
        });
        let tls = self.tls.iter().flat_map(|one| &one.route);
        let tcp = self.tcp.iter().flat_map(|one| &one.route);
        http.chain(tls.chain(tcp).map(|to| &to.destination))
    }
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
        tls: spec.list("tls").iter().filter_map(l4::tls_route).collect(),
        tcp: spec.list("tcp").iter().filter_map(l4::tcp_route).collect(),
        export_to: export_to(&spec),
        semantics: RouteSemantics::Istio,
    };
    let no_l4 = service.tcp.is_empty() && service.tls.is_empty();
    let delegated = service.gateways.is_empty() && no_l4 && !service.http.is_empty();
    if service.hosts.is_empty() && !delegated {
        spec.report(
            "hosts is missing",
            "only a VirtualService that others delegate to has no hosts, and it has http, and neither gateways nor tls nor tcp",
        );
    }
    if service.hosts.is_empty() && service.http.iter().any(|route| route.delegate.is_some()) {
        spec.report("a VirtualService that others delegate to cannot delegate itself", "");
    }
    let http = service.http.iter().map(|route| route.matches.len().max(1));
    let tls = service.tls.iter().map(|route| route.matches.len());
    let tcp = service.tcp.iter().map(|route| route.matches.len().max(1));
    let matches: usize = http.chain(tls).chain(tcp).sum();
    if matches > MOST_MATCHES {
        spec.report(
            format!("its routes have {matches} matches; at most {MOST_MATCHES} are taken"),
            "split it by host or delegate",
        );
    }
    if service.http.is_empty() && no_l4 {
        spec.report("it has no route", "add http, tls or tcp");
    }
    spec.finish(&["hosts", "gateways", "http", "tls", "tcp", "exportTo"]);
    Some(service)
}

/// The `route` of an HTTP route.
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

pub(crate) fn destination(reader: &Reader<'_>) -> Option<Destination> {
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
