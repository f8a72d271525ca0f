//! Heads as backends and clients saw them.

use http::HeaderMap;

use crate::answer::{Answer, Received, ReceivedHead};
use crate::case::{Call, OneOrMany, Request, Seen, Text};

pub(super) fn check(call: &Call, answer: &Answer, wrong: &mut Vec<String>) {
    let expect = &call.expect;
    if let Some(seen) = &expect.request {
        at_backend(call, answer, seen, wrong);
    }
    if let Some((_, seen)) = expect.requests.iter().find(|(name, _)| is_by(answer.backend(), name)) {
        at_backend(call, answer, seen, wrong);
    }
    let Some(seen) = &expect.response else { return };
    match answer.response() {
        None => wrong.push("expected a response to look at, got none".to_owned()),
        Some(response) => {
            headers("the response", seen, &response.headers, wrong);
            if let Some(body) = &seen.body
                && response.body != *body
            {
                wrong.push(format!("the response: expected the body {body:?}, got {:?}", response.body));
            }
        }
    }
}

fn is_by(received: Option<&Received>, name: &crate::case::Name) -> bool {
    received.is_some_and(|received| received.by.contains(name))
}

fn at_backend(call: &Call, answer: &Answer, seen: &Seen, wrong: &mut Vec<String>) {
    let Some(head) = answer.backend().and_then(|received| received.head.as_ref()) else {
        wrong.push("expected to see the request at a backend, none got it".to_owned());
        return;
    };
    let sent = call.request.as_ref();
    line("host", seen.host.as_deref().or_else(|| sent.and_then(|sent| sent.host.as_deref())), &head.host, wrong);
    line("path", seen.path.as_deref().or_else(|| sent.map(Request::path)), &head.path, wrong);
    line("method", seen.method.as_deref(), &head.method, wrong);
    headers("the request at the backend", seen, &head.headers, wrong);
}

fn line(what: &str, expected: Option<&str>, got: &str, wrong: &mut Vec<String>) {
    if let Some(expected) = expected
        && expected != got
    {
        wrong.push(format!("the request at the backend: expected the {what} {expected:?}, got {got:?}"));
    }
}

fn headers(where_: &str, seen: &Seen, got: &HeaderMap, wrong: &mut Vec<String>) {
    for (name, values) in &seen.headers {
        match joined(got, name) {
            Some(got) if is_one_of(&got, values) => {}
            Some(got) => wrong.push(format!("{where_}: expected {name}: {}, got {got:?}", alternatives(values))),
            None => wrong.push(format!("{where_}: expected {name}: {}, it is absent", alternatives(values))),
        }
    }
    for name in &seen.present {
        if !got.contains_key(name) {
            wrong.push(format!("{where_}: expected {name}, it is absent"));
        }
    }
    for name in &seen.absent {
        if let Some(got) = joined(got, name) {
            wrong.push(format!("{where_}: expected no {name}, got {got:?}"));
        }
    }
}

/// All values of a name, as one list.
fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// Blanks after commas do not count.
fn is_one_of(got: &str, values: &OneOrMany<Text>) -> bool {
    let plain = |text: &str| text.split(',').map(str::trim).collect::<Vec<_>>().join(",");
    values.as_slice().iter().any(|value| plain(&value.0) == plain(got))
}

fn alternatives(values: &OneOrMany<Text>) -> String {
    values.as_slice().iter().map(|value| format!("{:?}", value.0)).collect::<Vec<_>>().join(" or ")
}

impl ReceivedHead {
    /// From a request whose host is in the header `host`.
    pub(crate) fn of(parts: &http::request::Parts) -> Self {
        let host = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
        Self {
            method: parts.method.to_string(),
            host: host.unwrap_or_default().to_owned(),
            path: parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
            headers: parts.headers.clone(),
        }
    }
}
