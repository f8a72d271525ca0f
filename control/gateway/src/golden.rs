//! Every Gateway API input of Istio's own tests: our routing decides as theirs, and our status says the same.

mod cluster;
mod routing;
mod status;

use std::fs;
use std::path::{Path, PathBuf};

use orrery_api::{Key, Object};
use serde_json::Value;

use crate::{Translation, translate};
pub(crate) use cluster::Cluster;

/// Reads a file of the corpus.
#[allow(clippy::disallowed_methods, reason = "a test is its own caller")]
fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Inputs with their names, sorted.
fn inputs() -> Vec<(String, String)> {
    let directory = corpus();
    let mut inputs = Vec::new();
    for entry in fs::read_dir(&directory).expect("the corpus is there") {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(name) = name.strip_suffix(".yaml") {
            inputs.push((name.to_owned(), text(&path)));
        }
    }
    inputs.sort();
    assert!(inputs.len() >= 27, "{} inputs", inputs.len());
    inputs
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/istio/gateway")
}

/// The documents of what Istio makes of an input.
fn expected(name: &str, kind: &str) -> Vec<Value> {
    let text = text(&corpus().join(format!("{name}.{kind}")));
    let documents = orrery_api::documents(&text).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    documents.iter().map(orrery_api::Document::to_json).filter(|document| !document.is_null()).collect()
}

fn translated(name: &str, text: &str) -> (Cluster, Translation) {
    let input = orrery_api::parse(text, name, "default").unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
    let cluster = Cluster::around(input);
    let translation = translate(&cluster);
    (cluster, translation)
}

fn shown(key: &Key) -> String {
    format!("{} {}/{}", key.kind.in_documents(), key.namespace, key.name)
}

#[test]
fn routing_is_istios() {
    let mut differences = Vec::new();
    for (name, text) in inputs() {
        let (_, translation) = translated(&name, &text);
        let ours = routing::Table::of(translation.derived().iter().map(|object| (shown(&object.key), object)));
        let documents = routing::read(&name, expected(&name, "yaml.golden"));
        let theirs = routing::Table::of(documents.iter().map(|(key, object): &(String, Object)| (key.clone(), object)));
        differences.extend(ours.differences(&theirs, &name));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn status_is_istios() {
    for (name, text) in inputs() {
        let (cluster, translation) = translated(&name, &text);
        let theirs = expected(&name, "status.yaml.golden");
        let mut ours: Vec<(String, Value)> = Vec::new();
        for object in cluster.given() {
            ours.extend(translation.status(object, &cluster).map(|status| (shown(&object.key), status)));
        }
        status::assert_same(&name, &ours, &theirs);
    }
}
