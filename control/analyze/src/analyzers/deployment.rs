//! Deployments: the user they run as, and the services that select them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::code::Code;
use crate::finding::Report;
use crate::injection::{PROXY, deployment_in_mesh};
use crate::resource::{MANAGED, Resource, WAYPOINTS, is_control_plane};
use crate::snapshot::Snapshot;
use crate::value::{Look, selects};

/// The sidecar's user, whose connections are not redirected.
const PROXY_USER: u64 = 1337;

/// Containers of the mesh itself may run as it.
const OF_MESH: [&str; 2] = [PROXY, "istio-operator"];

pub(super) fn check_user(snapshot: &Snapshot, report: &mut Report) {
    for (kind, pointer) in [("Pod", "/spec"), ("Deployment", "/spec/template/spec")] {
        let applications = snapshot.all(kind).filter(|resource| !is_control_plane(resource));
        for resource in applications.filter(|resource| runs_as_proxy(resource.body.at(pointer))) {
            report.add(
                Code::InvalidApplicationUID,
                resource,
                pointer,
                format!(
                    "the application runs as user {PROXY_USER}, so that its connections would not reach the sidecar"
                ),
            );
        }
    }
}

fn runs_as_proxy(pod_spec: &Value) -> bool {
    let is_proxy_user = |value: &Value| value.at("/securityContext/runAsUser").as_u64() == Some(PROXY_USER);
    let mut applications =
        pod_spec.list("/containers").iter().filter(|container| !OF_MESH.contains(&container.text("/name")));
    is_proxy_user(pod_spec) || applications.any(is_proxy_user)
}

pub(super) fn check_services(snapshot: &Snapshot, report: &mut Report) {
    let is_waypoint = |deployment: &Resource| deployment.labels.get(MANAGED).is_some_and(|by| by == WAYPOINTS);
    for deployment in snapshot.all("Deployment") {
        if is_waypoint(deployment) || !deployment_in_mesh(snapshot, deployment) {
            continue;
        }
        let labels = deployment.body.labels("/spec/template/metadata/labels");
        let services: Vec<&Resource> = snapshot
            .all("Service")
            .filter(|service| {
                let selector = service.spec().labels("/selector");
                service.namespace == deployment.namespace && !selector.is_empty() && selects(&selector, &labels)
            })
            .collect();
        check_protocols(deployment, &services, report);
        check_target_ports(deployment, &services, report);
    }
}

/// A port of several services must have one protocol in all of them.
fn check_protocols(deployment: &Resource, services: &[&Resource], report: &mut Report) {
    let mut by_port: BTreeMap<u64, (BTreeSet<&str>, Vec<&str>)> = BTreeMap::new();
    for (service, port) in ports(services) {
        if let Some(number) = port.port("/port") {
            let (protocols, names) = by_port.entry(number).or_default();
            protocols.insert(protocol(port));
            names.push(&service.name);
        }
    }
    for (port, (protocols, names)) in by_port {
        if protocols.len() > 1 {
            let protocols: Vec<&str> = protocols.into_iter().collect();
            report.add(
                Code::DeploymentAssociatedToMultipleServices,
                deployment,
                "/metadata/name",
                format!("port {port} is {} in the services {}", protocols.join(" and "), names.join(", ")),
            );
        }
    }
}

/// A target port must not stand behind several ports.
fn check_target_ports(deployment: &Resource, services: &[&Resource], report: &mut Report) {
    let mut by_target: BTreeMap<String, (BTreeSet<u64>, BTreeSet<&str>)> = BTreeMap::new();
    for (service, port) in ports(services) {
        let Some(number) = port.port("/port") else { continue };
        let target = match port.at("/targetPort") {
            Value::String(name) if !matches!(name.as_str(), "" | "0") => name.clone(),
            Value::Number(number) if number.as_u64() != Some(0) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                number.to_string()
            }
        };
        let (numbers, names) = by_target.entry(target).or_default();
        numbers.insert(number);
        names.insert(&service.name);
    }
    for (target, (numbers, names)) in by_target {
        if numbers.len() > 1 {
            let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
            let names: Vec<&str> = names.into_iter().collect();
            report.add(
                Code::DeploymentConflictingPorts,
                deployment,
                "/metadata/name",
                format!(
                    "ports {} of {} lead to the same target port {target}",
                    numbers.join(" and "),
                    names.join(", ")
                ),
            );
        }
    }
}

fn ports<'a>(services: &'a [&'a Resource]) -> impl Iterator<Item = (&'a Resource, &'a Value)> {
    services.iter().flat_map(|service| service.spec().list("/ports").iter().map(|port| (*service, port)))
}

fn protocol(port: &Value) -> &str {
    match port.text("/protocol") {
        "" => "TCP",
        stated => stated,
    }
}
