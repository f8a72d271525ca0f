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

/// How one try ended, as far as retrying looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryOutcome {
    Response {
        status: u16,
        grpc_status: Option<u32>,
    },
    /// No connection to the endpoint.
    ConnectFailure,
    /// The connection ended or the stream was reset before an answer; `request_sent` says whether any byte of it went out.
    Reset {
        request_sent: bool,
    },
    /// HTTP/2 REFUSED_STREAM: the request was not processed.
    RefusedStream,
    PerTryTimeout,
}

/// What follows a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Its outcome stands.
    Stand,
    /// Its outcome stands, though another try was wanted: there have been as many as are allowed (flag URX).
    Exhausted,
    Again,
}

impl RetryOn {
    /// Reads a comma separated list; the second part of the answer names what was not understood.
    pub fn parse(list: &str) -> (Self, Vec<String>) {
        let mut on = Self::default();
        let mut unknown = Vec::new();
        for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word {
                "5xx" => on.five_xx = true,
                "gateway-error" => on.gateway_error = true,
                "reset" => on.reset = true,
                "reset-before-request" => on.reset_before_request = true,
                "connect-failure" => on.connect_failure = true,
                "refused-stream" => on.refused_stream = true,
                "retriable-4xx" => on.retriable_4xx = true,
                "retriable-status-codes" => on.retriable_status_codes = true,
                "cancelled" => on.grpc_cancelled = true,
                "deadline-exceeded" => on.grpc_deadline_exceeded = true,
                "internal" => on.grpc_internal = true,
                "resource-exhausted" => on.grpc_resource_exhausted = true,
                "unavailable" => on.grpc_unavailable = true,
                other => unknown.push(other.to_owned()),
            }
        }
        (on, unknown)
    }

    fn takes_grpc(self, status: u32) -> bool {
        match status {
            1 => self.grpc_cancelled,
            4 => self.grpc_deadline_exceeded,
            8 => self.grpc_resource_exhausted,
            13 => self.grpc_internal,
            14 => self.grpc_unavailable,
            _ => false,
        }
    }
}

impl RetryPolicy {
    /// What follows try number `number` (from 1).
    pub fn next(&self, number: u32, outcome: TryOutcome) -> Next {
        match (self.takes(outcome), number > self.num_retries) {
            (false, _) => Next::Stand,
            (true, true) => Next::Exhausted,
            (true, false) => Next::Again,
        }
    }

    /// Whether a try that ended so may be followed by another.
    pub fn takes(&self, outcome: TryOutcome) -> bool {
        let on = self.on;
        match outcome {
            TryOutcome::Response { status, grpc_status } => {
                (on.five_xx && (500..600).contains(&status))
                    || (on.gateway_error && (502..=504).contains(&status))
                    || (on.retriable_4xx && status == 409)
                    || (on.retriable_status_codes && self.status_codes.contains(&status))
                    || grpc_status.is_some_and(|grpc| on.takes_grpc(grpc))
            }
            TryOutcome::ConnectFailure => on.connect_failure || on.five_xx || on.gateway_error || on.reset,
            TryOutcome::Reset { request_sent } => on.reset || on.five_xx || (on.reset_before_request && !request_sent),
            TryOutcome::RefusedStream => on.refused_stream || on.five_xx || on.reset,
            TryOutcome::PerTryTimeout => on.five_xx || on.gateway_error || on.reset,
        }
    }

    /// How long to wait before retry number `retry` (from 1): a random share of the doubling interval, as Envoy does.
    pub fn backoff(&self, retry: u32, random: u64) -> Duration {
        let steps = (1u64 << retry.min(20)) - 1;
        let ceiling = self.base_backoff.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX)).min(self.max_backoff);
        let micros = u64::try_from(ceiling.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(random.checked_rem(micros).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(on: &str) -> RetryPolicy {
        let (on, unknown) = RetryOn::parse(on);
        assert!(unknown.is_empty(), "{unknown:?}");
        RetryPolicy {
            on,
            status_codes: vec![503],
            num_retries: 2,
            per_try_timeout: None,
            base_backoff: Duration::from_millis(25),
            max_backoff: Duration::from_millis(250),
            avoid_previous_hosts: true,
        }
    }

    #[test]
    fn conditions() {
        let istio = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
        let status = |status| TryOutcome::Response { status, grpc_status: None };
        let grpc = |code| TryOutcome::Response { status: 200, grpc_status: Some(code) };
        for (on, outcome, expected) in [
            (istio, TryOutcome::ConnectFailure, true),
            (istio, TryOutcome::RefusedStream, true),
            (istio, TryOutcome::Reset { request_sent: true }, false),
            (istio, TryOutcome::PerTryTimeout, false),
            (istio, status(503), true),
            (istio, status(500), false),
            (istio, status(200), false),
            (istio, grpc(14), true),
            (istio, grpc(1), true),
            (istio, grpc(13), false),
            ("5xx", status(500), true),
            ("5xx", TryOutcome::PerTryTimeout, true),
            ("gateway-error", status(502), true),
            ("gateway-error", status(500), false),
            ("retriable-4xx", status(409), true),
            ("retriable-4xx", status(404), false),
            ("reset", TryOutcome::Reset { request_sent: true }, true),
            ("reset-before-request", TryOutcome::Reset { request_sent: true }, false),
            ("reset-before-request", TryOutcome::Reset { request_sent: false }, true),
            ("", status(503), false),
        ] {
            assert_eq!(policy(on).takes(outcome), expected, "{on} {outcome:?}");
        }
    }

    #[test]
    fn unknown_conditions_are_named() {
        assert_eq!(RetryOn::parse("5xx, sometimes,,reset").1, ["sometimes"]);
    }

    #[test]
    fn backoff_doubles_up_to_its_limit() {
        let policy = policy("5xx");
        for (retry, ceiling) in [(1, 25), (2, 75), (3, 175), (4, 250), (30, 250), (u32::MAX, 250)] {
            for random in [0, 24_999, 999_999_999] {
                assert!(policy.backoff(retry, random) < Duration::from_millis(ceiling), "{retry}");
            }
        }
        assert_eq!(policy.backoff(1, 24_999), Duration::from_micros(24_999));
    }
}
