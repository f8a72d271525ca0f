//! Status as Gateway API has it, in the place of what an object's status said before. What other controllers wrote stays.

use std::collections::BTreeMap;

use orrery_api::gateway_api::{GROUP, GatewayAddress, KubernetesGateway, ParentReference};
use orrery_api::{Kind, Object, Spec};
use serde_json::{Map, Value, json};

use crate::class::Controller;
use crate::condition::{Condition, Fault, conditions_of, written};
use crate::gateway::{Accepted, Report, Served};
use crate::listener::ListenerReport;
use crate::parent::{Attachment, Parent, shown};
use crate::policy::PolicyReport;
use crate::reach::Reach;
use crate::routes::RouteReport;

/// Ancestors that a policy's status has place for.
const ANCESTORS: usize = 16;

fn before(object: &Object) -> Option<&Value> {
    object.raw.get("status")
}

/// Of a GatewayClass.
pub(crate) fn of_class(object: &Object) -> Value {
    let conditions = [Condition::fine("Accepted", "a controller of this mesh serves it")];
    let mut status = object_of(before(object));
    let all = written(&conditions, &conditions_of(before(object)), object.meta.generation);
    status.insert("conditions".to_owned(), json!(all));
    Value::Object(status)
}

/// Of a Gateway or ListenerSet.
pub(crate) fn of_served(object: &Object, served: &Served, reach: &dyn Reach) -> Value {
    match served {
        Served::Here(report) => of_report(object, report, reach),
        Served::Elsewhere => elsewhere(object),
        Served::NotAllowed => {
            let fault = Fault::new("NotAllowed", "its Gateway takes no ListenerSet of this namespace");
            let conditions = [Condition::broken("Accepted", &fault), Condition::broken("Programmed", &fault)];
            let all = written(&conditions, &conditions_of(before(object)), object.meta.generation);
            json!({ "conditions": all })
        }
    }
}

fn of_report(object: &Object, report: &Report, reach: &dyn Reach) -> Value {
    let in_set = object.key.kind == Kind::ListenerSet;
    let reached = report.target.look(reach);
    let (accepted, invalid) = match &report.accepted {
        Accepted::Fully => (Condition::fine("Accepted", "it is valid"), None),
        Accepted::Partly => {
            let message = "some of its listeners are not valid".to_owned();
            (Condition { kind: "Accepted", holds: true, reason: "ListenersNotValid", message }, None)
        }
        Accepted::No(fault) => (Condition::broken("Accepted", fault), Some(fault)),
    };
    let unserved = invalid.filter(|fault| in_set && fault.reason == "ListenersNotValid");
    let mut conditions =
        vec![accepted, unserved.map_or(reached.programmed, |fault| Condition::broken("Programmed", fault))];
    if !in_set {
        let message = "everything that it refers to is there";
        conditions.push(Condition::unless("ResolvedRefs", report.resolved.as_ref(), message));
    }
    if report.insecure {
        conditions.push(Condition {
            kind: "InsecureFrontendValidationMode",
            holds: true,
            reason: "ConfigurationChanged",
            message: "clients without a valid certificate are let in".to_owned(),
        });
    }
    let mut status = Map::new();
    let generation = object.meta.generation;
    status.insert("conditions".to_owned(), json!(written(&conditions, &conditions_of(before(object)), generation)));
    status.insert("listeners".to_owned(), json!(listeners(object, &report.listeners)));
    if !in_set && !reached.addresses.is_empty() {
        status.insert(
            "addresses".to_owned(),
            json!(reached.addresses.iter().map(|one| address(one)).collect::<Vec<_>>()),
        );
    }
    if report.listener_sets > 0 {
        status.insert("attachedListenerSets".to_owned(), json!(report.listener_sets));
    }
    Value::Object(status)
}

fn address(value: &str) -> Value {
    let kind = if value.parse::<std::net::IpAddr>().is_ok() { "IPAddress" } else { "Hostname" };
    json!({ "type": kind, "value": value })
}

