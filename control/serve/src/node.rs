//! Who a stream's client says it is, and whether that is who it proved to be.
//!
//! How the proof was made (certificate, token) is the caller's business: it arrives as a [`Peer`].

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::google::protobuf::value::Kind;

/// Longest node id in bytes.
const LONGEST_ID: usize = 1024;

/// What the connection proved about the other end. Put into the request's extensions by the accept loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// Not encrypted: only on loopback; the node is believed.
    Plaintext,
    /// Encrypted, but the client showed neither certificate nor token.
    Anonymous,
    /// A workload of this mesh.
    Workload {
        /// Kubernetes namespace.
        namespace: String,
        /// Service account.
        service_account: String,
    },
}

/// The part of an xDS node that identifies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeIdentity {
    /// `<kind>~<address>~<name>.<namespace>~<domain>`.
    pub id: String,
    /// Metadata `NAMESPACE`, or else the namespace in the id.
    pub namespace: String,
    /// Metadata `SERVICE_ACCOUNT`; empty when the node does not say.
    pub service_account: String,
}

/// Why a node is not served.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NodeError {
    /// The client's mistake.
    #[error("xDS node: {0}")]
    Malformed(String),
    /// No proof at all.
    #[error("xDS needs a client certificate of the mesh, or a bearer token of the workload's service account")]
    Unauthenticated,
    /// The proof is for somebody else.
    #[error(
        "node {id} says that it is {claimed}, but the connection belongs to {proved}; \
         give the proxy the certificate or token of its own service account"
    )]
    Mismatch {
        /// The node's id.
        id: String,
        /// What the node says, as `namespace/service account`.
        claimed: String,
        /// What the connection proved, as `namespace/service account`.
        proved: String,
    },
}

impl NodeIdentity {
    /// Reads the identity of a node; says what is missing.
    pub fn from_node(node: &Node) -> Result<Self, NodeError> {
        if node.id.is_empty() || node.id.len() > LONGEST_ID {
            let message = format!("its id has {} bytes, 1 to {LONGEST_ID} are allowed", node.id.len());
            return Err(NodeError::Malformed(message));
        }
        let in_id = namespace_of_id(&node.id).ok_or_else(|| {
            NodeError::Malformed(format!(
                "its id {:?} is not <kind>~<address>~<name>.<namespace>~<namespace>.svc.<domain>",
                node.id
            ))
        })?;
        let namespace = metadata(node, "NAMESPACE").unwrap_or(in_id);
        if namespace != in_id {
            return Err(NodeError::Malformed(format!("its id {:?} is not in its namespace {namespace:?}", node.id)));
        }
        Ok(Self {
            id: node.id.clone(),
            namespace: namespace.to_owned(),
            service_account: metadata(node, "SERVICE_ACCOUNT").unwrap_or_default().to_owned(),
        })
    }

    /// Refuses a node that is not the authenticated peer.
    pub fn check(&self, peer: &Peer) -> Result<(), NodeError> {
        match peer {
            Peer::Plaintext => Ok(()),
            Peer::Anonymous => Err(NodeError::Unauthenticated),
            Peer::Workload { namespace, service_account } => {
                if *namespace == self.namespace && *service_account == self.service_account {
                    return Ok(());
                }
                Err(NodeError::Mismatch {
                    id: self.id.clone(),
                    claimed: format!("{}/{}", self.namespace, self.service_account),
                    proved: format!("{namespace}/{service_account}"),
                })
            }
        }
    }
}

fn namespace_of_id(id: &str) -> Option<&str> {
    let mut parts = id.split('~');
    let (_kind, _address, name, _domain) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    name.rsplit_once('.').map(|(_, namespace)| namespace).filter(|namespace| !namespace.is_empty())
}

fn metadata<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    match node.metadata.as_ref()?.fields.get(key)?.kind.as_ref()? {
        Kind::StringValue(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::google::protobuf::{Struct, Value};

    use super::*;

    fn node(id: &str, metadata: &[(&str, &str)]) -> Node {
        let fields = metadata
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Value { kind: Some(Kind::StringValue((*value).to_owned())) }))
            .collect();
        Node { id: id.to_owned(), metadata: Some(Struct { fields }), ..Node::default() }
    }

    const ID: &str = "sidecar~127.1.0.13~reviews-v1.default~default.svc.cluster.local";

    #[test]
    fn nodes() {
        for (id, metadata, expect) in [
            (ID, vec![("NAMESPACE", "default"), ("SERVICE_ACCOUNT", "reviews")], Ok(("default", "reviews"))),
            (ID, vec![], Ok(("default", ""))),
            (ID, vec![("NAMESPACE", "other")], Err("not in its namespace")),
            ("", vec![], Err("0 bytes")),
            ("reviews", vec![], Err("is not <kind>")),
            ("sidecar~127.1.0.13~reviews.~x", vec![], Err("is not <kind>")),
            ("a~b~c.d~e~f", vec![], Err("is not <kind>")),
        ] {
            match (NodeIdentity::from_node(&node(id, &metadata)), expect) {
                (Ok(found), Ok((namespace, account))) => {
                    assert_eq!((found.namespace.as_str(), found.service_account.as_str()), (namespace, account));
                }
                (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
                (found, expect) => panic!("{id}: {found:?}, not {expect:?}"),
            }
        }
    }

    #[test]
    fn the_node_must_be_the_peer() {
        let identity =
            NodeIdentity::from_node(&node(ID, &[("NAMESPACE", "default"), ("SERVICE_ACCOUNT", "reviews")])).unwrap();
        let workload = |namespace: &str, account: &str| Peer::Workload {
            namespace: namespace.to_owned(),
            service_account: account.to_owned(),
        };
        assert_eq!(identity.check(&Peer::Plaintext), Ok(()));
        assert_eq!(identity.check(&workload("default", "reviews")), Ok(()));
        assert_eq!(identity.check(&Peer::Anonymous), Err(NodeError::Unauthenticated));
        for other in [workload("default", "ratings"), workload("prod", "reviews")] {
            assert!(matches!(identity.check(&other), Err(NodeError::Mismatch { .. })));
        }
    }
}
