//! Whether what objects refer to exists.

use std::collections::BTreeSet;

use orrery_api::{Destination, HttpRoute, Located, Object, Place, Problem, Spec, VirtualService};

use crate::delegate;
use crate::policy::rules_for;
use crate::world::World;

/// What came of looking.
#[derive(Clone, Debug, Default)]
pub struct References {
    /// Something does not exist: the object cannot mean what it says.
    pub errors: Vec<Problem>,
    /// Something has no effect as things are.
    pub warnings: Vec<Problem>,
}

/// Looks at objects that are in the world already.
pub fn validate_references<'a>(world: &World, objects: impl IntoIterator<Item = &'a Object>) -> References {
    let mut references = References::default();
    for object in objects {
        if let Some(why) = object.key.kind.not_acted_on() {
            let place = Place { line: 1, column: 1, field: String::new() };
            let message = format!("{} is kept, and has no effect: {why}", object.key.kind);
            references.warnings.push(problem(object, &place, message, String::new()));
        }
        match &object.spec {
            Spec::VirtualService(service) => virtual_service(world, object, service, &mut references),
            Spec::DestinationRule(rule) => {
                let host = world.resolve(&rule.host.value, &object.key.namespace);
                if !host.starts_with('*') && world.registry().service(&host).is_none() {
                    let message = format!("there is no service {host}");
                    references.errors.push(problem(object, &rule.host.place, message, services_hint(world)));
                }
            }
            Spec::Gateway(gateway) => {
                let selects = world.objects().any(|other| {
                    matches!(other.spec, Spec::Pod(_) | Spec::WorkloadEntry(_))
                        && gateway.is_served_by(&other.key.namespace, &other.meta.labels)
                });
                if !selects {
                    let place = Place { line: 1, column: 1, field: "spec.selector".to_owned() };
                    let message = "no workload has these labels: the gateway is served by nobody".to_owned();
                    references.warnings.push(problem(object, &place, message, String::new()));
                }
            }
            _ => {}
        }
    }
    references
}

fn virtual_service(world: &World, object: &Object, service: &VirtualService, references: &mut References) {
    let mut gateways: Vec<&Located<String>> = service.gateways.iter().collect();
    for http in &service.http {
        gateways.extend(http.matches.iter().flat_map(|one| &one.gateways));
    }
    for gateway in gateways {
        let namespace = &object.key.namespace;
        let (namespace, name) = gateway.value.split_once('/').unwrap_or((namespace, &gateway.value));
        let exists = gateway.value == "mesh"
            || world.gateways().any(|(other, _)| other.namespace == namespace && other.name == name);
        if !exists {
            let message = format!("there is no Gateway {namespace}/{name}");
            references.errors.push(problem(
                object,
                &gateway.place,
                message,
                "apply the Gateway first, or in the same file".into(),
            ));
        }
    }
    for delegate in service.http.iter().filter_map(|http| http.delegate.as_ref()) {
        let namespace = delegate.namespace.as_ref().unwrap_or(&object.key.namespace);
        if delegate::find(world, namespace, &delegate.name.value, &object.key.namespace).is_none() {
            // The parts of a host may come in any order, and from several teams.
            let message = format!("there is no VirtualService {namespace}/{} without hosts", delegate.name.value);
            let hint = "the route has no effect until it is there and exported to this namespace".to_owned();
            references.warnings.push(problem(object, &delegate.name.place, message, hint));
        }
    }
    for one in service.http.iter().flat_map(destinations) {
        destination(world, object, one, references);
    }
    for one in service.tcp.iter().flat_map(|route| &route.route) {
        destination(world, object, &one.destination, references);
    }
}

fn destinations(route: &HttpRoute) -> impl Iterator<Item = &Destination> {
    let routed = route.route.iter().map(|one| &one.destination);
    routed.chain(route.mirrors.iter().map(|one| &one.destination))
}

fn destination(world: &World, object: &Object, destination: &Destination, references: &mut References) {
    let host = world.resolve(&destination.host.value, &object.key.namespace);
    let Some(service) = world.registry().service(&host) else {
        let message = format!("there is no service {host}");
        references.errors.push(problem(object, &destination.host.place, message, services_hint(world)));
        return;
    };
    if !service.is_visible_to(&object.key.namespace) {
        let message = format!("{host} is not exported to the namespace {}", object.key.namespace);
        let hint = format!("exportTo in the namespace {} decides who sees it", service.namespace);
        references.warnings.push(problem(object, &destination.host.place, message, hint));
    }
    if let Some(port) = destination.port.filter(|port| !service.ports.iter().any(|one| one.number == *port)) {
        let ports: Vec<String> = service.ports.iter().map(|one| one.number.to_string()).collect();
        let message = format!("{host} has no port {port}");
        references.errors.push(problem(
            object,
            &destination.host.place,
            message,
            format!("it has {}", ports.join(", ")),
        ));
    }
    let Some(subset) = &destination.subset else { return };
    let rules = rules_for(world, &host, &service.namespace, &object.key.namespace);
    let names: Vec<&str> = rules.iter().flat_map(|rules| &rules.subsets).map(|one| one.name.as_str()).collect();
    if !names.contains(&subset.value.as_str()) {
        let message = format!("no DestinationRule of {host} has a subset {}", subset.value);
        let hint = if names.is_empty() {
            "apply a DestinationRule with it first".to_owned()
        } else {
            format!("there are {}", names.join(", "))
        };
        references.errors.push(problem(object, &subset.place, message, hint));
    }
}

fn services_hint(world: &World) -> String {
    let names: BTreeSet<&str> = world.registry().services().map(|service| service.name.as_str()).take(12).collect();
    if names.is_empty() {
        "no service is known yet".to_owned()
    } else {
        format!("known are {}", names.into_iter().collect::<Vec<_>>().join(", "))
    }
}

fn problem(object: &Object, place: &Place, message: String, hint: String) -> Problem {
    Problem {
        file: object.file.clone(),
        line: place.line,
        column: place.column,
        kind: object.key.kind.to_string(),
        namespace: object.key.namespace.clone(),
        name: object.key.name.clone(),
        field: place.field.clone(),
        message,
        hint,
    }
}
