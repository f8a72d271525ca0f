//! The workloads that a directory of YAML describes, as far as their proxies run on this machine.
//!
//! A Pod or WorkloadEntry has a proxy here when it carries the annotation `orrery.dev/app-address` (where its application
//! listens), or Istio's `inject.istio.io/templates: gateway` (it is one). What else the documents mean, and whether
//! they are right, is the control plane's business.

use std::fs;
use std::path::Path;

use orrery_api::{Object, Spec};

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
    // What cannot be read or is refused is told by the control plane, with line and field.
    let Ok(text) = fs::read_to_string(file) else { return };
    let Ok(objects) = orrery_api::parse(&text, &file.display().to_string(), "default") else { return };
    for object in objects {
        match workload(&object) {
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

/// `None` for objects without a proxy here.
fn workload(object: &Object) -> Option<Result<Workload, String>> {
    match role(object) {
        Ok(None) => None,
        Ok(Some(role)) => with_role(object, role),
        Err(problem) => Some(Err(problem)),
    }
}

/// What an object's annotations say of its proxy, if they do.
///
/// # Errors
/// When one of them is wrong.
pub(crate) fn role(object: &Object) -> Result<Option<Role>, String> {
    match (object.meta.annotations.get(APP_ADDRESS), object.meta.annotations.get(TEMPLATES)) {
        (None, Some("gateway")) => Ok(Some(Role::Gateway)),
        (None, _) => Ok(None),
        (Some(app), _) => match app.parse() {
            Ok(app) => Ok(Some(Role::Sidecar { app })),
            Err(_) => Err(format!("{}: annotation {APP_ADDRESS} {app:?} is no IP address", object.key)),
        },
    }
}

/// The workload that an object describes, with this role; `None` for objects that describe none.
pub(crate) fn with_role(object: &Object, role: Role) -> Option<Result<Workload, String>> {
    let (address, service_account, labels, owner) = match &object.spec {
        Spec::Pod(pod) => (pod.ip, &pod.service_account, &object.meta.labels, pod.owner.as_deref()),
        Spec::WorkloadEntry(entry) => (entry.address.parse().ok(), &entry.service_account, &entry.labels, None),
        _ => return None,
    };
    let Some(address) = address else { return Some(Err(format!("{}: it has no IP address", object.key))) };
    Some(Ok(Workload {
        name: object.key.name.clone(),
        namespace: object.key.namespace.clone(),
        owner: owner.unwrap_or(&object.key.name).to_owned(),
        service_account: service_account.clone(),
        labels: labels.0.clone(),
        address,
        role,
    }))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn annotated_pods_and_entries_have_proxies() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("below")).unwrap();
        let pod = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a-5d-x\n  annotations: {orrery.dev/app-address: 127.0.0.1}\n  labels: {app: a}\n  ownerReferences: [{kind: ReplicaSet, name: a-5d}]\nspec: {serviceAccountName: sa}\nstatus: {podIP: 127.9.0.1}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: plain}\nspec: {}\n";
        let entry = "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata:\n  name: vm\n  namespace: prod\n  annotations: {orrery.dev/app-address: nowhere}\nspec: {address: 127.9.0.2}\n";
        let gateway = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: gw\n  annotations: {inject.istio.io/templates: gateway}\nspec: {}\nstatus: {podIP: 127.9.0.3}\n";
        fs::write(dir.path().join("a.yaml"), format!("{pod}---\n{entry}")).unwrap();
        fs::write(dir.path().join("broken.yaml"), "a: [").unwrap();
        fs::write(dir.path().join("below/gateway.yaml"), gateway).unwrap();
        let described = read(dir.path());
        let [a, gw] = described.workloads.as_slice() else { panic!("{described:?}") };
        assert_eq!((a.owner.as_str(), a.service_account.as_str(), a.labels["app"].as_str()), ("a", "sa", "a"));
        assert_eq!(a.role, Role::Sidecar { app: IpAddr::from([127, 0, 0, 1]) });
        assert_eq!((gw.name.as_str(), gw.role), ("gw", Role::Gateway));
        let said = described.problems.join("\n");
        assert!(said.contains("a.yaml: WorkloadEntry/prod/vm") && said.contains("\"nowhere\""), "{said}");
    }
}
