//! Route configuration: virtual hosts, routes and what they do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use regex::Regex;

use crate::cors::CorsPolicy;
use crate::fault::{Fault, Fraction};
use crate::matching::{HeaderMatch, QueryMatch};
use crate::names::{ClusterName, RouteConfigName};
use crate::retry::RetryPolicy;

/// One route configuration (Envoy `RouteConfiguration`), indexed by host.
#[derive(Clone, Debug)]
pub struct RouteTable {
    pub name: RouteConfigName,
    pub virtual_hosts: Vec<Arc<VirtualHost>>,
    pub domains: DomainIndex,
    /// `ignore_port_in_host_matching`.
    pub ignore_port: bool,
    pub header_ops: HeaderOps,
}

/// Domain to position in `virtual_hosts`. Keys are lower case.
#[derive(Clone, Debug, Default)]
pub struct DomainIndex {
    pub exact: HashMap<Box<str>, usize>,
    /// `*.example.com` kept as `.example.com`, longest first.
    pub suffix: Vec<(Box<str>, usize)>,
    /// `example.*` kept as `example.`, longest first.
    pub prefix: Vec<(Box<str>, usize)>,
    /// `*`.
    pub any: Option<usize>,
}

/// Routes of a set of hosts (Envoy `VirtualHost`).
#[derive(Clone, Debug)]
pub struct VirtualHost {
    pub name: Arc<str>,
    pub domains: Vec<Box<str>>,
    /// First match wins.
    pub routes: Vec<Arc<Route>>,
    /// `include_request_attempt_count`: tell the upstream `x-envoy-attempt-count`.
    pub include_attempt_count: bool,
    pub header_ops: HeaderOps,
}

/// One route.
#[derive(Clone, Debug)]
pub struct Route {
    pub name: Arc<str>,
    pub matches: RouteMatch,
    pub action: RouteAction,
    pub header_ops: HeaderOps,
    pub fault: Option<Fault>,
    pub cors: Option<Arc<CorsPolicy>>,
    /// The configuration object that made it (`filter_metadata.istio.config`), for explanations.
    pub origin: Option<Arc<str>>,
    /// Span name (`decorator.operation`).
    pub operation: Option<Arc<str>>,
}

/// What a request must look like.
#[derive(Clone, Debug)]
pub struct RouteMatch {
    pub path: PathMatch,
    pub headers: Vec<HeaderMatch>,
    pub query: Vec<QueryMatch>,
    /// `runtime_fraction`: the share of matching requests that this route takes.
    pub share: Option<Fraction>,
    /// `grpc`: only gRPC requests.
    pub grpc_only: bool,
}

/// Condition on the path, without query.
#[derive(Clone, Debug)]
pub enum PathMatch {
    Prefix {
        value: Box<str>,
        case_sensitive: bool,
    },
    Exact {
        value: Box<str>,
        case_sensitive: bool,
    },
    /// `path_separated_prefix`: `/a` takes `/a` and `/a/b`, not `/ab`.
    SeparatedPrefix {
        value: Box<str>,
        case_sensitive: bool,
    },
    Regex(Regex),
    /// `connect_matcher`: CONNECT requests.
    Connect,
}

/// What happens to a matching request.
#[derive(Clone, Debug)]
pub enum RouteAction {
    Forward(Box<Forward>),
    Redirect(Redirect),
    DirectResponse {
        status: StatusCode,
        body: Bytes,
    },
    /// An inbound route, or one without any action: 404 with flag NR.
    None,
}

/// Send to an upstream.
#[derive(Clone, Debug)]
pub struct Forward {
    /// At least one; weights are relative to their sum.
    pub clusters: Vec<WeightedCluster>,
    /// Of the whole exchange, all tries included; `None`: no limit.
    pub timeout: Option<Duration>,
    pub idle_timeout: Option<Duration>,
    pub retry: Option<RetryPolicy>,
    pub path_rewrite: Option<PathRewrite>,
    pub host_rewrite: Option<HostRewrite>,
    pub mirrors: Vec<Mirror>,
    pub hash: Vec<HashInput>,
    /// Status when the cluster does not exist (`cluster_not_found_response_code`).
    pub cluster_not_found: StatusCode,
}

/// One destination of a split.
#[derive(Clone, Debug)]
pub struct WeightedCluster {
    pub name: ClusterName,
    pub weight: u32,
    pub header_ops: HeaderOps,
    /// Unless the route rewrites the host itself.
    pub host_rewrite: Option<HeaderValue>,
}

impl WeightedCluster {
    /// A destination that changes nothing.
    pub fn plain(name: ClusterName, weight: u32) -> Self {
        Self { name, weight, header_ops: HeaderOps::default(), host_rewrite: None }
    }
}

/// How the path changes on its way.
#[derive(Clone, Debug)]
pub enum PathRewrite {
    /// The matched prefix (or the whole exact path) is replaced.
    Prefix(Box<str>),
    Full(Box<str>),
    /// `regex_rewrite`: RE2 substitution already turned into the `regex` crate's.
    Regex {
        pattern: Regex,
        substitution: Box<str>,
    },
}

/// How the host changes on its way.
#[derive(Clone, Debug)]
pub enum HostRewrite {
    Literal(HeaderValue),
    /// `auto_host_rewrite`: the endpoint's host name.
    Endpoint,
}

/// A copy of the request whose answer is thrown away.
#[derive(Clone, Debug)]
pub struct Mirror {
    pub cluster: ClusterName,
    pub share: Fraction,
}

/// What consistent hashing looks at; the first that is there counts.
#[derive(Clone, Debug)]
pub enum HashInput {
    Header(HeaderName),
    Cookie { name: Box<str>, ttl: Option<Duration>, path: Box<str> },
    QueryParameter(Box<str>),
    SourceIp,
}

/// An answer that sends the client elsewhere.
#[derive(Clone, Debug)]
pub struct Redirect {
    pub scheme: Option<Box<str>>,
    pub host: Option<Box<str>>,
    pub port: Option<u16>,
    pub path: Option<PathRewrite>,
    pub status: StatusCode,
    pub strip_query: bool,
}

/// Header changes at one level (route configuration, virtual host, route, cluster).
#[derive(Clone, Debug, Default)]
pub struct HeaderOps {
    pub request: Vec<HeaderOp>,
    pub response: Vec<HeaderOp>,
}

/// One header change. Removals are applied before additions.
#[derive(Clone, Debug)]
pub enum HeaderOp {
    Remove(HeaderName),
    /// `OVERWRITE_IF_EXISTS_OR_ADD`. `host` and `:authority` change the authority.
    Set(HeaderName, HeaderValue),
    /// `APPEND_IF_EXISTS_OR_ADD`.
    Append(HeaderName, HeaderValue),
    /// `ADD_IF_ABSENT`.
    Default(HeaderName, HeaderValue),
}

impl HeaderOps {
    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        self.request.is_empty() && self.response.is_empty()
    }
}
