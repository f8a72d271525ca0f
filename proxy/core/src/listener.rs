//! Listeners: where connections arrive, how their kind is found out, and which filter takes them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::cluster::SanMatch;
use crate::names::{ClusterName, ListenerName, RouteConfigName, SecretName};
use crate::route::{RouteTable, WeightedCluster};

/// One listener (Envoy `config.listener.v3.Listener`).
#[derive(Clone, Debug)]
pub struct Listener {
    pub name: ListenerName,
    pub address: SocketAddr,
    pub direction: Direction,
    /// Whether a socket is bound for it, or connections are handed to it by a virtual listener.
    pub binding: Binding,
    pub original_dst: OriginalDst,
    pub inspection: Inspection,
    /// Tried in order of specificity, see [`FilterChainMatch`].
    pub filter_chains: Vec<Arc<FilterChain>>,
    /// Taken when no filter chain matches; without it the connection is closed.
    pub default_filter_chain: Option<Arc<FilterChain>>,
}

/// What is done with the destination that a connection had before the kernel redirected it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginalDst {
    /// Nothing: the listener is called at its own address.
    Ignored,
    /// It takes the place of the local address (listener filter `envoy.filters.listener.original_dst`).
    Restored,
    /// That, and the listener of that address serves the connection, if there is one (`use_original_dst`).
    HandedOver,
}

/// Which side of the workload a listener serves (`traffic_direction`); gateways are outbound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    Inbound,
    Outbound,
}

/// `bind_to_port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    Socket,
    HandedOver,
}

/// What is looked at before a filter chain is chosen (listener filters).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// `tls_inspector`: is it TLS, with which server name and ALPN.
    pub tls: bool,
    /// `http_inspector`: is it HTTP/1 or HTTP/2.
    pub http: bool,
    /// How long to wait for the first bytes; after that the connection counts as opaque.
    pub timeout: Duration,
}

/// One filter chain: what it takes, how TLS ends there, and the network filter.
#[derive(Clone, Debug)]
pub struct FilterChain {
    pub name: Arc<str>,
    pub matches: FilterChainMatch,
    pub tls: Option<DownstreamTls>,
    pub filter: NetworkFilter,
}

/// Conditions that must all hold; Envoy's order of precedence is: destination port, destination
/// address (longest prefix), server name (exact before suffix), transport protocol, application protocol.
#[derive(Clone, Debug, Default)]
pub struct FilterChainMatch {
    pub destination_port: Option<u16>,
    pub prefix_ranges: Vec<IpNet>,
    pub server_names: Vec<ServerNameMatch>,
    pub transport: Option<TransportProtocol>,
    /// Any of these ALPN values, or `http/1.1`, `h2c` as the HTTP inspector finds them. Empty: any.
    pub application_protocols: Vec<Box<str>>,
}

/// What carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportProtocol {
    RawBuffer,
    Tls,
}

/// A server name in a filter chain match; lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerNameMatch {
    Exact(Box<str>),
    /// `*.example.com`, kept as `.example.com`.
    Suffix(Box<str>),
}

/// How TLS is ended for a connection (`DownstreamTlsContext`).
#[derive(Clone, Debug)]
pub struct DownstreamTls {
    /// Certificates shown to clients: the first that has the server name and that the client can verify. At least one.
    pub certificates: Vec<SecretName>,
    pub client: ClientCertificate,
    /// Offered protocols, most wanted first.
    pub alpn: Vec<Box<str>>,
    pub versions: TlsVersions,
    /// Cipher suites of TLS 1.2; empty: all that this proxy has.
    pub cipher_suites: Vec<CipherSuite>,
}

/// Which versions of TLS are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersions {
    #[default]
    Both,
    Only12,
    Only13,
}

/// A cipher suite of TLS 1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CipherSuite {
    EcdsaAes128,
    EcdsaAes256,
    EcdsaChacha20,
    RsaAes128,
    RsaAes256,
    RsaChacha20,
}

