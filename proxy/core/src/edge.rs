//! What is believed of a request's headers: at an edge nothing that only proxies say to each other, inside the mesh
//! little of it, and the client's address only as far as the trusted proxies in front of us vouch for it.
//!
//! Follows Envoy (`use_remote_address`, `xff_num_trusted_hops`), and takes Istio's metadata headers away at an edge.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::listener::ForwardedFor;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const EXTERNAL_ADDRESS: HeaderName = HeaderName::from_static("x-envoy-external-address");
const CLIENT_CERTIFICATE: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Begins the names of headers between proxies.
const FAMILY: &str = "x-envoy-";

/// What no client says, inside the mesh or outside: it would steer the proxies behind us.
const NOBODYS: [&str; 17] = [
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-force-trace",
    "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-internal",
    "x-envoy-ip-tags",
    "x-envoy-is-timeout-retry",
    "x-envoy-max-retries",
    "x-envoy-original-url",
    "x-envoy-retriable-header-names",
    "x-envoy-retriable-status-codes",
    "x-envoy-retry-grpc-on",
    "x-envoy-retry-on",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-upstream-rq-timeout-alt-response",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-stream-duration-ms",
];

/// What proxies of the mesh tell each other, and a client outside would pretend.
const MESH: [&str; 11] = [
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-downstream-service-cluster",
    "x-envoy-downstream-service-node",
    "x-envoy-external-address",
    "x-envoy-original-dst-host",
    "x-envoy-original-host",
    "x-envoy-original-method",
    "x-envoy-original-path",
    "x-envoy-peer-metadata",
    "x-envoy-peer-metadata-id",
];

/// How a request came to us.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The other end of the connection.
    pub peer: IpAddr,
    pub tls: bool,
}

/// Makes a request's headers what the rest of the mesh may believe.
pub fn clean(headers: &mut HeaderMap, forwarded_for: ForwardedFor, arrival: Arrival) {
    // A proxy that is asked to tell of client certificates writes the header anew.
    headers.remove(CLIENT_CERTIFICATE);
    match forwarded_for {
        ForwardedFor::Trust => {
            remove(headers, |name| NOBODYS.contains(&name));
            if !headers.contains_key(FORWARDED_PROTO) {
                headers.insert(FORWARDED_PROTO, scheme_value(arrival));
            }
        }
        ForwardedFor::UseRemoteAddress { trusted_hops, keep_request_id } => {
            remove(headers, |name| NOBODYS.contains(&name) || MESH.contains(&name));
            let client = client_address(headers, trusted_hops).unwrap_or(arrival.peer);
            append_peer(headers, arrival.peer);
            if let Ok(client) = HeaderValue::from_str(&client.to_string()) {
                headers.insert(EXTERNAL_ADDRESS, client);
            }
            if trusted_hops == 0 || !headers.contains_key(FORWARDED_PROTO) {
                headers.insert(FORWARDED_PROTO, scheme_value(arrival));
            }
            if !keep_request_id {
                headers.remove(REQUEST_ID);
            }
        }
    }
}

/// How the client first spoke to the mesh, as the proxies that we believe say: `http` or `https`.
pub fn scheme(headers: &HeaderMap, tls: bool) -> &'static str {
    match headers.get(FORWARDED_PROTO).map(HeaderValue::as_bytes) {
        Some(b"https") => "https",
        Some(b"http") => "http",
        Some(_) | None if tls => "https",
        Some(_) | None => "http",
    }
}

fn remove(headers: &mut HeaderMap, hostile: impl Fn(&str) -> bool) {
    // Nearly always none: then nothing is allocated.
    let found: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with(FAMILY) && hostile(name.as_str())).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// The address that the outermost trusted proxy saw: the entry that it appended.
fn client_address(headers: &HeaderMap, trusted_hops: u32) -> Option<IpAddr> {
    let back = usize::try_from(trusted_hops).ok()?.checked_sub(1)?;
    let values = headers.get_all(FORWARDED_FOR);
    let entries = values.iter().rev().flat_map(|value| value.as_bytes().rsplit(|b| *b == b','));
    let entry = entries.into_iter().nth(back)?;
    std::str::from_utf8(entry).ok()?.trim().parse().ok()
}

/// Puts our peer behind those that others put there; several headers become one.
fn append_peer(headers: &mut HeaderMap, peer: IpAddr) {
    let mut all = Vec::new();
    for before in headers.get_all(FORWARDED_FOR) {
        all.extend_from_slice(before.as_bytes());
        all.push(b',');
    }
    all.extend_from_slice(peer.to_string().as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&all) {
        headers.insert(FORWARDED_FOR, value);
    }
}

