//! Injection webhooks that overlap, so that pods are injected twice, or that lead nowhere.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::code::Code;
use crate::finding::Report;
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::{Labels, Look, label_selector_selects};

/// Webhooks of injection end on this.
const INJECTOR: &str = "sidecar-injector.istio.io";

struct Webhook<'a> {
    configuration: &'a Resource,
    index: usize,
    body: &'a Value,
}

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    let webhooks: Vec<Webhook<'_>> = snapshot.all("MutatingWebhookConfiguration").flat_map(injectors).collect();
    check_overlap(&webhooks, report);
    for webhook in &webhooks {
        let service = webhook.body.at("/clientConfig/service");
        let (namespace, name) = (service.text("/namespace"), service.text("/name"));
        if !service.is_null() && !snapshot.exists("Service", namespace, name) {
            report.add(
                Code::InvalidWebhook,
                webhook.configuration,
                &format!("/webhooks/{}/clientConfig/service", webhook.index),
                format!(
                    "the webhook {} calls the service {namespace}/{name}, which does not exist",
                    webhook.body.text("/name")
                ),
            );
        }
    }
}

fn injectors(configuration: &Resource) -> Vec<Webhook<'_>> {
    let all = configuration.body.list("/webhooks").iter().enumerate();
    all.filter(|(_, body)| body.text("/name").ends_with(INJECTOR))
        .map(|(index, body)| Webhook { configuration, index, body })
        .collect()
}

/// Tries every combination of labels that some selector speaks of: those of the namespace, then those of the pod.
fn check_overlap(webhooks: &[Webhook<'_>], report: &mut Report) {
    let namespaces = combinations(webhooks, "/namespaceSelector");
    let pods = combinations(webhooks, "/objectSelector");
    let mut rivals: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for namespace in &namespaces {
        for pod in &pods {
            let hit: Vec<usize> = (0..webhooks.len())
                .filter(|index| {
                    label_selector_selects(webhooks[*index].body.at("/namespaceSelector"), namespace)
                        && label_selector_selects(webhooks[*index].body.at("/objectSelector"), pod)
                })
                .collect();
            for one in &hit {
                for other in hit.iter().filter(|other| *other != one) {
                    let other = &webhooks[*other];
                    let name = format!("{}/{}", other.configuration.name, other.body.text("/name"));
                    rivals.entry(*one).or_default().insert(name);
                }
            }
        }
    }
    for (index, others) in rivals {
        let (webhook, others) = (&webhooks[index], others.into_iter().collect::<Vec<_>>());
        report.add(
            Code::InvalidWebhook,
            webhook.configuration,
            &format!("/webhooks/{}", webhook.index),
            format!("pods that {} injects are also injected by {}", webhook.body.text("/name"), others.join(", ")),
        );
    }
}

/// At most this many combinations are tried; selectors of real installations need a few dozen.
const MOST: usize = 4_096;

/// All sets of labels with, for each key that is spoken of, one of its values, another one, or none.
fn combinations(webhooks: &[Webhook<'_>], pointer: &str) -> Vec<Labels> {
    let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for webhook in webhooks {
        let selector = webhook.body.at(pointer);
        for (key, value) in selector.labels("/matchLabels") {
            values.entry(key).or_default().insert(value);
        }
        for expression in selector.list("/matchExpressions") {
            let known = values.entry(expression.text("/key").to_owned()).or_default();
            known.extend(expression.texts("/values").into_iter().map(str::to_owned));
            known.insert("another".to_owned());
        }
    }
    let mut sets = vec![Labels::new()];
    for (key, values) in values {
        if sets.len() * (values.len() + 1) > MOST {
            break;
        }
        let with = |set: &Labels, value: &String| {
            let mut set = set.clone();
            set.insert(key.clone(), value.clone());
            set
        };
        let more: Vec<Labels> = sets.iter().flat_map(|set| values.iter().map(move |value| with(set, value))).collect();
        sets.extend(more);
    }
    sets
}
