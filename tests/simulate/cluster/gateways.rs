//! The proxies of gateways: a pod for each Gateway of the Gateway API, and one for each selector of Istio's Gateways that
//! no pod answers to.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::apply::USABLE;
use super::{Cluster, NodeKind, ProxyNode, list, pods, selects, text, text_map};
use crate::case::{Name, ObjectRef};

/// Bytes of a label's value.
const LONGEST_LABEL: usize = 63;
const GATEWAY_API: &str = "gateway.networking.k8s.io/";
/// On the proxies of a Gateway, in its namespace.
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
/// Where Istio's own gateways live.
const SYSTEM: &str = "istio-system";

impl Cluster {
    pub(super) fn make_gateways(&mut self) {
        let gateways: Vec<(ObjectRef, Value)> = self
            .given
            .iter()
            .filter(|(key, _)| key.kind == "Gateway")
            .map(|(key, object)| (key.clone(), object.clone()))
            .collect();
        for (key, gateway) in gateways {
            if is_gateway_api(&gateway) {
                self.make_gateway_pod(&key, &gateway);
            } else {
                self.make_selected_pod(&selector(&gateway));
            }
        }
    }

    fn make_gateway_pod(&mut self, key: &ObjectRef, gateway: &Value) {
        // A longer name fits in no label, so nothing can be deployed that is found by it.
        if key.name.len() > LONGEST_LABEL {
            return;
        }
        let class = text(gateway, &["spec", "gatewayClassName"]).unwrap_or("istio");
        let deployment = format!("{}-{class}", key.name);
        let mut labels = text_map(gateway, &["spec", "infrastructure", "labels"]);
        labels.insert(GATEWAY_NAME.to_owned(), key.name.clone());
        let annotations = text_map(gateway, &["spec", "infrastructure", "annotations"]);
        let mut asked = list(gateway, &["spec", "addresses"]).iter();
        let has = asked.any(|address| text(address, &["value"]) == Some(USABLE));
        let address = has.then_some(USABLE);
        self.make_proxy_pod(&key.namespace, &deployment, &labels, &annotations, address);
    }

    fn make_selected_pod(&mut self, selector: &BTreeMap<String, String>) {
        if selector.is_empty() || self.of_kind("Pod").any(|(_, pod)| selects(selector, &labels(pod))) {
            return;
        }
        let name = selector.values().cloned().collect::<Vec<_>>().join("-");
        self.make_proxy_pod(SYSTEM, &format!("istio-{name}"), selector, &BTreeMap::new(), None);
    }

    fn make_proxy_pod(
        &mut self,
        namespace: &str,
        deployment: &str,
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
        address: Option<&str>,
    ) {
        let name = format!("{deployment}-0");
        let key = ObjectRef { kind: "Pod".to_owned(), namespace: namespace.to_owned(), name: name.clone() };
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": labels,
                "annotations": annotations,
                "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{deployment}-6b8f9") }],
            },
            "spec": { "serviceAccountName": deployment, "containers": [] },
            "status": { "podIP": address },
        });
        self.complete_pod(key, pod);
    }

    pub(super) fn gateway_proxy(&self, name: &Name) -> Result<ProxyNode, String> {
        let gateway =
            self.get("Gateway", &name.namespace, &name.name).ok_or_else(|| format!("there is no Gateway {name}"))?;
        let (namespace, wanted) = match is_gateway_api(gateway) {
            true => (Some(&name.namespace), BTreeMap::from([(GATEWAY_NAME.to_owned(), name.name.clone())])),
            false => (None, selector(gateway)),
        };
        let mut pods = self.of_kind("Pod").filter(|(key, pod)| {
            namespace.is_none_or(|namespace| *namespace == key.namespace) && selects(&wanted, &labels(pod))
        });
        let (key, pod) = pods.next().ok_or_else(|| format!("no pod is a proxy of the Gateway {name}"))?;
        pods::node(NodeKind::Gateway, key, pod).ok_or_else(|| format!("the pod {key} has no address"))
    }
}

fn is_gateway_api(gateway: &Value) -> bool {
    text(gateway, &["apiVersion"]).is_some_and(|version| version.starts_with(GATEWAY_API))
}

fn selector(gateway: &Value) -> BTreeMap<String, String> {
    text_map(gateway, &["spec", "selector"])
}

fn labels(pod: &Value) -> BTreeMap<String, String> {
    text_map(pod, &["metadata", "labels"])
}
