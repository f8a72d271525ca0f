//! Response flags: why a request or connection ended as it did, in Envoy's letters.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// A set of flags; prints as `-` or as `UF,URX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResponseFlags(u32);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal;)*) => {
        impl ResponseFlags {
            /// No flag.
            pub const NONE: Self = Self(0);
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*

            /// Every flag with its letters, in the order in which Envoy prints them.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, stringify!($name)),)*];
        }
    };
}

flags! {
    /// Local health check failed.
    LH = 0;
    /// No healthy upstream.
    UH = 1;
    /// Upstream request timeout.
    UT = 2;
    /// Connection local reset.
    LR = 3;
    /// Upstream remote reset.
    UR = 4;
    /// Upstream connection failure.
    UF = 5;
    /// Upstream connection termination.
    UC = 6;
    /// Upstream overflow (circuit breaker).
    UO = 7;
    /// No route.
    NR = 8;
    /// Delay injected.
    DI = 9;
    /// Fault injected.
    FI = 10;
    /// Local rate limit.
    RL = 11;
    /// External authorization denied.
    UAEX = 12;
    /// Rate limit service error.
    RLSE = 13;
    /// Downstream connection termination.
    DC = 14;
    /// Retry or connect limit exceeded.
    URX = 15;
    /// Stream idle timeout.
    SI = 16;
    /// Invalid Envoy request headers.
    IH = 17;
    /// Downstream protocol error.
    DPE = 18;
    /// Upstream maximum stream duration reached.
    UMSDR = 19;
    /// No upstream cluster.
    NC = 20;
    /// Overload manager.
    OM = 21;
    /// DNS failure.
    DF = 22;
    /// Upstream protocol error.
    UPE = 23;
    /// Duration timeout.
    DT = 24;
    /// Downstream remote reset.
    DR = 25;
}

impl ResponseFlags {
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all flags of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for ResponseFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for ResponseFlags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Display for ResponseFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("-");
        }
        let set = Self::ALL.iter().filter(|(flag, _)| self.contains(*flag));
        for (position, (_, letters)) in set.enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            f.write_str(letters)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_print_as_envoy_prints_them() {
        for (flags, expected) in [
            (ResponseFlags::NONE, "-"),
            (ResponseFlags::NR, "NR"),
            (ResponseFlags::URX | ResponseFlags::UF, "UF,URX"),
            (ResponseFlags::DI | ResponseFlags::FI, "DI,FI"),
            (ResponseFlags::UMSDR, "UMSDR"),
        ] {
            assert_eq!(flags.to_string(), expected);
        }
    }

    #[test]
    fn every_flag_has_its_own_bit() {
        let all = ResponseFlags::ALL.iter().fold(0, |sum, (flag, _)| sum + u64::from(flag.0));
        assert_eq!(all.count_ones() as usize, ResponseFlags::ALL.len());
    }
}