fn listeners(object: &Object, reports: &[ListenerReport]) -> Vec<Value> {
    let known = before(object).and_then(|status| status.get("listeners")).and_then(Value::as_array);
    let one = |report: &ListenerReport| {
        let named = |listener: &&Value| listener.get("name").and_then(Value::as_str) == Some(&report.name);
        let conditions = conditions_of(known.and_then(|known| known.iter().find(named)));
        let kinds: Vec<Value> = report.kinds.iter().map(|kind| json!({ "group": GROUP, "kind": kind })).collect();
        json!({
            "name": report.name,
            "attachedRoutes": report.attached,
            "supportedKinds": kinds,
            "conditions": written(&report.conditions, &conditions, object.meta.generation),
        })
    };
    reports.iter().map(one).collect()
}

/// Of a Gateway of another cluster: the addresses are those that were written.
fn elsewhere(object: &Object) -> Value {
    let conditions =
        [Condition::fine("Accepted", "it is valid"), Condition::fine("Programmed", "another cluster serves it")];
    let addresses: Vec<Value> = match &object.spec {
        Spec::KubernetesGateway(KubernetesGateway { addresses, .. }) => addresses.iter().map(as_written).collect(),
        _ => Vec::new(),
    };
    let all = written(&conditions, &conditions_of(before(object)), object.meta.generation);
    json!({ "addresses": addresses, "conditions": all })
}

fn as_written(wanted: &GatewayAddress) -> Value {
    use orrery_api::gateway_api::AddressType;
    let kind = match &wanted.kind {
        None | Some(AddressType::IpAddress) => "IPAddress",
        Some(AddressType::Hostname) => "Hostname",
        Some(AddressType::NamedAddress) => "NamedAddress",
        Some(AddressType::Other(kind)) => kind,
    };
    json!({ "type": kind, "value": wanted.value })
}

/// Of a route: one entry for each of its references that is ours, and those of other controllers as they are.
pub(crate) fn of_route(object: &Object, report: &RouteReport) -> Value {
    let namespace = &object.key.namespace;
    let mut ours = merged(report);
    let known = before(object).and_then(|status| status.get("parents")).and_then(Value::as_array);
    let mut parents = Vec::new();
    for entry in known.into_iter().flatten() {
        let Some(controller) = controller(entry) else {
            parents.push(entry.clone());
            continue;
        };
        // What is ours and no reference any more goes.
        let reference = shown(&reference(entry), namespace);
        let at =
            ours.iter().position(|one| shown(&one.reference, namespace) == reference && one.controller == controller);
        if let Some(at) = at {
            parents.push(parent(object, &ours.remove(at), &conditions_of(Some(entry))));
        }
    }
    ours.sort_by_cached_key(|one| std::cmp::Reverse(shown(&one.reference, namespace)));
    parents.extend(ours.iter().map(|one| parent(object, one, &[])));
    json!({ "parents": parents })
}

/// What is said of one reference of a route.
struct Told {
    reference: ParentReference,
    controller: Controller,
    conditions: Vec<Condition>,
}

/// A reference without a section is one to several listeners: one is enough, and otherwise the best reason is told.
fn merged(report: &RouteReport) -> Vec<Told> {
    let mut by_reference: BTreeMap<&ParentReference, Vec<&Attachment>> = BTreeMap::new();
    for attachment in &report.attachments {
        by_reference.entry(&attachment.reference).or_default().push(attachment);
    }
    let told = |(reference, all): (&ParentReference, Vec<&Attachment>)| {
        let best = all.iter().min_by_key(|one| one.refused.as_ref().map_or(0, crate::parent::Refusal::rank))?;
        let bound = all.iter().filter(|one| one.refused.is_none()).count();
        let message = if bound > 1 { format!("attached in {bound} places") } else { "attached".to_owned() };
        let refused = best.refused.as_ref().map(|refusal| Fault::new(refusal.reason(), refusal.message()));
        let resolved = match best.to {
            Parent::Listener { .. } => &report.at_gateways,
            Parent::Mesh { .. } => &report.in_mesh,
        };
        let conditions = vec![
            Condition::unless("Accepted", refused.as_ref(), &message),
            Condition::unless("ResolvedRefs", resolved.as_ref(), "everything that it refers to is there"),
        ];
        Some(Told { reference: reference.clone(), controller: best.controller, conditions })
    };
    by_reference.into_iter().filter_map(told).collect()
}

