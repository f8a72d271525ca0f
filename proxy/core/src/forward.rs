//! What becomes of a request on its way: destination of a split, rewritten path, changed headers, redirect location.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use crate::matching::RequestView;
use crate::route::{HashCookie, HashInput, HeaderOp, PathMatch, PathRewrite, Redirect, WeightedCluster};
use crate::select::without_port;

/// The destination of a split for this random number; `None` when all weights are 0.
pub fn pick_cluster(clusters: &[WeightedCluster], random: u64) -> Option<&WeightedCluster> {
    if let [only] = clusters {
        return Some(only);
    }
    let total: u64 = clusters.iter().map(|cluster| u64::from(cluster.weight)).sum();
    let mut left = random.checked_rem(total)?;
    clusters.iter().find(|cluster| {
        let weight = u64::from(cluster.weight);
        let here = left < weight;
        left = left.saturating_sub(weight);
        here
    })
}

/// The new path with its query. `matched` is what the route matched by: a prefix rewrite replaces just that.
pub fn rewrite_path(rewrite: &PathRewrite, matched: &PathMatch, path: &str, query: Option<&str>) -> String {
    let mut new = match rewrite {
        PathRewrite::Full(full) => full.to_string(),
        PathRewrite::Prefix(replacement) => {
            let rest = path.get(matched_length(matched, path)..).unwrap_or_default();
            join_prefix(replacement, rest)
        }
        PathRewrite::Regex { pattern, substitution } => pattern.replace_all(path, &**substitution).into_owned(),
    };
    if !new.starts_with('/') {
        new.insert(0, '/');
    }
    if let Some(query) = query {
        new.push('?');
        new.push_str(query);
    }
    new
}

/// `/a` replaced by `/` must turn `/a/b` into `/b`, not `//b`.
fn join_prefix(replacement: &str, rest: &str) -> String {
    match (replacement.ends_with('/'), rest.strip_prefix('/')) {
        (true, Some(tail)) => format!("{replacement}{tail}"),
        _ => format!("{replacement}{rest}"),
    }
}

fn matched_length(matched: &PathMatch, path: &str) -> usize {
    match matched {
        PathMatch::Prefix { value, .. } | PathMatch::SeparatedPrefix { value, .. } => value.len(),
        PathMatch::Exact { .. } | PathMatch::Regex(_) | PathMatch::Connect => path.len(),
    }
}

/// Applies header changes: removals first, then the others in their order.
pub fn apply(operations: &[HeaderOp], headers: &mut HeaderMap) {
    for operation in operations {
        if let HeaderOp::Remove(name) = operation {
            headers.remove(name);
        }
    }
    for operation in operations {
        match operation {
            HeaderOp::Remove(_) => {}
            HeaderOp::Set(name, value) => {
                headers.insert(name.clone(), value.clone());
            }
            HeaderOp::Append(name, value) => {
                headers.append(name.clone(), value.clone());
            }
            HeaderOp::Default(name, value) => {
                headers.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
    }
}

/// The `location` of a redirect.
pub fn location(redirect: &Redirect, matched: &PathMatch, request: &RequestView<'_>) -> String {
    let scheme = redirect.scheme.as_deref().unwrap_or(request.scheme);
    let query = request.query.filter(|_| !redirect.strip_query);
    let path = match &redirect.path {
        Some(rewrite) => rewrite_path(rewrite, matched, request.path, query),
        None => query.map_or_else(|| request.path.to_owned(), |query| format!("{}?{query}", request.path)),
    };
    format!("{scheme}://{}{path}", redirect_authority(redirect, scheme, request))
}

/// The port of the request stays only when neither host, scheme nor port change; a scheme's own port is left out.
fn redirect_authority(redirect: &Redirect, scheme: &str, request: &RequestView<'_>) -> String {
    let keeps_port = redirect.host.is_none() && redirect.scheme.is_none();
    let host = redirect.host.as_deref().unwrap_or_else(|| without_port(request.authority));
    match redirect.port {
        Some(80) if scheme == "http" => host.to_owned(),
        Some(443) if scheme == "https" => host.to_owned(),
        Some(port) => format!("{host}:{port}"),
        None if keeps_port => request.authority.to_owned(),
        None => host.to_owned(),
    }
}

/// What consistent hashing comes to for a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hashed {
    /// `None`: the request has nothing to hash.
    pub key: Option<u64>,
    /// The client has not got the cookie that is hashed: it gets [`made_cookie`] with its answer, so that it comes to
    /// the same endpoint again.
    pub lacks_cookie: bool,
}

/// The value that consistent hashing is done on: the first input that the request has. A client without the cookie that
/// is hashed gets one, made of where its connection comes from.
pub fn hash(inputs: &[HashInput], request: &RequestView<'_>, client: SocketAddr) -> Hashed {
    let key = inputs.iter().find_map(|input| match input {
        HashInput::Header(name) => request.headers.get(name).map(HeaderValue::as_bytes).map(fnv),
        HashInput::Cookie(wanted) => cookie(request.headers, &wanted.name).map(|value| fnv(value.as_bytes())),
        HashInput::QueryParameter(name) => request.query?.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key == &**name).then(|| fnv(value.as_bytes()))
        }),
        HashInput::SourceIp => Some(fnv(client.ip().to_string().as_bytes())),
    });
    match key.is_none().then(|| wanted_cookie(inputs)).flatten() {
        None => Hashed { key, lacks_cookie: false },
        Some(_) => Hashed { key: Some(fnv(cookie_value(client).as_bytes())), lacks_cookie: true },
    }
}

/// The cookie for a client that lacks the one that is hashed.
pub fn made_cookie(inputs: &[HashInput], client: SocketAddr) -> Option<HeaderValue> {
    let (wanted, ttl) = wanted_cookie(inputs)?;
    set_cookie(wanted, ttl, &cookie_value(client))
}

/// The cookie that clients are given, and for how long.
fn wanted_cookie(inputs: &[HashInput]) -> Option<(&HashCookie, Duration)> {
    inputs.iter().find_map(|input| match input {
        HashInput::Cookie(wanted) => wanted.ttl.map(|ttl| (wanted, ttl)),
        HashInput::Header(_) | HashInput::QueryParameter(_) | HashInput::SourceIp => None,
    })
}

/// The same for all requests of a connection.
fn cookie_value(client: SocketAddr) -> String {
    format!("{:016x}", fnv(client.to_string().as_bytes()))
}

/// `None` when the configured name or attributes cannot stand in a header.
fn set_cookie(wanted: &HashCookie, ttl: Duration, value: &str) -> Option<HeaderValue> {
    let mut text = format!("{}=\"{value}\"", wanted.name);
    if !ttl.is_zero() {
        text.push_str(&format!("; Max-Age={}", ttl.as_secs()));
    }
    if !wanted.path.is_empty() {
        text.push_str(&format!("; Path={}", wanted.path));
    }
    text.push_str(&wanted.attributes);
    text.push_str("; HttpOnly");
    HeaderValue::from_str(&text).ok()
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(http::header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|all| all.split(';'))
        .find_map(|pair| {
            let (key, value) = pair.trim().split_once('=')?;
            (key == name).then(|| value.trim_matches('"'))
        })
}

/// FNV-1a, 64 bits: equal on every machine and in every build, which consistent hashing needs.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests;
