//! The order in which Kiali lists nodes and edges.

use super::{EdgeData, NodeData};

/// Boxes first, then by cluster, namespace, app, version, service and workload.
pub(super) fn nodes(nodes: &mut [NodeData]) {
    nodes.sort_by(|a, b| {
        let key = |node: &NodeData| node.is_box.is_empty();
        let names = |node: &NodeData| {
            [&node.cluster, &node.namespace, &node.app, &node.version, &node.service, &node.workload].map(String::clone)
        };
        key(a).cmp(&key(b)).then_with(|| names(a).cmp(&names(b)))
    });
}

/// By source, target and protocol.
pub(super) fn edges(edges: &mut [EdgeData]) {
    edges.sort_by(|a, b| (&a.source, &a.target, a.traffic.protocol).cmp(&(&b.source, &b.target, b.traffic.protocol)));
}
