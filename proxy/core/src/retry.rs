//! When and how often a request is tried again (Envoy `RetryPolicy`).

use std::time::Duration;

/// Retry policy of a route.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    pub on: RetryOn,
    /// `retriable_status_codes`, used when `on.retriable_status_codes`.
    pub status_codes: Vec<u16>,
    /// Retries after the first attempt.
    pub num_retries: u32,
    pub per_try_timeout: Option<Duration>,
    /// First back-off; doubles with jitter up to `max_backoff`.
    pub base_backoff: Duration,
    pub max_backoff: Duration,
    /// Prefer endpoints that were not tried yet (`previous_hosts`).
    pub avoid_previous_hosts: bool,
}

/// Conditions of `x-envoy-retry-on` and `x-envoy-retry-grpc-on`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryOn {
    pub five_xx: bool,
    pub gateway_error: bool,
    pub reset: bool,
    pub reset_before_request: bool,
    pub connect_failure: bool,
    pub refused_stream: bool,
    pub retriable_4xx: bool,
    pub retriable_status_codes: bool,
    pub grpc_cancelled: bool,
    pub grpc_deadline_exceeded: bool,
    pub grpc_internal: bool,
    pub grpc_resource_exhausted: bool,
    pub grpc_unavailable: bool,
}
