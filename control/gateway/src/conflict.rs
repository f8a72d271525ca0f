//! Which listeners of a Gateway and its ListenerSets exclude each other: those that come first win.

use std::collections::HashMap;

use orrery_api::Key;
use orrery_api::gateway_api::Listener;

/// Why listeners lost, by their object and name.
#[derive(Debug, Default)]
pub(crate) struct Conflicts(HashMap<(Key, String), Conflict>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// Another has the host on this port.
    Hostname,
    /// Another speaks something else on this port.
    Protocol,
}

impl Conflict {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Hostname => "HostnameConflict",
            Self::Protocol => "ProtocolConflict",
        }
    }
}

impl Conflicts {
    /// Of listeners in the order of their precedence: the Gateway's, then those of its ListenerSets, the oldest set first.
    /// A listener that lost frees its place for those behind it.
    pub(crate) fn among<'a>(listeners: impl IntoIterator<Item = (&'a Key, &'a Listener)>) -> Self {
        let mut winners: Vec<&Listener> = Vec::new();
        let mut conflicts = HashMap::new();
        for (owner, listener) in listeners {
            match winners.iter().find_map(|winner| conflict(listener, winner)) {
                Some(conflict) => {
                    conflicts.insert((owner.clone(), listener.name.clone()), conflict);
                }
                None => winners.push(listener),
            }
        }
        Self(conflicts)
    }

    pub(crate) fn of(&self, owner: &Key, listener: &str) -> Option<Conflict> {
        self.0.get(&(owner.clone(), listener.to_owned())).copied()
    }
}

/// What kind of traffic a protocol is, as far as sharing a port goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// TCP and UDP: one listener a port.
    Plain,
    /// HTTP, HTTPS and TLS: hosts share a port.
    ByHost,
    Other,
}

fn sort(protocol: &str) -> Sort {
    match protocol {
        "TCP" | "UDP" => Sort::Plain,
        "HTTP" | "HTTPS" | "TLS" => Sort::ByHost,
        _ => Sort::Other,
    }
}

fn conflict(one: &Listener, other: &Listener) -> Option<Conflict> {
    if one.effective_port() != other.effective_port() {
        return None;
    }
    let host = |listener: &Listener| listener.hostname.clone().unwrap_or_else(|| "*".to_owned());
    let excluded = match (sort(&one.protocol), sort(&other.protocol)) {
        // TCP and UDP have ports of their own.
        (Sort::Plain, Sort::Plain) => one.protocol == other.protocol,
        (Sort::Plain, Sort::ByHost) => one.protocol == "TCP",
        (Sort::ByHost, Sort::Plain) => other.protocol == "TCP",
        (Sort::ByHost, Sort::ByHost) => host(one) == host(other),
        (Sort::Other, _) | (_, Sort::Other) => one.protocol == other.protocol,
    };
    let by_protocol = one.protocol != other.protocol || sort(&one.protocol) == Sort::Plain;
    excluded.then_some(if by_protocol { Conflict::Protocol } else { Conflict::Hostname })
}