fn parent(object: &Object, told: &Told, before: &[Value]) -> Value {
    json!({
        "parentRef": reference_value(&told.reference),
        "controllerName": told.controller.name(),
        "conditions": written(&told.conditions, before, object.meta.generation),
    })
}

fn reference_value(reference: &ParentReference) -> Value {
    let mut fields = Map::new();
    let texts = [
        ("group", &reference.group),
        ("kind", &reference.kind),
        ("namespace", &reference.namespace),
        ("sectionName", &reference.section_name),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            fields.insert(name.to_owned(), json!(text));
        }
    }
    fields.insert("name".to_owned(), json!(reference.name));
    if let Some(port) = reference.port {
        fields.insert("port".to_owned(), json!(port));
    }
    Value::Object(fields)
}

/// Of a policy: one entry for each target, and one for each Gateway whose routes call them.
pub(crate) fn of_policy(object: &Object, report: &PolicyReport) -> Value {
    let mut ours: Vec<Told> = report
        .targets
        .iter()
        .map(|(target, conditions)| Told {
            reference: ParentReference {
                group: Some(target.group.clone()),
                kind: Some(target.kind.clone()),
                name: target.name.clone(),
                section_name: target.section_name.clone(),
                ..ParentReference::default()
            },
            controller: Controller::Mesh,
            conditions: conditions.clone(),
        })
        .collect();
    for (key, controller, conditions) in report.callers() {
        let namespace = (key.namespace != object.key.namespace).then(|| key.namespace.clone());
        ours.push(Told {
            reference: ParentReference {
                group: Some(GROUP.to_owned()),
                kind: Some("Gateway".to_owned()),
                name: key.name.clone(),
                namespace,
                ..ParentReference::default()
            },
            controller,
            conditions: conditions.to_vec(),
        });
    }
    let known = before(object).and_then(|status| status.get("ancestors")).and_then(Value::as_array);
    let mut ancestors = Vec::new();
    for entry in known.into_iter().flatten() {
        if controller(entry).is_none() {
            ancestors.push(entry.clone());
            continue;
        }
        let reference = entry.get("ancestorRef").map(reference_of).unwrap_or_default();
        if let Some(at) = ours.iter().position(|one| one.reference == reference) {
            ancestors.push(ancestor(object, &ours.remove(at), &conditions_of(Some(entry))));
        }
    }
    ancestors.extend(ours.iter().map(|one| ancestor(object, one, &[])));
    ancestors.truncate(ANCESTORS);
    json!({ "ancestors": ancestors })
}

fn ancestor(object: &Object, told: &Told, before: &[Value]) -> Value {
    json!({
        "ancestorRef": reference_value(&told.reference),
        "controllerName": told.controller.name(),
        "conditions": written(&told.conditions, before, object.meta.generation),
    })
}

/// The controller of an entry, if it is one of ours.
fn controller(entry: &Value) -> Option<Controller> {
    Controller::named(entry.get("controllerName")?.as_str()?)
}

fn reference(entry: &Value) -> ParentReference {
    entry.get("parentRef").map(reference_of).unwrap_or_default()
}

fn reference_of(value: &Value) -> ParentReference {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    ParentReference {
        group: text("group"),
        kind: text("kind"),
        name: text("name").unwrap_or_default(),
        namespace: text("namespace"),
        section_name: text("sectionName"),
        port: value.get("port").and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok()),
    }
}

fn object_of(status: Option<&Value>) -> Map<String, Value> {
    status.and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Nothing is said of a pool but what others said.
pub(crate) fn of_pool(object: &Object) -> Value {
    Value::Object(object_of(before(object)))
}
