//! Cross-origin requests: preflights are answered here, and answers get what lets the page read them.
//!
//! What a request is to a policy is decided in `orrery_core::cors`.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use orrery_core::cors::{CorsPolicy, CorsVerdict};
use orrery_core::route::Route;

use crate::connection::Connection;

/// A page of another origin that may read the answer.
pub(crate) struct Permission {
    policy: Arc<CorsPolicy>,
    origin: HeaderValue,
}

/// What comes of a route's policy.
pub(crate) enum Cors {
    GoOn,
    /// The answer's headers; its status is 200.
    Answer(HeaderMap),
}

pub(crate) fn apply(connection: &Connection, route: &Route, parts: &Parts, granted: &mut Option<Permission>) -> Cors {
    let Some(policy) = route.cors.as_ref().filter(|_| connection.manager.cors_filter) else { return Cors::GoOn };
    match policy.judge(&parts.method, &parts.headers) {
        CorsVerdict::Plain => Cors::GoOn,
        CorsVerdict::Allowed(origin) => {
            *granted = Some(Permission { policy: policy.clone(), origin });
            Cors::GoOn
        }
        CorsVerdict::Preflight(origin) => Cors::Answer(policy.answer_preflight(origin)),
        CorsVerdict::RefusedPreflight => Cors::Answer(HeaderMap::new()),
    }
}

impl Permission {
    pub(crate) fn add(self, headers: &mut HeaderMap) {
        self.policy.allow(self.origin, headers);
    }
}
