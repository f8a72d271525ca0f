//! Routes and matches of a VirtualService that no request reaches, since an earlier one takes all of theirs.

use serde_json::{Map, Value};

use crate::code::Code;
use crate::finding::Report;
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::Look;

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    for service in snapshot.all("VirtualService") {
        for protocol in ["http", "tls", "tcp"] {
            check_routes(service, protocol, report);
        }
    }
}

/// One match of a route, without its name, which decides nothing.
struct Condition {
    route: usize,
    place: usize,
    fields: Map<String, Value>,
}

fn check_routes(service: &Resource, protocol: &str, report: &mut Report) {
    let mut earlier: Vec<Condition> = Vec::new();
    for (route, rule) in service.spec().list(&format!("/{protocol}")).iter().enumerate() {
        let mut own = conditions(route, rule);
        let repeats: Vec<bool> =
            own.iter().map(|condition| earlier.iter().any(|known| known.fields == condition.fields)).collect();
        let taken_by_all = earlier.iter().any(|known| known.fields.is_empty());
        if taken_by_all || repeats.iter().all(|repeated| *repeated) {
            let why = match taken_by_all {
                true => "an earlier rule matches everything",
                false => "earlier rules have all of its matches",
            };
            report.add(
                Code::VirtualServiceUnreachableRule,
                service,
                &format!("/spec/{protocol}/{route}"),
                format!("the {protocol} rule {} is never used: {why}", name_of(rule, route)),
            );
        }
        for (index, condition) in own.iter().enumerate() {
            let same_route = own[..index].iter();
            if let Some(known) = earlier.iter().chain(same_route).find(|known| takes_all_of(known, condition)) {
                report.add(
                    Code::VirtualServiceIneffectiveMatch,
                    service,
                    &format!("/spec/{protocol}/{route}/match/{}", condition.place),
                    format!(
                        "match {} of the {protocol} rule {} is never used: match {} of rule {} takes its requests",
                        condition.place,
                        name_of(rule, route),
                        known.place,
                        known.route
                    ),
                );
            }
        }
        earlier.append(&mut own);
    }
}

fn name_of(rule: &Value, index: usize) -> String {
    match rule.text("/name") {
        "" => index.to_string(),
        name => format!("{index} ({name})"),
    }
}

/// A rule without matches has one that takes everything.
fn conditions(route: usize, rule: &Value) -> Vec<Condition> {
    let listed = rule.list("/match");
    if listed.is_empty() {
        return vec![Condition { route, place: 0, fields: Map::new() }];
    }
    let fields = |condition: &Value| {
        let mut fields = condition.as_object().cloned().unwrap_or_default();
        fields.remove("name");
        fields
    };
    listed.iter().enumerate().map(|(place, condition)| Condition { route, place, fields: fields(condition) }).collect()
}

/// Whether every request of `later` is one of `earlier`: the same fields, or path prefixes that contain its own.
fn takes_all_of(earlier: &Condition, later: &Condition) -> bool {
    if later.fields.is_empty() {
        return false;
    }
    earlier.fields == later.fields || contains_prefix(&earlier.fields, &later.fields)
}

fn contains_prefix(earlier: &Map<String, Value>, later: &Map<String, Value>) -> bool {
    let prefix =
        |fields: &Map<String, Value>| fields.get("uri").and_then(|uri| uri.get("prefix")?.as_str().map(str::to_owned));
    let (Some(wide), Some(narrow)) = (prefix(earlier), prefix(later)) else { return false };
    let folds = |fields: &Map<String, Value>| fields.get("ignoreUriCase").cloned();
    let begins = narrow.starts_with(&wide) && folds(earlier) == folds(later);
    // Everything else that the earlier one asks for must be asked for by the later one too.
    begins && earlier.iter().filter(|(field, _)| *field != "uri").all(|(field, value)| later.get(field) == Some(value))
}
