//! Webhooks of a control plane that runs outside of the cluster.

use std::net::IpAddr;

use crate::code::Code;
use crate::finding::Report;
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::Look;

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    let validators = ["istio-validator", "istiod-default-validator"];
    for webhook in snapshot.all("ValidatingWebhookConfiguration") {
        if validators.iter().any(|prefix| webhook.name.starts_with(prefix)) {
            check_urls(webhook, report);
        }
    }
    for webhook in snapshot.all("MutatingWebhookConfiguration") {
        if webhook.name.starts_with("istio-sidecar-injector") {
            check_urls(webhook, report);
        }
    }
}

fn check_urls(configuration: &Resource, report: &mut Report) {
    for (index, webhook) in configuration.body.list("/webhooks").iter().enumerate() {
        let client = webhook.at("/clientConfig");
        let (url, pointer) = (client.text("/url"), format!("/webhooks/{index}/clientConfig"));
        if client.has("/service") && url.is_empty() {
            continue;
        }
        match host_of(url) {
            None => report.add(
                Code::InvalidExternalControlPlaneConfig,
                configuration,
                &pointer,
                format!("the webhook {} has no usable URL: {url:?}", webhook.text("/name")),
            ),
            Some(host) if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() => report.add(
                Code::ExternalControlPlaneAddressIsNotAHostname,
                configuration,
                &pointer,
                format!("the webhook {} calls the address {host}", webhook.text("/name")),
            ),
            Some(_) => {}
        }
    }
}

/// The host of an `https` URL.
fn host_of(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.chars().all(|c| c.is_ascii_digit()) => host,
        Some(_) | None => authority,
    };
    (!host.is_empty()).then_some(host)
}
