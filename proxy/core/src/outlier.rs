//! When an endpoint is set aside for its errors, and for how long (Envoy's outlier detection). Time is an argument.

use std::time::Duration;

use crate::cluster::OutlierDetection;

/// Moments are durations since any fixed start.
pub type Moment = Duration;

/// What one endpoint did lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutlierState {
    consecutive_5xx: u32,
    consecutive_gateway_failure: u32,
    consecutive_local_origin_failure: u32,
    /// How often it was ejected lately; an ejection lasts so many base times.
    ejections: u32,
    ejected_until: Option<Moment>,
}

/// How a request to the endpoint ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointResult {
    Status(u16),
    /// Connect failure, reset or timeout: no answer of its own.
    LocalOriginFailure,
}

/// How many endpoints of the cluster are out already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejected {
    pub count: usize,
    pub of: usize,
}

impl OutlierState {
    pub fn is_ejected(&self) -> bool {
        self.ejected_until.is_some()
    }

    /// Counts a result; true when the endpoint is ejected by it.
    pub fn observe(&mut self, config: &OutlierDetection, result: EndpointResult, others: Ejected, now: Moment) -> bool {
        self.count(config, result);
        let over = |count: u32, limit: u32| limit > 0 && count >= limit;
        let bad = over(self.consecutive_5xx, config.consecutive_5xx)
            || over(self.consecutive_gateway_failure, config.consecutive_gateway_failure)
            || over(self.consecutive_local_origin_failure, config.consecutive_local_origin_failure);
        if !bad || self.is_ejected() || !may_eject(config, others) {
            return false;
        }
        self.ejections = self.ejections.saturating_add(1);
        let time = config
            .base_ejection_time
            .saturating_mul(self.ejections)
            .min(config.max_ejection_time.max(config.base_ejection_time));
        self.ejected_until = Some(now.saturating_add(time));
        true
    }

    fn count(&mut self, config: &OutlierDetection, result: EndpointResult) {
        let (five_xx, gateway) = match result {
            EndpointResult::Status(status) => ((500..600).contains(&status), (502..=504).contains(&status)),
            EndpointResult::LocalOriginFailure => (true, true),
        };
        let split = config.split_external_local_origin_errors;
        match (result, split) {
            (EndpointResult::LocalOriginFailure, true) => {
                self.consecutive_local_origin_failure = self.consecutive_local_origin_failure.saturating_add(1);
                return;
            }
            (EndpointResult::Status(_), true) => self.consecutive_local_origin_failure = 0,
            (EndpointResult::LocalOriginFailure | EndpointResult::Status(_), false) => {}
        }
        let next = |count: u32, bad: bool| if bad { count.saturating_add(1) } else { 0 };
        self.consecutive_5xx = next(self.consecutive_5xx, five_xx);
        self.consecutive_gateway_failure = next(self.consecutive_gateway_failure, gateway);
    }

    /// Called at each interval; true when the endpoint comes back.
    pub fn tick(&mut self, now: Moment) -> bool {
        match self.ejected_until {
            Some(until) if until <= now => {
                self.ejected_until = None;
                self.consecutive_5xx = 0;
                self.consecutive_gateway_failure = 0;
                self.consecutive_local_origin_failure = 0;
                true
            }
            Some(_) => false,
            None => {
                // A quiet interval pays one earlier ejection back.
                self.ejections = self.ejections.saturating_sub(1);
                false
            }
        }
    }
}

/// At least one endpoint may always be ejected, and never more than the percentage.
fn may_eject(config: &OutlierDetection, ejected: Ejected) -> bool {
    config.max_ejection_percent > 0
        && (ejected.count == 0 || (ejected.count + 1) * 100 <= ejected.of * config.max_ejection_percent as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: OutlierDetection = OutlierDetection {
        consecutive_5xx: 3,
        consecutive_gateway_failure: 0,
        consecutive_local_origin_failure: 0,
        split_external_local_origin_errors: false,
        interval: Duration::from_secs(10),
        base_ejection_time: Duration::from_secs(30),
        max_ejection_time: Duration::from_secs(300),
        max_ejection_percent: 50,
        healthy_panic_percent: 0,
    };
    const NONE: Ejected = Ejected { count: 0, of: 4 };

    fn feed(state: &mut OutlierState, config: &OutlierDetection, statuses: &[u16]) -> Vec<bool> {
        statuses.iter().map(|s| state.observe(config, EndpointResult::Status(*s), NONE, Duration::ZERO)).collect()
    }

    #[test]
    fn only_consecutive_errors_eject() {
        let mut state = OutlierState::default();
        assert_eq!(
            feed(&mut state, &CONFIG, &[500, 500, 200, 500, 503, 500]),
            [false, false, false, false, false, true]
        );
        assert!(state.is_ejected());
        assert!(!state.tick(Duration::from_secs(29)));
        assert!(state.tick(Duration::from_secs(30)));
        assert!(!state.is_ejected());
    }

    #[test]
    fn gateway_errors_count_apart() {
        let config = OutlierDetection { consecutive_5xx: 0, consecutive_gateway_failure: 2, ..CONFIG };
        assert_eq!(feed(&mut OutlierState::default(), &config, &[500, 500, 500]), [false, false, false]);
        assert_eq!(feed(&mut OutlierState::default(), &config, &[503, 502]), [false, true]);
    }

    #[test]
    fn local_failures_count_as_errors_unless_split() {
        let split = OutlierDetection {
            split_external_local_origin_errors: true,
            consecutive_local_origin_failure: 2,
            consecutive_5xx: 3,
            ..CONFIG
        };
        for (config, after) in [(CONFIG, 3), (split, 2)] {
            let mut state = OutlierState::default();
            let ejected =
                (1..=4).find(|_| state.observe(&config, EndpointResult::LocalOriginFailure, NONE, Duration::ZERO));
            assert_eq!(ejected, Some(after));
        }
    }

    #[test]
    fn the_percentage_holds_but_one_may_always_go() {
        for (count, of, expected) in [(0, 1, true), (0, 10, true), (1, 4, true), (2, 4, false), (1, 2, false)] {
            assert_eq!(may_eject(&CONFIG, Ejected { count, of }), expected, "{count} of {of}");
        }
        assert!(!may_eject(&OutlierDetection { max_ejection_percent: 0, ..CONFIG }, NONE));
    }

    #[test]
    fn repeated_ejections_last_longer_up_to_a_limit() {
        let mut state = OutlierState::default();
        let mut now = Duration::ZERO;
        for expected in [30, 60, 90, 120] {
            for _ in 0..3 {
                state.observe(&CONFIG, EndpointResult::Status(500), NONE, now);
            }
            assert!(!state.tick(now + Duration::from_secs(expected - 1)));
            now += Duration::from_secs(expected);
            assert!(state.tick(now), "{expected}");
        }
    }
}
