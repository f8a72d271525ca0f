//! Documents to begin with.

use std::fs;
use std::path::Path;

use orrery_tests::tools::corpus;
use serde_json::Value;

/// Workloads and policies that fit together, so that what is made of them reaches every part of compilation.
const OWN: &str = include_str!("seeds/mesh.yaml");

/// All documents of the corpus, and our own several times, since few others compile to much.
pub(crate) fn all() -> Vec<Value> {
    let mut documents = Vec::new();
    for directory in
        ["istio/samples/bookinfo-networking", "istio/samples/bookinfo-kube", "istio/analysis", "istio/crds"]
    {
        read_directory(&corpus(directory), &mut documents);
    }
    let own = parse(OWN);
    let copies = documents.len() / own.len().max(1);
    for _ in 0..copies.max(1) {
        documents.extend(own.iter().cloned());
    }
    documents
}

/// The mesh that every round starts from, unchanged.
pub(crate) fn own() -> Vec<Value> {
    parse(OWN)
}

fn read_directory(directory: &Path, documents: &mut Vec<Value>) {
    let entries = fs::read_dir(directory).unwrap_or_else(|why| panic!("{}: {why}", directory.display()));
    for entry in entries {
        let path = entry.expect("an entry of the corpus").path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
            documents.extend(parse(&text));
        }
    }
}

fn parse(text: &str) -> Vec<Value> {
    orrery_api::documents(text).map(|all| all.iter().map(orrery_api::Document::to_json).collect()).unwrap_or_default()
}
