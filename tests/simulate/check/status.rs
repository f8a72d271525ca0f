//! An object's status, as it stands in the object, held against what is expected of it.

use serde_json::Value;

use crate::case::{Conditions, OneOrMany, ParentExpectation, StatusExpectation, Text};

/// What differs; `status` is what the object has under that key, `None` when it has none.
pub(crate) fn status(expected: &StatusExpectation, status: Option<&Value>) -> Vec<String> {
    let mut wrong = Vec::new();
    let Some(status) = status else { return vec!["it has no status".to_owned()] };
    conditions("", &expected.conditions, status, &mut wrong);
    for parent in &expected.parents {
        check_parent(parent, status, &mut wrong);
    }
    listeners(expected, status, &mut wrong);
    if let Some(generation) = expected.observed_generation {
        for one in all_conditions(status) {
            if one["observedGeneration"].as_i64() != Some(generation) {
                wrong.push(format!("expected the observed generation {generation} in {one}"));
            }
        }
    }
    if let Some(addresses) = &expected.addresses {
        check_addresses(addresses, &status["addresses"], &mut wrong);
    }
    if let Some(count) = expected.attached_listener_sets
        && status["attachedListenerSets"].as_u64().unwrap_or(0) != u64::from(count)
    {
        wrong.push(format!("expected {count} attached ListenerSets, got {}", status["attachedListenerSets"]));
    }
    wrong
}

fn conditions(of: &str, expected: &Conditions, status: &Value, wrong: &mut Vec<String>) {
    for (kind, alternatives) in expected {
        let found = status["conditions"].as_array().into_iter().flatten().find(|one| one["type"] == **kind);
        match found {
            None => wrong.push(format!("{of}expected the condition {kind}, it is absent")),
            Some(found) if !is_any(found, alternatives) => wrong.push(format!(
                "{of}expected {kind} to be {}, got {} {}: {}",
                words(alternatives),
                text(&found["status"]),
                text(&found["reason"]),
                text(&found["message"])
            )),
            Some(_) => {}
        }
    }
}

fn is_any(found: &Value, alternatives: &OneOrMany<Text>) -> bool {
    alternatives.as_slice().iter().any(|wanted| {
        let (status, reason) = wanted.0.split_once(' ').unwrap_or((&wanted.0, ""));
        text(&found["status"]).eq_ignore_ascii_case(status) && (reason.is_empty() || text(&found["reason"]) == reason)
    })
}

fn check_parent(expected: &ParentExpectation, status: &Value, wrong: &mut Vec<String>) {
    let is_it = |one: &&Value| {
        let parent = &one["parentRef"];
        let namespace = parent["namespace"].as_str();
        parent["kind"].as_str().unwrap_or("Gateway") == expected.parent.kind
            && parent["name"] == *expected.parent.name
            && namespace.is_none_or(|namespace| namespace == expected.parent.namespace)
            && parent["sectionName"].as_str() == expected.section.as_deref()
            && parent["port"].as_u64() == expected.port.map(u64::from)
    };
    let lists = ["parents", "ancestors"].into_iter().filter_map(|list| status[list].as_array());
    let with_ref = lists.flatten().map(|one| match one.get("ancestorRef") {
        Some(ancestor) => {
            let mut one = one.clone();
            one["parentRef"] = ancestor.clone();
            one
        }
        None => one.clone(),
    });
    let all: Vec<Value> = with_ref.collect();
    match all.iter().find(is_it) {
        Some(found) => conditions(&format!("parent {}: ", expected.parent), &expected.conditions, found, wrong),
        None => {
            let (parent, section, port) = (&expected.parent, &expected.section, &expected.port);
            wrong.push(format!("expected the parent {parent} (section {section:?}, port {port:?}), it is absent"));
        }
    }
}

fn listeners(expected: &StatusExpectation, status: &Value, wrong: &mut Vec<String>) {
    for (name, listener) in &expected.listeners {
        let found = status["listeners"].as_array().into_iter().flatten().find(|one| one["name"] == **name);
        let Some(found) = found else {
            wrong.push(format!("expected the listener {name}, it is absent"));
            continue;
        };
        let of = format!("listener {name}: ");
        conditions(&of, &listener.conditions, found, wrong);
        if let Some(routes) = listener.attached_routes
            && found["attachedRoutes"].as_u64() != Some(u64::from(routes))
        {
            wrong.push(format!("{of}expected {routes} attached routes, got {}", found["attachedRoutes"]));
        }
        if let Some(kinds) = &listener.supported_kinds {
            let got: Vec<&str> = found["supportedKinds"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|one| one["kind"].as_str())
                .collect();
            let all = kinds.iter().all(|kind| got.contains(&kind.as_str()));
            if !all || (kinds.is_empty() && !got.is_empty()) {
                wrong.push(format!("{of}expected the supported kinds {kinds:?}, got {got:?}"));
            }
        }
    }
}

fn check_addresses(expected: &Value, got: &Value, wrong: &mut Vec<String>) {
    let got: Vec<&str> = got.as_array().into_iter().flatten().filter_map(|one| one["value"].as_str()).collect();
    let right = match expected {
        Value::Array(wanted) => {
            wanted.len() == got.len() && wanted.iter().all(|one| one.as_str().is_some_and(|one| got.contains(&one)))
        }
        _ => !got.is_empty(),
    };
    if !right {
        wrong.push(format!("expected the addresses {expected}, got {got:?}"));
    }
}

/// Conditions of the object, its parents and its listeners.
fn all_conditions(status: &Value) -> impl Iterator<Item = &Value> {
    let inner = ["parents", "ancestors", "listeners"].into_iter().filter_map(|list| status[list].as_array()).flatten();
    std::iter::once(status).chain(inner).filter_map(|part| part["conditions"].as_array()).flatten()
}

fn words(alternatives: &OneOrMany<Text>) -> String {
    alternatives.as_slice().iter().map(|one| format!("{:?}", one.0)).collect::<Vec<_>>().join(" or ")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
