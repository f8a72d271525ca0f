//! The workloads that a directory of YAML describes, as far as their proxies run on this machine.
//!
//! A Pod or WorkloadEntry has a proxy here when it carries the annotation `orrery.dev/app-address` (where its application
//! listens), or Istio's `inject.istio.io/templates: gateway` (it is one). What else the documents mean, and whether
//! they are right, is the control plane's business.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use serde_json::Value;

use crate::input::yaml_files;
use crate::workload::{Role, Workload};

const APP_ADDRESS: &str = "orrery.dev/app-address";
const TEMPLATES: &str = "inject.istio.io/templates";
/// Directories below each other that are followed.
const DEEPEST: u32 = 16;

/// What a directory describes, and what is wrong with the rest.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Described {
    pub workloads: Vec<Workload>,
    pub problems: Vec<String>,
}

/// Reads a directory and those below it.
pub(super) fn read(directory: &Path) -> Described {
    let mut described = Described::default();
    descend(directory, DEEPEST, &mut described);
    described
}

fn descend(directory: &Path, depth: u32, described: &mut Described) {
    match yaml_files(directory) {
        Ok(files) => files.iter().for_each(|file| read_file(file, described)),
        Err(why) => described.problems.push(format!("{why:#}")),
    }
    let Some(depth) = depth.checked_sub(1) else { return };
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut below: Vec<_> = below.map(|entry| entry.path()).collect();
    below.sort();
    below.iter().for_each(|path| descend(path, depth, described));
}

fn read_file(file: &Path, described: &mut Described) {
    // What cannot be read or parsed is told by the control plane, with line and field.
    let Ok(text) = fs::read_to_string(file) else { return };
    let Ok(documents) = serde_saphyr::from_multiple::<Value>(&text) else { return };
    for document in documents {
        match workload(&document) {
            Some(Ok(found)) if described.workloads.iter().any(|known| same(known, &found)) => {}
            Some(Ok(found)) => described.workloads.push(found),
            Some(Err(problem)) => described.problems.push(format!("{}: {problem}", file.display())),
            None => {}
        }
    }
}

fn same(one: &Workload, other: &Workload) -> bool {
    (&one.namespace, &one.name) == (&other.namespace, &other.name)
}

/// `None` for documents without a proxy here.
fn workload(document: &Value) -> Option<Result<Workload, String>> {
    let (metadata, spec) = (&document["metadata"], &document["spec"]);
    let annotation = |name: &str| metadata["annotations"][name].as_str();
    let kind = document["kind"].as_str()?;
    let (address, account, labels) = match kind {
        "Pod" => (&document["status"]["podIP"], &spec["serviceAccountName"], &metadata["labels"]),
        "WorkloadEntry" => (&spec["address"], &spec["serviceAccount"], &spec["labels"]),
        _ => return None,
    };
    let app = annotation(APP_ADDRESS);
    if app.is_none() && annotation(TEMPLATES) != Some("gateway") {
        return None;
    }
    let name = metadata["name"].as_str()?;
    let namespace = metadata["namespace"].as_str().unwrap_or("default");
    let parse = |what: &str, text: Option<&str>| -> Result<IpAddr, String> {
        let wrong = || format!("{kind} {namespace}/{name}: {what} {:?} is no IP address", text.unwrap_or_default());
        text.and_then(|text| text.parse().ok()).ok_or_else(wrong)
    };
    let role = match app {
        None => Ok(Role::Gateway),
        Some(text) => parse(&format!("annotation {APP_ADDRESS}"), Some(text)).map(|app| Role::Sidecar { app }),
    };
    let found = parse("address", address.as_str()).and_then(|address| {
        Ok(Workload {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            owner: owner(metadata, name),
            service_account: account.as_str().unwrap_or("default").to_owned(),
            labels: text_map(labels),
            address,
            role: role?,
        })
    });
    Some(found)
}

/// The Deployment behind a pod's ReplicaSet, another owner, or the workload itself.
fn owner(metadata: &Value, name: &str) -> String {
    let first = &metadata["ownerReferences"][0];
    match (first["kind"].as_str(), first["name"].as_str()) {
        (Some("ReplicaSet"), Some(set)) => set.rsplit_once('-').map_or(set, |(deployment, _)| deployment).to_owned(),
        (_, Some(owner)) => owner.to_owned(),
        (_, None) => name.to_owned(),
    }
}

fn text_map(labels: &Value) -> BTreeMap<String, String> {
    let fields = labels.as_object().into_iter().flatten();
    fields.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotated_pods_and_entries_have_proxies() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("below")).unwrap();
        let pod = "kind: Pod\nmetadata:\n  name: a-5d-x\n  annotations: {orrery.dev/app-address: 127.0.0.1}\n  labels: {app: a}\n  ownerReferences: [{kind: ReplicaSet, name: a-5d}]\nspec: {serviceAccountName: sa}\nstatus: {podIP: 127.9.0.1}\n---\nkind: Pod\nmetadata: {name: plain}\n";
        let entry = "kind: WorkloadEntry\nmetadata:\n  name: vm\n  namespace: prod\n  annotations: {orrery.dev/app-address: nowhere}\nspec: {address: 127.9.0.2}\n";
        let gateway = "kind: Pod\nmetadata:\n  name: gw\n  annotations: {inject.istio.io/templates: gateway}\nspec: {}\nstatus: {podIP: 127.9.0.3}\n";
        fs::write(dir.path().join("a.yaml"), format!("{pod}---\n{entry}")).unwrap();
        fs::write(dir.path().join("broken.yaml"), "a: [").unwrap();
        fs::write(dir.path().join("below/gateway.yaml"), gateway).unwrap();
        let described = read(dir.path());
        let [a, gw] = described.workloads.as_slice() else { panic!("{described:?}") };
        assert_eq!((a.owner.as_str(), a.service_account.as_str(), a.labels["app"].as_str()), ("a", "sa", "a"));
        assert_eq!(a.role, Role::Sidecar { app: IpAddr::from([127, 0, 0, 1]) });
        assert_eq!((gw.name.as_str(), gw.role), ("gw", Role::Gateway));
        let said = described.problems.join("\n");
        assert!(said.contains("a.yaml: WorkloadEntry prod/vm") && said.contains("\"nowhere\""), "{said}");
    }
}
