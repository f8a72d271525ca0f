//! The CORS filter's configuration.

use std::mem::take;
use std::sync::Arc;

use envoy_types::pb::envoy::extensions::filters::http::cors::v3 as pb;
use http::HeaderValue;
use orrery_core::cors::CorsPolicy;
use orrery_core::fault::Fraction;

use super::plain::{flag, runtime_fraction};
use super::{Result, Within, matcher, nothing_left, refuse};

/// The policy; nothing when it is switched off.
pub(super) fn cors(mut policy: pb::CorsPolicy) -> Result<Option<Arc<CorsPolicy>>> {
    let origins = take(&mut policy.allow_origin_string_match).into_iter().map(matcher::string);
    let decoded = CorsPolicy {
        allow_origins: origins.collect::<Result<_>>().within("allow_origin_string_match")?,
        allow_methods: value(take(&mut policy.allow_methods)).within("allow_methods")?,
        allow_headers: value(take(&mut policy.allow_headers)).within("allow_headers")?,
        expose_headers: value(take(&mut policy.expose_headers)).within("expose_headers")?,
        max_age: value(take(&mut policy.max_age)).within("max_age")?,
        allow_credentials: flag(policy.allow_credentials.take(), false),
        forward_unmatched: flag(policy.forward_not_matching_preflights.take(), true),
    };
    let enabled = runtime_fraction(policy.filter_enabled.take())?.unwrap_or(Fraction::ALL);
    // Only counts what it would do.
    policy.shadow_enabled = None;
    nothing_left(&policy)?;
    Ok((enabled > Fraction::NONE).then(|| Arc::new(decoded)))
}

fn value(text: String) -> Result<Option<HeaderValue>> {
    if text.is_empty() {
        return Ok(None);
    }
    HeaderValue::try_from(&text).map(Some).or_else(|_| refuse("value", format!("{text:?} is no header value")))
}
