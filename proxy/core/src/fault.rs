//! Injected faults (Envoy `HTTPFault`, Istio `HTTPFaultInjection`).

use std::time::Duration;

/// Faults of one route; delay comes before abort.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fault {
    pub delay: Option<Delay>,
    pub abort: Option<Abort>,
}

/// Hold the request back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delay {
    pub duration: Duration,
    pub share: Fraction,
}

/// Answer in place of the upstream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Abort {
    pub answer: AbortAnswer,
    pub share: Fraction,
}

/// What an abort answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortAnswer {
    Http(u16),
    Grpc(u32),
}

/// A share of requests in parts per million, 0..=1_000_000 (Envoy `FractionalPercent`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fraction(u32);

impl Fraction {
    pub const ALL: Self = Self(1_000_000);
    pub const NONE: Self = Self(0);

    /// Values over a million count as all.
    pub fn per_million(parts: u32) -> Self {
        Self(parts.min(1_000_000))
    }

    /// Parts per million.
    pub fn parts(self) -> u32 {
        self.0
    }

    /// Whether a request with this random number is in the share.
    pub fn takes(self, random: u32) -> bool {
        random % 1_000_000 < self.0
    }
}

/// What happens to one request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FaultPlan {
    pub delay: Option<Duration>,
    pub abort: Option<AbortAnswer>,
}

impl Fault {
    /// Decides for one request; the two random numbers are independent.
    pub fn decide(&self, delay_random: u32, abort_random: u32) -> FaultPlan {
        FaultPlan {
            delay: self.delay.filter(|delay| delay.share.takes(delay_random)).map(|delay| delay.duration),
            abort: self.abort.filter(|abort| abort.share.takes(abort_random)).map(|abort| abort.answer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_exact_at_their_ends() {
        for (parts, random, expected) in [
            (0, 0, false),
            (1, 0, true),
            (1, 1, false),
            (999_999, 999_999, false),
            (1_000_000, 999_999, true),
            (5_000_000, 3, true),
        ] {
            assert_eq!(Fraction::per_million(parts).takes(random), expected, "{parts} {random}");
        }
    }

    #[test]
    fn delay_and_abort_are_decided_apart() {
        let half = Fraction::per_million(500_000);
        let fault = Fault {
            delay: Some(Delay { duration: Duration::from_secs(7), share: half }),
            abort: Some(Abort { answer: AbortAnswer::Http(500), share: half }),
        };
        let plan = fault.decide(0, 999_999);
        assert_eq!(plan, FaultPlan { delay: Some(Duration::from_secs(7)), abort: None });
        let plan = fault.decide(999_999, 0);
        assert_eq!(plan, FaultPlan { delay: None, abort: Some(AbortAnswer::Http(500)) });
    }
}
