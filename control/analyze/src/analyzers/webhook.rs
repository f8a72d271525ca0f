//! Injection webhooks that overlap, so that pods are injected twice, or that lead nowhere.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::code::Code;
use crate::finding::Report;
use crate::injection::{INJECT, INJECTION, REVISION};
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::{Labels, Look, label_selector_selects};

/// Names of Istio's webhooks end on this.
const ISTIO: &str = "istio.io";
/// Revisions that are tried. Real meshes have two or three.
const MOST: usize = 100;

struct Webhook<'a> {
    configuration: &'a Resource,
    index: usize,
    body: &'a Value,
}

impl Webhook<'_> {
    fn path(&self) -> String {
        format!("{}/{}", self.configuration.name, self.body.text("/name"))
    }

    fn selects(&self, namespace: &Labels, pod: &Labels) -> bool {
        label_selector_selects(self.body.at("/namespaceSelector"), namespace)
            && label_selector_selects(self.body.at("/objectSelector"), pod)
    }
}

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    let mut webhooks = Vec::new();
    let mut revisions = BTreeSet::new();
    for configuration in snapshot.all("MutatingWebhookConfiguration") {
        let of_this = revisions_of(configuration);
        let mut listed = configuration.body.list("/webhooks").iter();
        if !of_this.is_empty() || listed.any(|webhook| webhook.text("/name").ends_with(ISTIO)) {
            webhooks.extend(webhooks_of(configuration));
            revisions.extend(of_this);
        }
    }
    check_overlap(&webhooks, &revisions, report);
    for webhook in &webhooks {
        let service = webhook.body.at("/clientConfig/service");
        let (namespace, name) = (service.text("/namespace"), service.text("/name"));
        if !service.is_null() && !snapshot.exists("Service", namespace, name) {
            report.add(
                Code::InvalidWebhook,
                webhook.configuration,
                &format!("/webhooks/{}/clientConfig/service", webhook.index),
                format!("{} calls the service {namespace}/{name}, which does not exist", webhook.path()),
            );
        }
    }
}

fn webhooks_of(configuration: &Resource) -> impl Iterator<Item = Webhook<'_>> {
    let all = configuration.body.list("/webhooks").iter().enumerate();
    all.map(|(index, body)| Webhook { configuration, index, body })
}

/// Revisions that a configuration is for: by its label, and by what its webhooks select.
fn revisions_of(configuration: &Resource) -> BTreeSet<String> {
    let mut revisions: BTreeSet<String> = configuration.labels.get(REVISION).cloned().into_iter().collect();
    for webhook in configuration.body.list("/webhooks") {
        for selector in [webhook.at("/namespaceSelector"), webhook.at("/objectSelector")] {
            revisions.extend(selector.labels("/matchLabels").remove(REVISION));
            let expressions = selector.list("/matchExpressions").iter();
            let about = expressions.filter(|expression| expression.text("/key") == REVISION);
            revisions.extend(about.flat_map(|expression| expression.texts("/values")).map(str::to_owned));
        }
    }
    revisions
}

/// Tries every combination of the labels that injection goes by. None may be selected by two webhooks.
fn check_overlap(webhooks: &[Webhook<'_>], revisions: &BTreeSet<String>, report: &mut Report) {
    let namespaces = combinations(INJECTION, ["enabled", "disabled"], revisions);
    let pods = combinations(INJECT, ["true", "false"], revisions);
    let mut told: BTreeSet<(usize, String)> = BTreeSet::new();
    for namespace in &namespaces {
        for pod in &pods {
            let hit: Vec<usize> =
                (0..webhooks.len()).filter(|index| webhooks[*index].selects(namespace, pod)).collect();
            for index in hit.iter().filter(|_| hit.len() > 1) {
                let others = hit.iter().filter(|other| *other != index).map(|other| webhooks[*other].path());
                let others: BTreeSet<String> = others.collect();
                told.insert((*index, others.into_iter().collect::<Vec<_>>().join(", ")));
            }
        }
    }
    for (index, others) in told {
        report.add(
            Code::InvalidWebhook,
            webhooks[index].configuration,
            &format!("/webhooks/{index}"),
            format!("pods that {} injects are also injected by {others}", webhooks[index].path()),
        );
    }
}

/// A label absent, and with each of its values; the same again with each revision.
fn combinations(key: &str, values: [&str; 2], revisions: &BTreeSet<String>) -> Vec<Labels> {
    let with = |value: &str| Labels::from([(key.to_owned(), value.to_owned())]);
    let base = [Labels::new(), with(values[0]), with(values[1])];
    let mut all = base.to_vec();
    for revision in revisions.iter().take(MOST) {
        all.extend(base.iter().cloned().map(|mut labels| {
            labels.insert(REVISION.to_owned(), revision.clone());
            labels
        }));
    }
    all
}
