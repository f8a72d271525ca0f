//! Retry policies.

use std::mem::take;
use std::time::Duration;

use envoy_types::pb::envoy::config::route::v3 as pb;
use orrery_core::retry::{RetryOn, RetryPolicy};

use super::plain::{duration, number};
use super::{Result, nothing_left, refuse};

/// Envoy's first back-off.
const BASE: Duration = Duration::from_millis(25);
/// More retries than that are a mistake, or an attack on the upstream.
const MOST: u32 = 100;

pub(super) fn policy(mut policy: pb::RetryPolicy) -> Result<RetryPolicy> {
    let (on, unknown) = RetryOn::parse(&take(&mut policy.retry_on));
    // Conditions on headers and on reasons that this proxy never sees are not an error in Envoy either.
    if let Some(word) = unknown
        .iter()
        .find(|word| !["retriable-headers", "envoy-ratelimited", "http3-post-connect-failure"].contains(&word.as_str()))
    {
        return refuse("retry_on", format!("{word:?} is no condition that this proxy knows"));
    }
    let back_off = policy.retry_back_off.take().unwrap_or_default();
    let base_backoff = duration(back_off.base_interval)?.unwrap_or(BASE);
    let max_backoff = duration(back_off.max_interval)?.unwrap_or(base_backoff.saturating_mul(10));
    let mut avoid_previous_hosts = false;
    for predicate in take(&mut policy.retry_host_predicate) {
        match predicate.name.as_str() {
            "envoy.retry_host_predicates.previous_hosts" => avoid_previous_hosts = true,
            other => return refuse("retry_host_predicate", format!("{other} is not supported")),
        }
    }
    // Endpoints of a priority that failed come after the others anyway, once they are avoided one by one.
    if let Some(priority) = policy.retry_priority.take()
        && priority.name != "envoy.retry_priorities.previous_priorities"
    {
        return refuse("retry_priority", format!("{} is not supported", priority.name));
    }
    policy.host_selection_retry_max_attempts = 0;
    let status_codes = take(&mut policy.retriable_status_codes);
    let status_codes: Vec<u16> = status_codes.into_iter().filter_map(|code| u16::try_from(code).ok()).collect();
    let num_retries = number(policy.num_retries.take(), 1).min(MOST);
    let per_try_timeout = duration(policy.per_try_timeout.take())?.filter(|timeout| !timeout.is_zero());
    nothing_left(&policy)?;
    Ok(RetryPolicy { on, status_codes, num_retries, per_try_timeout, base_backoff, max_backoff, avoid_previous_hosts })
}
