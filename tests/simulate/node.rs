//! A proxy's node: what it tells the control plane of itself, the same for every subject.

use std::collections::{BTreeMap, HashMap};

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value as Proto};
use serde_json::{Map, Value, json};

use crate::cluster::{NodeKind, ProxyNode};

/// `sidecar~<ip>~<pod>.<namespace>~<namespace>.svc.<domain>`.
pub(crate) fn id(node: &ProxyNode) -> String {
    let kind = match node.kind {
        NodeKind::Sidecar => "sidecar",
        NodeKind::Gateway => "router",
    };
    format!("{kind}~{}~{}.{}~{}.svc.cluster.local", node.address, node.pod, node.namespace, node.namespace)
}

/// What Istio's proxies say in their metadata.
pub(crate) fn metadata(node: &ProxyNode) -> Map<String, Value> {
    // A sidecar's traffic is redirected to it; a gateway binds its own address.
    let interception = match node.kind {
        NodeKind::Sidecar => "REDIRECT",
        NodeKind::Gateway => "NONE",
    };
    let labels: &BTreeMap<String, String> = &node.labels;
    let entries = [
        ("NAME", json!(node.pod)),
        ("NAMESPACE", json!(node.namespace)),
        ("SERVICE_ACCOUNT", json!(node.service_account)),
        ("WORKLOAD_NAME", json!(node.workload)),
        ("LABELS", json!(labels)),
        ("ANNOTATIONS", json!(node.annotations)),
        ("CLUSTER_ID", json!("Kubernetes")),
        ("INTERCEPTION_MODE", json!(interception)),
        ("INSTANCE_IPS", json!(node.address.to_string())),
    ];
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

pub(crate) fn node(node: &ProxyNode) -> Node {
    let fields = metadata(node).iter().map(|(key, value)| (key.clone(), proto(value))).collect();
    Node { id: id(node), metadata: Some(Struct { fields }), ..Default::default() }
}

fn proto(value: &Value) -> Proto {
    let fields = |map: &Map<String, Value>| -> HashMap<String, Proto> {
        map.iter().map(|(key, value)| (key.clone(), proto(value))).collect()
    };
    let kind = match value {
        Value::Object(map) => Kind::StructValue(Struct { fields: fields(map) }),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Bool(flag) => Kind::BoolValue(*flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::Null | Value::Array(_) => Kind::NullValue(0),
    };
    Proto { kind: Some(kind) }
}
