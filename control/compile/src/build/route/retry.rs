//! Retries.

use envoy_types::pb::envoy::config::route::v3::RetryPolicy;
use envoy_types::pb::envoy::config::route::v3::retry_policy::retry_host_predicate::ConfigType as PredicateConfig;
use envoy_types::pb::envoy::config::route::v3::retry_policy::retry_priority::ConfigType as PriorityConfig;
use envoy_types::pb::envoy::config::route::v3::retry_policy::{RetryBackOff, RetryHostPredicate, RetryPriority};
use envoy_types::pb::envoy::extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate;
use envoy_types::pb::envoy::extensions::retry::priority::previous_priorities::v3::PreviousPrioritiesConfig;
use envoy_types::util::pack_any;
use orrery_api::Retries;

use crate::build::value::{duration, number};

const RETRY_ON: &str = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";

/// When a route tries again; without a policy as Istio does by default. Where requests are bound to endpoints, failed
/// ones are not avoided.
pub(super) fn retry_policy(retries: Option<&Retries>, hashed: bool) -> RetryPolicy {
    let conditions = retries.and_then(|retries| retries.retry_on.clone());
    let mut codes = vec![503];
    let retry_on = match conditions {
        None => RETRY_ON.to_owned(),
        Some(conditions) => {
            let words: Vec<&str> = conditions.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
            codes = words.iter().filter_map(|word| word.parse().ok()).collect();
            let mut named: Vec<&str> = words.into_iter().filter(|word| word.parse::<u32>().is_err()).collect();
            if !codes.is_empty() && !named.contains(&"retriable-status-codes") {
                named.push("retriable-status-codes");
            }
            named.join(",")
        }
    };
    let previous = RetryHostPredicate {
        name: "envoy.retry_host_predicates.previous_hosts".to_owned(),
        config_type: Some(PredicateConfig::TypedConfig(pack_any(PreviousHostsPredicate {}))),
    };
    let avoids = !hashed && !retries.is_some_and(|retries| retries.again_at_previous_hosts);
    RetryPolicy {
        retry_on,
        num_retries: number(retries.map_or(2, |retries| retries.attempts)),
        per_try_timeout: retries.and_then(|retries| retries.per_try_timeout).and_then(duration),
        retriable_status_codes: codes,
        retry_back_off: retries
            .and_then(|retries| retries.backoff)
            .map(|base| RetryBackOff { base_interval: duration(base), ..Default::default() }),
        retry_host_predicate: if avoids { vec![previous] } else { Vec::new() },
        retry_priority: retries.is_some_and(|retries| retries.remote_localities).then(further_localities),
        host_selection_retry_max_attempts: 5,
        ..Default::default()
    }
}

/// Endpoints of a priority that failed are not tried again before those of the others.
fn further_localities() -> RetryPriority {
    let config = PreviousPrioritiesConfig { update_frequency: 2 };
    RetryPriority {
        name: "envoy.retry_priorities.previous_priorities".to_owned(),
        config_type: Some(PriorityConfig::TypedConfig(pack_any(config))),
    }
}