fn scheme_value(arrival: Arrival) -> HeaderValue {
    HeaderValue::from_static(if arrival.tls { "https" } else { "http" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGE: ForwardedFor = ForwardedFor::UseRemoteAddress { trusted_hops: 0, keep_request_id: false };
    const BEHIND_ONE: ForwardedFor = ForwardedFor::UseRemoteAddress { trusted_hops: 1, keep_request_id: false };

    fn cleaned(given: &[(&str, &str)], forwarded_for: ForwardedFor) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        clean(&mut headers, forwarded_for, Arrival { peer: [10, 0, 0, 9].into(), tls: false });
        headers
    }

    #[test]
    fn clients_cannot_steer_proxies() {
        for name in NOBODYS {
            for forwarded_for in [EDGE, BEHIND_ONE, ForwardedFor::Trust] {
                assert_eq!(cleaned(&[(name, "1")], forwarded_for).get(name), None, "{name} {forwarded_for:?}");
            }
        }
        for forwarded_for in [EDGE, BEHIND_ONE, ForwardedFor::Trust] {
            let headers = cleaned(&[("x-forwarded-client-cert", "URI=spiffe://a")], forwarded_for);
            assert!(!headers.contains_key("x-forwarded-client-cert"));
        }
    }

    #[test]
    fn clients_outside_cannot_speak_as_the_mesh() {
        for name in MESH.into_iter().filter(|name| *name != "x-envoy-external-address") {
            assert_eq!(cleaned(&[(name, "1"), (name, "2")], EDGE).get(name), None, "{name}");
            assert_eq!(cleaned(&[(name, "1")], ForwardedFor::Trust)[name], "1", "{name}");
        }
        assert_eq!(cleaned(&[("x-envoy-external-address", "1.1.1.1")], EDGE)["x-envoy-external-address"], "10.0.0.9");
        assert!(!cleaned(&[("x-request-id", "mine")], EDGE).contains_key("x-request-id"));
        assert_eq!(cleaned(&[("x-request-id", "mine")], ForwardedFor::Trust)["x-request-id"], "mine");
        let keeping = ForwardedFor::UseRemoteAddress { trusted_hops: 0, keep_request_id: true };
        assert_eq!(cleaned(&[("x-request-id", "mine")], keeping)["x-request-id"], "mine");
    }

    #[test]
    fn the_clients_address_is_what_trusted_proxies_saw() {
        let given =
            [("x-forwarded-for", "9.9.9.9"), ("x-forwarded-for", "8.8.8.8, 7.7.7.7"), ("x-forwarded-proto", "https")];
        for (hops, external, proto) in [
            (0, "10.0.0.9", "http"),
            (1, "7.7.7.7", "https"),
            (2, "8.8.8.8", "https"),
            (3, "9.9.9.9", "https"),
            (4, "10.0.0.9", "https"),
        ] {
            let headers =
                cleaned(&given, ForwardedFor::UseRemoteAddress { trusted_hops: hops, keep_request_id: false });
            assert_eq!(headers["x-envoy-external-address"], external, "{hops}");
            assert_eq!(headers["x-forwarded-for"], "9.9.9.9,8.8.8.8, 7.7.7.7,10.0.0.9");
            assert_eq!(headers.get_all("x-forwarded-for").iter().count(), 1);
            assert_eq!(headers["x-forwarded-proto"], proto, "{hops}");
            assert_eq!(scheme(&headers, false), proto);
        }
        let headers = cleaned(&given, ForwardedFor::Trust);
        assert_eq!(headers.get_all("x-forwarded-for").iter().count(), 2, "passed on as it came");
        assert_eq!(headers["x-forwarded-proto"], "https");
    }

    #[test]
    fn a_forged_list_is_no_address() {
        for list in ["nonsense", "", "1.2.3.4,", "1.2.3.4:80", "\u{7f}"] {
            let mut headers = HeaderMap::new();
            headers.insert(
                "x-forwarded-for",
                HeaderValue::from_bytes(list.trim_end_matches('\u{7f}').as_bytes()).unwrap(),
            );
            clean(&mut headers, BEHIND_ONE, Arrival { peer: [10, 0, 0, 9].into(), tls: true });
            assert_eq!(headers["x-envoy-external-address"], "10.0.0.9", "{list:?}");
        }
    }
}
