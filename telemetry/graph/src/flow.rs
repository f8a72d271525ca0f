//! One number for each call: the reports of both ends, of which one counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::identity::Identity;
use crate::observe::Observation;
use crate::rates::Protocol;

/// Which end of a call reported it. In the order in which they are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reporter {
    /// The callee's proxy.
    Destination,
    /// A waypoint between both.
    Waypoint,
    /// The caller's proxy, or a gateway.
    Source,
}

/// Traffic between two ends with one kind of response.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// Both ends.
    pub identity: Identity,
    /// Protocol.
    pub protocol: Protocol,
    /// HTTP or gRPC status, `-` for none.
    pub code: Arc<str>,
    /// Envoy's response flags, `-` for none.
    pub flags: Arc<str>,
    /// Whose numbers these are.
    pub reporter: Reporter,
    /// Per second over the window.
    pub rate: f64,
    /// Per second right now.
    pub live: f64,
    /// When it last grew, Unix milliseconds.
    pub last_seen: i64,
}

impl Reporter {
    /// Reads the `reporter` label.
    pub fn from_labels<'a>(label: impl Fn(&str) -> Option<&'a Arc<str>>) -> Option<Self> {
        match &**label("reporter")? {
            "destination" => Some(Self::Destination),
            "waypoint" => Some(Self::Waypoint),
            "source" => Some(Self::Source),
            _ => None,
        }
    }
}

impl Flow {
    /// Joins what all reporters saw so that each call counts once.
    ///
    /// Replicas of one reporter add up. Of reporters that agree on both ends, code, flags and host, the first of
    /// [`Reporter`]'s order counts, because its traffic is the same traffic. What only the caller saw (a fault, no
    /// endpoint, no route) stays.
    pub fn join(traffic: &[Observation]) -> Vec<Self> {
        type Key<'a> = (&'a Identity, Protocol, &'a Arc<str>, &'a Arc<str>);
        let mut flows: BTreeMap<Key<'_>, Self> = BTreeMap::new();
        let mut ordered: Vec<&Observation> = traffic.iter().collect();
        ordered.sort_by_key(|seen| (seen.reporter, seen.rate <= 0.0));
        for seen in ordered {
            let flow = flows.entry((&seen.identity, seen.protocol, &seen.code, &seen.flags)).or_insert_with(|| Self {
                identity: seen.identity.clone(),
                protocol: seen.protocol,
                code: seen.code.clone(),
                flags: seen.flags.clone(),
                reporter: seen.reporter,
                rate: 0.0,
                live: 0.0,
                last_seen: 0,
            });
            let silent = flow.rate <= 0.0 && seen.rate > 0.0;
            if silent {
                flow.reporter = seen.reporter;
            }
            if flow.reporter == seen.reporter {
                flow.rate += seen.rate;
                flow.live += seen.live;
                flow.last_seen = flow.last_seen.max(seen.last_seen);
            }
        }
        flows.into_values().collect()
    }
}
