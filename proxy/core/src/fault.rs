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
