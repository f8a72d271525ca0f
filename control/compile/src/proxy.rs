//! Who a proxy is, read from the node that it presents.

use std::collections::BTreeMap;
use std::net::IpAddr;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::google::protobuf::Struct;
use envoy_types::pb::google::protobuf::value::Kind;
use orrery_api::Labels;
use thiserror::Error;

/// A proxy, as compilation sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    pub id: String,
    pub kind: ProxyKind,
    pub address: IpAddr,
    pub namespace: String,
    pub service_account: String,
    pub workload: String,
    pub labels: Labels,
    pub cluster_id: String,
    pub interception: Interception,
    /// Where the application listens when nothing is redirected.
    pub app_address: Option<IpAddr>,
    pub secrets: Secrets,
    pub proof: Proof,
}

/// Whether the proxy is who it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Nobody asked it to prove that: it gets no private keys.
    Claimed,
    /// It showed a certificate or token of its namespace and service account.
    Proved,
}

/// What decides how a proxy sees the mesh: proxies that are alike in all of it share what leads to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Audience {
    pub(crate) kind: ProxyKind,
    pub(crate) namespace: String,
    /// Only those that some object asks for.
    pub(crate) labels: Labels,
    pub(crate) interception: Interception,
    pub(crate) secrets: Secrets,
}

/// Where a proxy finds its certificate and the mesh's roots.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Secrets {
    /// By name on the stream that brings everything else; our own proxy has them by itself.
    Stream,
    /// In files of this directory, one for each name, which Envoy reads and watches.
    Directory(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    Sidecar,
    /// A gateway.
    Router,
}

/// How traffic gets to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interception {
    None,
    Redirect,
}

/// Why a node cannot be served.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProxyError {
    #[error("the node id {0:?} is not of the form sidecar~<ip>~<pod>.<namespace>~<namespace>.svc.<domain>")]
    Id(String),
    #[error("the node id's kind {0:?} is neither sidecar nor router")]
    Kind(String),
    #[error("the node id's address {0:?} is no IP address")]
    Address(String),
    #[error("INTERCEPTION_MODE {0:?} is neither NONE nor REDIRECT")]
    Interception(String),
}

impl Proxy {
    /// What the proxy has in common with others; of its labels those for which `selects` holds.
    pub(crate) fn audience(&self, selects: impl Fn(&str, &str) -> bool) -> Audience {
        let labels = self.labels.0.iter().filter(|(key, value)| selects(key, value));
        Audience {
            kind: self.kind,
            namespace: self.namespace.clone(),
            labels: Labels(labels.map(|(key, value)| (key.clone(), value.clone())).collect()),
            interception: self.interception,
            secrets: self.secrets.clone(),
        }
    }

    /// Reads a node; that it is who it says is for the caller to know.
    ///
    /// # Errors
    /// When its id or interception mode is not understood.
    pub fn from_node(node: &Node) -> Result<Self, ProxyError> {
        let parts: Vec<&str> = node.id.split('~').collect();
        let [kind, address, name, domain] = parts.as_slice() else { return Err(ProxyError::Id(node.id.clone())) };
        let kind = match *kind {
            "sidecar" => ProxyKind::Sidecar,
            "router" => ProxyKind::Router,
            other => return Err(ProxyError::Kind(other.to_owned())),
        };
        let address = address.parse().map_err(|_| ProxyError::Address((*address).to_owned()))?;
        let empty = Struct::default();
        let metadata = node.metadata.as_ref().unwrap_or(&empty);
        let interception = match text(metadata, "INTERCEPTION_MODE").unwrap_or("REDIRECT") {
            "NONE" => Interception::None,
            "REDIRECT" | "TPROXY" | "" => Interception::Redirect,
            other => return Err(ProxyError::Interception(other.to_owned())),
        };
        let in_domain = domain.split('.').next().unwrap_or_default();
        Ok(Self {
            id: node.id.clone(),
            kind,
            address,
            namespace: text(metadata, "NAMESPACE").unwrap_or(in_domain).to_owned(),
            service_account: text(metadata, "SERVICE_ACCOUNT").unwrap_or("default").to_owned(),
            workload: text(metadata, "WORKLOAD_NAME").unwrap_or(name).to_owned(),
            labels: Labels(labels(metadata)),
            cluster_id: text(metadata, "CLUSTER_ID").unwrap_or_default().to_owned(),
            interception,
            app_address: text(metadata, "APP_ADDRESS").and_then(|address| address.parse().ok()),
            proof: Proof::Claimed,
            secrets: text(metadata, "SDS_DIR").map_or(Secrets::Stream, |dir| Secrets::Directory(dir.to_owned())),
        })
    }
}

fn text<'a>(metadata: &'a Struct, key: &str) -> Option<&'a str> {
    match metadata.fields.get(key)?.kind.as_ref()? {
        Kind::StringValue(text) => Some(text),
        Kind::NullValue(_) | Kind::NumberValue(_) | Kind::BoolValue(_) | Kind::StructValue(_) | Kind::ListValue(_) => {
            None
        }
    }
}

fn labels(metadata: &Struct) -> BTreeMap<String, String> {
    let Some(Kind::StructValue(labels)) = metadata.fields.get("LABELS").and_then(|value| value.kind.as_ref()) else {
        return BTreeMap::new();
    };
    labels.fields.keys().filter_map(|key| Some((key.clone(), text(labels, key)?.to_owned()))).collect()
}
