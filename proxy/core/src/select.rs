//! Which virtual host and which route take a request. Nothing is allocated for an ordinary host name.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use thiserror::Error;

use crate::matching::{RequestView, starts_with_ignoring_case};
use crate::route::{DomainIndex, PathMatch, Route, RouteMatch, RouteTable, VirtualHost};

/// What a request was matched to.
#[derive(Clone, Copy, Debug)]
pub struct Selected<'a> {
    pub virtual_host: &'a Arc<VirtualHost>,
    pub route: &'a Arc<Route>,
}

/// Why nothing takes a request: 404 with flag NR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// No virtual host has the request's host.
    Host,
    /// The virtual host has no route for it.
    Route,
}

/// Two virtual hosts of one route configuration claim the same domain.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the domain {domain} is in the virtual hosts {first} and {second}; it may be in one only")]
pub struct DuplicateDomain {
    pub domain: Box<str>,
    pub first: Arc<str>,
    pub second: Arc<str>,
}

/// Finds the route of a request. `random` decides routes that take only a share.
pub fn select<'a>(table: &'a RouteTable, request: &RequestView<'_>, random: u32) -> Result<Selected<'a>, NoRoute> {
    let virtual_host = table.virtual_host(request.authority).ok_or(NoRoute::Host)?;
    let route = virtual_host.route(request, random).ok_or(NoRoute::Route)?;
    Ok(Selected { virtual_host, route })
}

/// Whether this is a gRPC request, by its content type.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        value
            .as_bytes()
            .strip_prefix(b"application/grpc")
            .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
    })
}

impl RouteTable {
    /// Exact name first, then the longest `*suffix`, then the longest `prefix*`, then `*`.
    pub fn virtual_host(&self, authority: &str) -> Option<&Arc<VirtualHost>> {
        let host = if self.ignore_port { without_port(authority) } else { authority };
        let host = lower_case(host);
        self.domains.find(&host).and_then(|position| self.virtual_hosts.get(position))
    }
}

impl VirtualHost {
    /// The first route that matches.
    pub fn route(&self, request: &RequestView<'_>, random: u32) -> Option<&Arc<Route>> {
        self.routes.iter().find(|route| route.matches.matches(request, random))
    }
}

impl RouteMatch {
    pub fn matches(&self, request: &RequestView<'_>, random: u32) -> bool {
        self.path.matches(request)
            && self.headers.iter().all(|header| header.matches(request))
            && self.query.iter().all(|parameter| parameter.matches(request.query))
            && (!self.grpc_only || is_grpc(request.headers))
            && self.share.is_none_or(|share| share.takes(random))
    }
}

impl PathMatch {
    pub fn matches(&self, request: &RequestView<'_>) -> bool {
        let path = request.path;
        match self {
            Self::Prefix { value, case_sensitive: true } => path.starts_with(&**value),
            Self::Prefix { value, case_sensitive: false } => starts_with_ignoring_case(path, value),
            Self::Exact { value, case_sensitive: true } => path == &**value,
            Self::Exact { value, case_sensitive: false } => path.eq_ignore_ascii_case(value),
            Self::SeparatedPrefix { value, case_sensitive } => {
                let begins =
                    if *case_sensitive { path.starts_with(&**value) } else { starts_with_ignoring_case(path, value) };
                begins && matches!(path.as_bytes().get(value.len()), None | Some(b'/'))
            }
            Self::Regex(regex) => regex.is_match(path),
            Self::Connect => request.method == Method::CONNECT,
        }
    }
}

impl DomainIndex {
    /// Indexes the domains of virtual hosts.
    ///
    /// # Errors
    /// When two of them claim one domain.
    pub fn build(hosts: &[Arc<VirtualHost>]) -> Result<Self, DuplicateDomain> {
        let mut index = Self::default();
        for (position, host) in hosts.iter().enumerate() {
            for domain in &host.domains {
                let domain = domain.to_ascii_lowercase();
                let taken = index.insert(&domain, position);
                if let Some(first) = taken.filter(|first| *first != position) {
                    let name = |at: usize| hosts.get(at).map_or_else(|| Arc::from(""), |h| Arc::clone(&h.name));
                    return Err(DuplicateDomain { domain: domain.into(), first: name(first), second: name(position) });
                }
            }
        }
        // Stable sorts: what came first stays first among equals.
        index.suffix.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        index.prefix.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Ok(index)
    }

    /// Puts a domain in; the position that had it before, if any.
    fn insert(&mut self, domain: &str, position: usize) -> Option<usize> {
        fn put(list: &mut Vec<(Box<str>, usize)>, part: &str, position: usize) -> Option<usize> {
            if let Some((_, taken)) = list.iter().find(|(known, _)| &**known == part) {
                return Some(*taken);
            }
            list.push((part.into(), position));
            None
        }
        if domain == "*" {
            return self.any.replace(position);
        }
        if let Some(suffix) = domain.strip_prefix('*') {
            return put(&mut self.suffix, suffix, position);
        }
        if let Some(prefix) = domain.strip_suffix('*') {
            return put(&mut self.prefix, prefix, position);
        }
        self.exact.insert(domain.into(), position)
    }

    /// `host` in lower case.
    fn find(&self, host: &str) -> Option<usize> {
        self.exact
            .get(host)
            .copied()
            .or_else(|| {
                self.suffix.iter().find(|(s, _)| host.len() > s.len() && host.ends_with(&**s)).map(|(_, at)| *at)
            })
            .or_else(|| {
                self.prefix.iter().find(|(p, _)| host.len() > p.len() && host.starts_with(&**p)).map(|(_, at)| *at)
            })
            .or(self.any)
    }
}

/// The host without its port; brackets of an IPv6 address stay.
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|b| b.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']')) =>
        {
            host
        }
        _ => authority,
    }
}

fn lower_case(host: &str) -> Cow<'_, str> {
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

#[cfg(test)]
mod tests;
