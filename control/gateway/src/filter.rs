//! Filters of rules and backends, put onto Istio's routes.

use std::collections::BTreeMap;

use orrery_api::gateway_api::{
    CorsFilter, HeaderFilter, HttpFilter, MirrorFilter, PathModifier, RedirectFilter, RewriteFilter,
};
use orrery_api::{CorsPolicy, HttpRoute, Mirror, Redirect, RedirectPort, Rewrite, StringMatch};

use crate::backend::Caller;
use crate::condition::Fault;

/// A route with its filters, and what of them cannot be had.
pub(crate) struct Applied {
    pub(crate) route: HttpRoute,
    pub(crate) fault: Option<Fault>,
}

/// An origin: scheme, host, and a port perhaps (RFC 6454).
const ANY_ORIGIN: &str = r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s?#]+$";

/// Puts filters onto a route.
///
/// # Errors
/// When a filter is none that can be had: then the route object has no routes.
pub(crate) fn apply(caller: &Caller<'_>, filters: &[HttpFilter], mut route: HttpRoute) -> Result<Applied, Fault> {
    let mut fault = None;
    for filter in filters {
        match filter {
            HttpFilter::RequestHeaders(headers) => {
                check(headers)?;
                route.headers.request_set = map(&headers.set);
                route.headers.request_add = map(&headers.add);
                route.headers.request_remove.clone_from(&headers.remove);
            }
            HttpFilter::ResponseHeaders(headers) => {
                check(headers)?;
                route.headers.response_set = map(&headers.set);
                route.headers.response_add = map(&headers.add);
                route.headers.response_remove.clone_from(&headers.remove);
            }
            HttpFilter::Mirror(wanted) => match mirror(caller, wanted) {
                Ok(mirror) => route.mirrors.extend(mirror),
                Err(why) => fault = Some(why),
            },
            HttpFilter::Redirect(wanted) => route.redirect = Some(redirect(wanted)),
            HttpFilter::Rewrite(wanted) => route.rewrite = rewrite(wanted),
            HttpFilter::Cors(wanted) => route.cors = Some(cors(wanted)),
            HttpFilter::Extension(reference) => {
                let message = format!("there is no filter {} of {:?}", reference.kind, reference.group);
                return Err(Fault::new("InvalidFilter", message));
            }
            HttpFilter::Unknown(kind) => {
                return Err(Fault::new("InvalidFilter", format!("there is no filter of the type {kind:?}")));
            }
        }
    }
    Ok(Applied { route, fault })
}

/// Values that no header can have.
fn check(headers: &HeaderFilter) -> Result<(), Fault> {
    let fine = |value: &str| value.bytes().all(|byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f));
    match headers.set.iter().chain(&headers.add).find(|(_, value)| !fine(value)) {
        None => Ok(()),
        Some((name, _)) => {
            Err(Fault::new("InvalidFilter", format!("the value of the header {name} has control characters")))
        }
    }
}

fn map(headers: &[(String, String)]) -> BTreeMap<String, String> {
    headers.iter().cloned().collect()
}

/// A copy of calls; nothing for a share of nothing.
fn mirror(caller: &Caller<'_>, wanted: &MirrorFilter) -> Result<Option<Mirror>, Fault> {
    let backend = caller.backend(&wanted.backend)?;
    if let Some(fault) = backend.fault {
        return Err(fault);
    }
    let percent = wanted.share.map_or(100.0, |share| 100.0 * f64::from(share.numerator) / f64::from(share.denominator));
    Ok((percent > 0.0).then_some(Mirror { destination: backend.destination, percent }))
}

fn redirect(wanted: &RedirectFilter) -> Redirect {
    let port = match (wanted.port, &wanted.scheme) {
        (Some(port), _) => RedirectPort::Number(port),
        (None, Some(_)) => RedirectPort::FromProtocol,
        (None, None) => RedirectPort::FromRequest,
    };
    let (uri, prefix) = match &wanted.path {
        Some(PathModifier::ReplaceFull(path)) => (Some(path.clone()), None),
        Some(PathModifier::ReplacePrefix(prefix)) => (None, Some(prefix.clone())),
        None => (None, None),
    };
    Redirect {
        uri,
        prefix,
        authority: wanted.hostname.clone(),
        port,
        scheme: wanted.scheme.clone(),
        code: wanted.status,
    }
}

fn rewrite(wanted: &RewriteFilter) -> Option<Rewrite> {
    let mut rewrite = Rewrite { authority: wanted.hostname.clone(), ..Rewrite::default() };
    match &wanted.path {
        None if rewrite.authority.is_none() => return None,
        None => {}
        Some(PathModifier::ReplaceFull(path)) => rewrite.uri_regex = Some(("/.*".to_owned(), path.clone())),
        Some(PathModifier::ReplacePrefix(prefix)) => {
            let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
            // The prefix goes, and the slash in front of the rest stays.
            rewrite.uri = Some(if prefix.is_empty() { "/".to_owned() } else { prefix.to_owned() });
        }
    }
    Some(rewrite)
}

fn cors(wanted: &CorsFilter) -> CorsPolicy {
    CorsPolicy {
        allow_origins: wanted.allow_origins.iter().filter(|origin| !origin.is_empty()).map(|one| origin(one)).collect(),
        allow_methods: wanted.allow_methods.clone(),
        allow_headers: wanted.allow_headers.clone(),
        expose_headers: wanted.expose_headers.clone(),
        max_age: wanted.max_age,
        allow_credentials: wanted.allow_credentials,
        forward_unmatched: false,
    }
}

fn origin(origin: &str) -> StringMatch {
    match origin.split_once('*') {
        None => StringMatch::Exact(origin.to_owned()),
        Some(("", "")) => StringMatch::Regex(ANY_ORIGIN.to_owned()),
        Some((before, "")) => StringMatch::Prefix(before.to_owned()),
        Some(_) => {
            let parts: Vec<String> = origin.split('*').map(regex::escape).collect();
            StringMatch::Regex(format!("^{}$", parts.join(".*")))
        }
    }
}
