//! Metadata exchange: telling the other proxy of the mesh who we are, and reading who it is, so that both report the
//! same labels (`x-envoy-peer-metadata`, and the framed exchange of opaque TCP).
//!
//! It does not know the identity in certificates; what a peer says here is used for telemetry only.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hashbrown::HashMap;
use http::{HeaderMap, HeaderName, HeaderValue};
use orrery_core::cluster::WorkloadIdentity;
use orrery_emit::labels::Workload;
use prost::Message;
use prost_types::value::Kind;
use prost_types::{Any, Struct, Value};

use crate::node::Node;

/// Who sends, as base64 of a protobuf `Struct`.
pub(crate) const METADATA: HeaderName = HeaderName::from_static("x-envoy-peer-metadata");
/// The sender's node id.
pub(crate) const METADATA_ID: HeaderName = HeaderName::from_static("x-envoy-peer-metadata-id");

/// Peers remembered by what they sent.
const MAX_PEERS: usize = 4096;
/// Longest metadata that is looked at.
const MAX_METADATA: usize = 16 * 1024;
/// First bytes of the exchange on opaque TCP.
const TCP_MAGIC: [u8; 4] = 0x3D23_0467_u32.to_be_bytes();
const STRUCT_TYPE: &str = "type.googleapis.com/google.protobuf.Struct";

/// The other side of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Distinguishes peers in caches of metric handles; 0: nothing is known.
    pub(crate) number: u32,
    pub(crate) workload: Arc<Workload>,
}

/// What this proxy tells others.
#[derive(Clone, Debug)]
pub(crate) struct OwnMetadata {
    pub(crate) value: HeaderValue,
    pub(crate) id: HeaderValue,
    /// The whole message for opaque TCP.
    pub(crate) tcp: Bytes,
}

/// Peers by the bytes that they sent.
#[derive(Debug, Default)]
pub(crate) struct PeerBook {
    known: RefCell<HashMap<HeaderValue, Rc<Peer>>>,
    last: Cell<u32>,
}

impl Peer {
    pub(crate) fn unknown() -> Self {
        Self { number: 0, workload: Arc::new(Workload::unknown()) }
    }

    /// What the control plane says of an endpoint, until the peer itself has answered.
    pub(crate) fn of_endpoint(workload: Option<&WorkloadIdentity>) -> Self {
        let Some(known) = workload else { return Self::unknown() };
        let workload = Workload {
            workload: known.workload.clone(),
            namespace: known.namespace.clone(),
            canonical_service: known.canonical_name.clone(),
            canonical_revision: known.canonical_revision.clone(),
            app: known.canonical_name.clone(),
            version: known.canonical_revision.clone(),
            cluster: known.cluster.clone(),
        };
        Self { number: u32::MAX, workload: Arc::new(workload) }
    }
}

impl PeerBook {
    /// The peer that sent this header value.
    pub(crate) fn find(&self, value: &HeaderValue) -> Option<Rc<Peer>> {
        if let Some(peer) = self.known.borrow().get(value) {
            return Some(peer.clone());
        }
        let metadata = STANDARD.decode(value.as_bytes().get(..value.len().min(MAX_METADATA))?).ok()?;
        let peer = self.make(&Struct::decode(metadata.as_slice()).ok()?);
        let mut known = self.known.borrow_mut();
        if known.len() >= MAX_PEERS {
            known.clear();
        }
        // The bytes may share a whole read buffer: keep a copy of their own.
        if let Ok(own) = HeaderValue::from_bytes(value.as_bytes()) {
            known.insert(own, peer.clone());
        }
        Some(peer)
    }

    /// The peer that sent this message on opaque TCP.
    pub(crate) fn of_tcp(&self, message: &[u8]) -> Option<Rc<Peer>> {
        let any = Any::decode(message).ok()?;
        let outer = Struct::decode(any.value.as_slice()).ok()?;
        match outer.fields.get(METADATA.as_str()).and_then(|value| value.kind.as_ref()) {
            Some(Kind::StructValue(metadata)) => Some(self.make(metadata)),
            Some(_) | None => None,
        }
    }

    fn make(&self, metadata: &Struct) -> Rc<Peer> {
        self.last.set(self.last.get() + 1);
        Rc::new(Peer { number: self.last.get(), workload: Arc::new(workload_of(metadata)) })
    }
}

/// Takes a peer's metadata out of a message's headers: it must not reach the application.
pub(crate) fn take(headers: &mut HeaderMap) -> Option<HeaderValue> {
    headers.remove(METADATA_ID);
    headers.remove(METADATA)
}

impl OwnMetadata {
    pub(crate) fn of(node: &Node) -> Self {
        let metadata = metadata_of(node);
        let encoded = STANDARD.encode(metadata.encode_to_vec());
        let value = HeaderValue::from_str(&encoded).unwrap_or_else(|_| HeaderValue::from_static(""));
        let id = HeaderValue::from_str(&node.id).unwrap_or_else(|_| HeaderValue::from_static("unknown"));
        Self { value, id, tcp: tcp_message(node, metadata) }
    }

    /// Adds it to a message.
    pub(crate) fn add(&self, headers: &mut HeaderMap) {
        headers.insert(METADATA, self.value.clone());
        headers.insert(METADATA_ID, self.id.clone());
    }
}

