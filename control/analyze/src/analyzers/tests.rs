//! Istio's own cases, read from the corpus beside the project; and every branch of each analyzer on inputs of our own.

mod policies;
mod routing;
mod workloads;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{ALL, Analyzer};
use crate::snapshot::SnapshotBuilder;
use crate::value::Look;

/// The only case whose input is not complete: Istio gives it MeshNetworks of its own, which the corpus lacks.
const WITHOUT_NETWORKS: &str = "unknown service registry in mesh networks";

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/istio/analysis").join(name)
}

fn read(name: &str) -> String {
    let path = corpus(name);
    std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// `&gateway.SecretAnalyzer{}`, or `schemaValidation.CollectionValidationAnalyzer(collections.VirtualService)`, which is two.
fn analyzers(name: &str) -> Vec<Analyzer> {
    let names = match name.strip_prefix("schemaValidation.CollectionValidationAnalyzer(collections.") {
        Some(kind) => {
            vec![
                "schema.ValidationAnalyzer".to_owned(),
                format!("schema.ValidationAnalyzer.{}", kind.trim_end_matches(')')),
            ]
        }
        None => vec![name.trim_start_matches('&').trim_end_matches("{}").to_owned()],
    };
    names.iter().map(|name| super::find(name).unwrap_or_else(|| panic!("there is no analyzer {name}"))).collect()
}

fn found(case: &Value) -> Vec<String> {
    let mut builder = SnapshotBuilder::new("default", std::time::SystemTime::now());
    if let Some(file) = case["meshConfig"].as_str() {
        builder.mesh_config(orrery_api::documents(&read(file)).unwrap()[0].to_json());
    }
    for file in case.texts("/input") {
        builder.add_file(file, &read(file)).unwrap_or_else(|why| panic!("{file}: {why:?}"));
    }
    let findings = crate::analyze(&builder.build(), &analyzers(case.text("/analyzer")));
    sorted(findings.iter().map(|finding| format!("{} {} {}", finding.code, finding.code.name(), finding.origin)))
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines
}

/// What an analyzer finds in documents: `<code> <kind> <namespace>/<name>`, sorted.
fn findings(analyzer: &str, documents: &str) -> Vec<String> {
    let mut builder = SnapshotBuilder::new("default", std::time::SystemTime::UNIX_EPOCH);
    builder.add_file("documents.yaml", documents).unwrap_or_else(|why| panic!("{why:?}\n{documents}"));
    let findings = crate::analyze(&builder.build(), &[super::find(analyzer).unwrap()]);
    sorted(findings.iter().map(|finding| format!("{} {}", finding.code, finding.origin)))
}

/// Asserts what an analyzer finds in each of several sets of documents.
fn check(analyzer: &str, table: &[(&str, &[&str])]) {
    for (documents, expected) in table {
        assert_eq!(findings(analyzer, documents), *expected, "{analyzer} of\n{documents}");
    }
}

#[test]
fn istios_cases_give_exactly_their_codes() {
    let cases: Vec<Value> = serde_json::from_str(&read("cases.json")).unwrap();
    assert_eq!(cases.len(), 52);
    let mut wrong = Vec::new();
    for case in cases.iter().filter(|case| case.text("/name") != WITHOUT_NETWORKS) {
        let expected = sorted(case.list("/expected").iter().map(|expected| {
            format!("{} {} {}", expected.text("/code"), expected.text("/message"), expected.text("/resource"))
        }));
        let found = found(case);
        if found != expected {
            wrong.push(format!("{}\n  expected {expected:#?}\n  found {found:#?}", case.text("/name")));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn networks_of_unknown_registries_are_found() {
    let mut builder = SnapshotBuilder::new("default", std::time::SystemTime::now());
    builder.add_file("secret.yaml", &read("multicluster-unknown-serviceregistry.yaml")).unwrap();
    let networks = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  meshNetworks: |\n    \
        networks:\n      one: {endpoints: [{fromRegistry: istio-remote}, {fromRegistry: nobody}]}\n      two: {endpoints: [{fromRegistry: lost}]}\n";
    builder.add_file("networks.yaml", networks).unwrap();
    let findings = crate::analyze(&builder.build(), &[super::find("multicluster.MeshNetworksAnalyzer").unwrap()]);
    let found: Vec<_> = findings
        .iter()
        .map(|finding| (finding.code.number(), finding.origin.as_str(), finding.reference.as_str()))
        .collect();
    assert_eq!(found, [("IST0126", "MeshNetworks istio-system/meshnetworks", "networks.yaml:5"); 2], "{findings:?}");
}

#[test]
fn names_are_unique() {
    assert_eq!(ALL.iter().map(|analyzer| analyzer.name).collect::<BTreeSet<_>>().len(), ALL.len());
}