/// What is asked of the client.
#[derive(Clone, Debug)]
pub enum ClientCertificate {
    NotAsked,
    /// Checked if the client shows one.
    Optional(ClientTrust),
    /// Mutual TLS: a client without one is refused.
    Required(ClientTrust),
    /// Whatever the client shows is taken, also nothing, and means nothing (`ACCEPT_UNTRUSTED`).
    Untrusted,
}

/// What client certificates are checked against.
#[derive(Clone, Debug)]
pub struct ClientTrust {
    pub roots: SecretName,
    /// The certificate must have one of these names; empty: any.
    pub names: Vec<SanMatch>,
}

/// The network filter that ends a chain.
#[derive(Clone, Debug)]
pub enum NetworkFilter {
    Http(Arc<HttpConnectionManager>),
    Tcp(Arc<TcpProxy>),
}

/// Opaque bytes to a cluster (`TcpProxy`).
#[derive(Clone, Debug)]
pub struct TcpProxy {
    pub stat_prefix: Arc<str>,
    /// At least one.
    pub clusters: Vec<WeightedCluster>,
    /// No bytes in either direction for so long closes the connection; `None`: never.
    pub idle_timeout: Option<Duration>,
    pub access_log: Option<AccessLog>,
}

/// HTTP on a connection (`HttpConnectionManager`).
#[derive(Clone, Debug)]
pub struct HttpConnectionManager {
    pub stat_prefix: Arc<str>,
    pub routes: RouteSource,
    pub codec: Codec,
    pub forwarded_for: ForwardedFor,
    pub generate_request_id: bool,
    pub normalize_path: bool,
    pub merge_slashes: bool,
    /// Value of the `server` response header; `None` leaves the application's alone.
    pub server_name: Option<Arc<str>>,
    pub tracing: Option<Tracing>,
    pub access_log: Option<AccessLog>,
    pub upgrades: Upgrades,
    /// No progress on a stream for so long ends it (408 or reset); `None`: never.
    pub stream_idle_timeout: Option<Duration>,
    /// Idle keep-alive connections are closed after this.
    pub idle_timeout: Option<Duration>,
    /// The whole head must have arrived within this.
    pub request_headers_timeout: Option<Duration>,
    pub max_request_headers_kb: u32,
    pub max_concurrent_streams: u32,
    /// Refuse an HTTP/1.0 request (Envoy's default) or take it.
    pub accept_http_10: bool,
    /// The fault filter is in the chain: per-route faults apply only then.
    pub fault_filter: bool,
    /// The CORS filter is in the chain: per-route policies apply only then.
    pub cors_filter: bool,
}

/// Where an HTTP connection manager's routes come from.
#[derive(Clone, Debug)]
pub enum RouteSource {
    Inline(Arc<RouteTable>),
    Rds(RouteConfigName),
}

/// Which HTTP version is spoken (`codec_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Auto,
    Http1,
    Http2,
}

/// What is believed of `x-forwarded-for` (`use_remote_address`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedFor {
    /// An edge: the peer's address is appended and internal headers of clients are removed.
    UseRemoteAddress {
        /// Proxies in front of us whose entries in the header are believed (`xff_num_trusted_hops`).
        trusted_hops: u32,
        /// The client's request id is kept (`preserve_external_request_id`).
        keep_request_id: bool,
    },
    /// Inside the mesh: headers are passed on as they came.
    Trust,
}

/// Protocol upgrades that pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upgrades {
    pub websocket: bool,
    pub connect: bool,
}

/// Span reporting of an HTTP connection manager. Percentages 0..=100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tracing {
    /// Traces begun here without an incoming decision.
    pub random_sampling: f64,
    /// Incoming "sampled" decisions that are honoured.
    pub client_sampling: f64,
}

/// An access log to standard output (`FileAccessLog`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    Text,
    Json,
}

impl TcpProxy {
    /// The only cluster, if there is no split.
    pub fn single_cluster(&self) -> Option<&ClusterName> {
        match self.clusters.as_slice() {
            [only] => Some(&only.name),
            _ => None,
        }
    }
}