fn text(value: &str) -> Value {
    Value { kind: Some(Kind::StringValue(value.to_owned())) }
}

/// `Struct` keeps its fields sorted, so the bytes are the same each time.
fn metadata_of(node: &Node) -> Struct {
    let mut labels: std::collections::BTreeMap<String, Value> = ["app", "version"]
        .iter()
        .filter_map(|name| node.labels.get(*name).map(|value| ((*name).to_owned(), text(value))))
        .collect();
    labels.insert("service.istio.io/canonical-name".into(), text(node.canonical_service()));
    labels.insert("service.istio.io/canonical-revision".into(), text(node.canonical_revision()));
    let mut fields: std::collections::BTreeMap<String, Value> = [
        ("NAME", &node.name),
        ("NAMESPACE", &node.namespace),
        ("WORKLOAD_NAME", &node.workload),
        ("CLUSTER_ID", &node.cluster_id),
        ("OWNER", &node.owner),
    ]
    .iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| ((*name).to_owned(), text(value)))
    .collect();
    fields.insert("LABELS".into(), Value { kind: Some(Kind::StructValue(Struct { fields: labels })) });
    Struct { fields }
}

fn tcp_message(node: &Node, metadata: Struct) -> Bytes {
    let mut outer = Struct::default();
    outer.fields.insert(METADATA.as_str().into(), Value { kind: Some(Kind::StructValue(metadata)) });
    outer.fields.insert(METADATA_ID.as_str().into(), text(&node.id));
    let any = Any { type_url: STRUCT_TYPE.into(), value: outer.encode_to_vec() }.encode_to_vec();
    let length = u32::try_from(any.len()).unwrap_or_default();
    [TCP_MAGIC.as_slice(), &length.to_be_bytes(), &any].concat().into()
}

/// The length of the message that follows this head of 8 bytes; `None`: not an exchange.
pub(crate) fn tcp_length(head: [u8; 8]) -> Option<usize> {
    let [m0, m1, m2, m3, length @ ..] = head;
    let length = u32::from_be_bytes(length) as usize;
    ([m0, m1, m2, m3] == TCP_MAGIC && length <= MAX_METADATA).then_some(length)
}

fn string<'a>(fields: &'a Struct, name: &str) -> Option<&'a str> {
    match fields.fields.get(name).and_then(|value| value.kind.as_ref()) {
        Some(Kind::StringValue(value)) if !value.is_empty() => Some(value),
        Some(_) | None => None,
    }
}

/// What a peer said of itself; what it left out counts as it would on its own side.
fn workload_of(metadata: &Struct) -> Workload {
    let none = Struct::default();
    let labels = match metadata.fields.get("LABELS").and_then(|value| value.kind.as_ref()) {
        Some(Kind::StructValue(labels)) => labels,
        Some(_) | None => &none,
    };
    let name = string(metadata, "WORKLOAD_NAME").unwrap_or("unknown");
    let or_unknown = |value: Option<&str>| -> Arc<str> { value.unwrap_or("unknown").into() };
    Workload {
        workload: name.into(),
        namespace: or_unknown(string(metadata, "NAMESPACE")),
        canonical_service: string(labels, "service.istio.io/canonical-name").unwrap_or(name).into(),
        canonical_revision: string(labels, "service.istio.io/canonical-revision").unwrap_or("latest").into(),
        app: string(labels, "app").unwrap_or_default().into(),
        version: string(labels, "version").unwrap_or_default().into(),
        cluster: or_unknown(string(metadata, "CLUSTER_ID")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Node {
        let labels = [("app", "reviews"), ("version", "v2")];
        Node {
            id: "sidecar~127.1.0.14~reviews-v2.default~default.svc.cluster.local".into(),
            name: "reviews-v2".into(),
            namespace: "default".into(),
            workload: "reviews-v2".into(),
            cluster_id: "Kubernetes".into(),
            labels: labels.map(|(name, value)| (name.into(), value.into())).into(),
            ..Node::default()
        }
    }

    #[test]
    fn what_is_told_is_what_is_reported() {
        let (own, book) = (OwnMetadata::of(&node()), PeerBook::default());
        let peer = book.find(&own.value).unwrap();
        assert_eq!(*peer.workload, node().as_workload());
        assert_eq!(book.find(&own.value).unwrap().number, peer.number);
        let head: [u8; 8] = own.tcp[..8].try_into().unwrap();
        assert_eq!(tcp_length(head), Some(own.tcp.len() - 8));
        assert_eq!(*book.of_tcp(&own.tcp[8..]).unwrap().workload, node().as_workload());
    }

    #[test]
    fn garbage_is_no_peer() {
        let book = PeerBook::default();
        for garbage in ["", "!!", "AAAA", "//////////8="] {
            let found = book.find(&HeaderValue::from_static(garbage)).map(|peer| peer.workload.workload.clone());
            assert!(found.is_none_or(|name| &*name == "unknown"), "{garbage}");
        }
        assert_eq!(tcp_length(*b"GET / HT"), None);
        assert_eq!(tcp_length([0x3d, 0x23, 4, 0x67, 0xff, 0, 0, 0]), None);
    }
}
