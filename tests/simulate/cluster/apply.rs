//! Objects go in and out as through `kubectl`: placeholders filled in, generations counted; controllers follow.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Cluster, list, text};
use crate::case::ObjectRef;

/// What the documents of the Gateway API's suite leave open.
const GATEWAY_CLASS: &str = "istio";
const CONTROLLER: &str = "istio.io/gateway-controller";
/// An address that gateways can have, and one that they cannot.
pub(super) const USABLE: &str = "10.1.255.1";
const UNUSABLE: &str = "192.0.2.1";

const CLUSTER_WIDE: [&str; 2] = ["Namespace", "GatewayClass"];

impl Cluster {
    /// Makes the certificates that a case asks for.
    pub(crate) fn make_secrets(&mut self, wanted: &[ObjectRef]) -> Result<(), String> {
        for key in wanted {
            let object = self.secrets.object(key)?;
            self.put(key.clone(), object);
        }
        self.reconcile();
        Ok(())
    }

    /// Adds or replaces the documents of a text.
    pub(crate) fn apply(&mut self, text: &str) -> Result<(), String> {
        let text = self.filled_in(text)?;
        let documents = orrery_api::documents(&text).map_err(|problem| format!("no YAML: {problem:?}"))?;
        self.clock += 1;
        for document in documents.iter().map(orrery_api::Document::to_json) {
            let items = list(&document, &["items"]);
            let objects = if items.is_empty() { std::slice::from_ref(&document) } else { items };
            for object in objects {
                let key = key_of(object)?;
                self.put(key, object.clone());
            }
        }
        self.reconcile();
        Ok(())
    }

    pub(crate) fn delete(&mut self, key: &ObjectRef) -> Result<(), String> {
        self.given.remove(key).ok_or_else(|| format!("there is no {key} to delete"))?;
        self.reconcile();
        Ok(())
    }

    fn put(&mut self, key: ObjectRef, mut object: Value) {
        let before = self.given.get(&key);
        let same_spec = before.is_some_and(|before| before.get("spec") == object.get("spec"));
        let generation = before.and_then(|before| before["metadata"]["generation"].as_i64()).unwrap_or(0);
        let created = before.and_then(|before| text(before, &["metadata", "creationTimestamp"]).map(str::to_owned));
        let now = format!("2026-01-01T00:{:02}:{:02}Z", self.clock / 60 % 60, self.clock % 60);
        let metadata = object["metadata"].as_object_mut();
        if let Some(metadata) = metadata {
            if !key.namespace.is_empty() {
                metadata.insert("namespace".to_owned(), json!(key.namespace));
            }
            metadata.entry("generation").or_insert_with(|| json!(if same_spec { generation } else { generation + 1 }));
            metadata.entry("creationTimestamp").or_insert_with(|| json!(created.unwrap_or(now)));
        }
        self.given.insert(key, object);
    }

    /// Controllers look at everything again.
    fn reconcile(&mut self) {
        self.derived.clear();
        self.make_namespaces();
        self.make_pods();
        self.make_service_addresses();
        self.make_gateways();
        self.make_outside();
    }

    /// Every namespace that something is in, with the label that Kubernetes gives it.
    fn make_namespaces(&mut self) {
        let names: BTreeSet<String> = self
            .given
            .keys()
            .map(|key| if key.kind == "Namespace" { &key.name } else { &key.namespace }.clone())
            .collect();
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            let key = ObjectRef { kind: "Namespace".to_owned(), namespace: String::new(), name: name.clone() };
            let mut object =
                self.given.get(&key).cloned().unwrap_or_else(
                    || json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }),
                );
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(name);
            self.derived.insert(key, object);
        }
    }

    fn filled_in(&self, text: &str) -> Result<String, String> {
        let text = text
            .replace("{GATEWAY_CLASS_NAME}", GATEWAY_CLASS)
            .replace("{GATEWAY_CONTROLLER_NAME}", CONTROLLER)
            .replace("PLACEHOLDER_USABLE_ADDRS", USABLE)
            .replace("PLACEHOLDER_UNUSABLE_ADDRS", UNUSABLE);
        self.with_facts(&text)
    }

    /// `{ADDRESS ns/name n}` and `{ca.crt of ConfigMap ns/name}`.
    pub(crate) fn with_facts(&self, text: &str) -> Result<String, String> {
        let mut done = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let (before, from) = rest.split_at(at);
            done.push_str(before);
            let inside = from.find('}').map(|end| &from[1..end]);
            let fact = inside.map(|inside| self.fact(inside)).transpose()?.flatten();
            match (inside, fact) {
                (Some(inside), Some(fact)) => {
                    done.push_str(&fact);
                    rest = &from[inside.len() + 2..];
                }
                _ => {
                    done.push('{');
                    rest = &from[1..];
                }
            }
        }
        done.push_str(rest);
        Ok(done)
    }

    fn fact(&self, words: &str) -> Result<Option<String>, String> {
        let parts: Vec<&str> = words.split(' ').collect();
        match parts.as_slice() {
            ["ADDRESS", name, number] => {
                let (name, number) = (name.parse()?, number.parse::<usize>().map_err(|error| error.to_string())?);
                Ok(Some(self.pod_address(&name, number)?.to_string()))
            }
            [field, "of", kind, name] => {
                let key: ObjectRef = format!("{kind} {name}").parse()?;
                let found = self.given.get(&key).and_then(|object| text(object, &["data", field]));
                let found = found.ok_or_else(|| format!("{key} has no {field}"))?;
                Ok(Some(found.replace('\n', "\\n")))
            }
            _ => Ok(None),
        }
    }
}

fn key_of(object: &Value) -> Result<ObjectRef, String> {
    let kind = text(object, &["kind"]).ok_or("a document has no kind")?;
    let name = text(object, &["metadata", "name"]).ok_or_else(|| format!("a {kind} has no name"))?;
    let namespace = match CLUSTER_WIDE.contains(&kind) {
        true => "",
        false => text(object, &["metadata", "namespace"]).unwrap_or("default"),
    };
    Ok(ObjectRef { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() })
}
