//! Health of nodes and edges from their traffic, by the tolerances that Kiali ships with.

use std::collections::BTreeMap;

use crate::rates::{Protocol, Rates};

/// How well something does; the worst of several counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// No traffic to judge by.
    #[default]
    NotAvailable,
    /// Within all tolerances.
    Healthy,
    /// Beyond the first threshold of a tolerance.
    Degraded,
    /// Beyond the second.
    Failure,
}

/// Which responses a tolerance counts.
#[derive(Clone, Copy, Debug)]
enum Counts {
    Http(u8),
    Grpc,
    NoResponse,
}

/// Share of a protocol's requests, per cent, from which its state is worse. A threshold of 0 means "any".
struct Tolerance {
    counts: Counts,
    degraded: f64,
    failure: f64,
}

const TOLERANCES: [Tolerance; 4] = [
    Tolerance { counts: Counts::Http(b'5'), degraded: 0.0, failure: 10.0 },
    Tolerance { counts: Counts::Http(b'4'), degraded: 10.0, failure: 20.0 },
    Tolerance { counts: Counts::Grpc, degraded: 0.0, failure: 10.0 },
    Tolerance { counts: Counts::NoResponse, degraded: 0.0, failure: 10.0 },
];

impl Health {
    /// As Kiali writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotAvailable => "NA",
            Self::Healthy => "Healthy",
            Self::Degraded => "Degraded",
            Self::Failure => "Failure",
        }
    }

    /// Judges traffic of one protocol.
    pub fn of_rates(protocol: Protocol, rates: &Rates) -> Self {
        if rates.total <= 0.0 {
            return Self::NotAvailable;
        }
        let states = TOLERANCES.iter().map(|tolerance| tolerance.judge(protocol, rates));
        states.max().unwrap_or(Self::Healthy)
    }

    /// Judges traffic of all protocols.
    pub fn of(traffic: &BTreeMap<Protocol, Rates>) -> Self {
        traffic.iter().map(|(protocol, rates)| Self::of_rates(*protocol, rates)).max().unwrap_or_default()
    }
}

impl Tolerance {
    fn judge(&self, protocol: Protocol, rates: &Rates) -> Health {
        let counted: f64 =
            rates.by_code().filter(|(code, _)| self.counts.covers(protocol, code)).map(|(_, rate)| rate).sum();
        let percent = counted / rates.total * 100.0;
        let beyond = |threshold: f64| percent > 0.0 && percent >= threshold;
        if beyond(self.failure) {
            Health::Failure
        } else if beyond(self.degraded) {
            Health::Degraded
        } else {
            Health::Healthy
        }
    }
}

impl Counts {
    fn covers(self, protocol: Protocol, code: &str) -> bool {
        let status = code.len() == 3;
        match (self, protocol) {
            (_, Protocol::Tcp) | (Self::Http(_), Protocol::Grpc) | (Self::Grpc, Protocol::Http) => false,
            (Self::Http(class), Protocol::Http) => status && code.as_bytes().first() == Some(&class),
            (Self::Grpc, Protocol::Grpc) => {
                code != "0" && code != "-" && !(status && code.starts_with(['1', '2', '3']))
            }
            (Self::NoResponse, Protocol::Http | Protocol::Grpc) => code == "-",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn tolerances() {
        type Row = (Protocol, &'static [(&'static str, f64)], Health);
        let table: &[Row] = &[
            (Protocol::Http, &[], Health::NotAvailable),
            (Protocol::Http, &[("200", 10.0)], Health::Healthy),
            (Protocol::Http, &[("200", 99.9), ("503", 0.1)], Health::Degraded),
            (Protocol::Http, &[("200", 90.0), ("503", 10.0)], Health::Failure),
            (Protocol::Http, &[("200", 91.0), ("404", 9.0)], Health::Healthy),
            (Protocol::Http, &[("200", 90.0), ("404", 10.0)], Health::Degraded),
            (Protocol::Http, &[("200", 80.0), ("404", 20.0)], Health::Failure),
            (Protocol::Http, &[("200", 99.0), ("-", 1.0)], Health::Degraded),
            (Protocol::Grpc, &[("0", 99.0), ("14", 1.0)], Health::Degraded),
            (Protocol::Grpc, &[("0", 1.0), ("14", 1.0)], Health::Failure),
            (Protocol::Tcp, &[("-", 1.0)], Health::Healthy),
        ];
        for (protocol, codes, expected) in table {
            let mut rates = Rates::default();
            for (code, rate) in *codes {
                rates.add(*protocol, *rate, &Arc::from(*code), &Arc::from("-"), &Arc::from("host"));
            }
            assert_eq!(Health::of_rates(*protocol, &rates), *expected, "{protocol:?} {codes:?}");
        }
    }
}
