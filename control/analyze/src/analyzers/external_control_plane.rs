//! Webhooks of a control plane that runs outside of the cluster.

use std::net::IpAddr;

use crate::code::Code;
use crate::finding::Report;
use crate::injection::INJECTOR;
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::value::Look;

/// The one that validates for the default revision, and how those of all revisions begin.
const DEFAULT_VALIDATOR: &str = "istiod-default-validator";
const VALIDATOR: &str = "istio-validator";

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    let validates = |name: &str| name == DEFAULT_VALIDATOR || name.starts_with(VALIDATOR);
    for webhook in snapshot.all("ValidatingWebhookConfiguration").filter(|found| validates(&found.name)) {
        check_urls(webhook, report);
    }
    for webhook in snapshot.all("MutatingWebhookConfiguration").filter(|found| found.name.starts_with(INJECTOR)) {
        check_urls(webhook, report);
    }
}

fn check_urls(configuration: &Resource, report: &mut Report) {
    for (index, webhook) in configuration.body.list("/webhooks").iter().enumerate() {
        let (client, pointer) = (webhook.at("/clientConfig"), format!("/webhooks/{index}/clientConfig"));
        let name = webhook.text("/name");
        let Some(url) = client.at("/url").as_str() else {
            if !client.has("/service") {
                let message = format!("the webhook {name} has neither a URL nor a service");
                report.add(Code::InvalidExternalControlPlaneConfig, configuration, &pointer, message);
            }
            continue;
        };
        match host_of(url) {
            None => report.add(
                Code::InvalidExternalControlPlaneConfig,
                configuration,
                &pointer,
                format!("the URL {url:?} of the webhook {name} cannot be read"),
            ),
            Some(host) if host.parse::<IpAddr>().is_ok() => report.add(
                Code::ExternalControlPlaneAddressIsNotAHostname,
                configuration,
                &pointer,
                format!("the webhook {name} calls the address {host}"),
            ),
            Some(_) => {}
        }
    }
}

/// The host of a URL (RFC 3986), empty when it has none; nothing for what is no URL.
fn host_of(url: &str) -> Option<&str> {
    let escaped = |(at, _): (usize, &str)| {
        url.as_bytes().get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    };
    if url.chars().any(char::is_control) || !url.match_indices('%').all(escaped) {
        return None;
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        // A scheme alone, or a relative reference whose first part has no colon.
        let first = url.split(['/', '?', '#']).next().unwrap_or_default();
        return first.split_once(':').is_none_or(|(scheme, _)| is_scheme(scheme)).then_some("");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match host.strip_prefix('[') {
        Some(address) => address.split_once(']')?,
        None => host.find(':').map_or((host, ""), |colon| host.split_at(colon)),
    };
    let port = port.strip_prefix(':').unwrap_or(port);
    let fine = is_scheme(scheme) && !host.contains([' ', '<', '>', '"']) && port.chars().all(|c| c.is_ascii_digit());
    fine.then_some(host)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_urls() {
        for (url, host) in [
            ("https://istiod.example:15017/inject", Some("istiod.example")),
            ("https://10.0.0.1/inject", Some("10.0.0.1")),
            ("https://user@[2001:db8::1]:443/", Some("2001:db8::1")),
            ("", Some("")),
            ("istiod", Some("")),
            ("mailto:somebody", Some("")),
            (":15017/inject", None),
            ("https://istiod:port/", None),
            ("https://is tiod/", None),
            ("https://istiod/%zz", None),
            ("https://[::1/", None),
            ("https://istiod/\n", None),
        ] {
            assert_eq!(host_of(url), host, "{url:?}");
        }
    }
}
