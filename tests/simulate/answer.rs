//! What came of one call, whichever subject answered it.

use std::collections::BTreeSet;
use std::time::Duration;

use http::HeaderMap;

use crate::case::{Name, Outcome};

/// One call's outcome, and how it was decided.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) end: Option<End>,
    /// What backends got for it, in order: tries of the call itself.
    pub(crate) attempts: Vec<Received>,
    /// Copies.
    pub(crate) mirrored: Vec<Received>,
    /// Injected, as far as the subject can tell; measured time includes it.
    pub(crate) took: Duration,
    /// Listener, filter chain, route, cluster, endpoint: what a failure tells.
    pub(crate) path: Vec<String>,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) enum End {
    Response(Response),
    /// Bytes went to a backend and came back.
    Echo,
    Failed(Outcome),
}

/// An answer's head and body.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) grpc: Option<u32>,
    pub(crate) body: String,
}

/// What a backend got.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) at: std::net::IpAddr,
    /// All names of who got it.
    pub(crate) by: BTreeSet<Name>,
    /// `None` for opaque bytes.
    pub(crate) head: Option<ReceivedHead>,
    pub(crate) tls: Option<ReceivedTls>,
}

#[derive(Clone, Debug)]
pub(crate) struct ReceivedHead {
    pub(crate) method: String,
    pub(crate) host: String,
    /// With the query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
}

/// How a backend was spoken to in TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReceivedTls {
    pub(crate) sni: Option<String>,
    /// The client's certificate in DER.
    pub(crate) certificate: Option<Vec<u8>>,
}

impl Answer {
    pub(crate) fn failed(outcome: Outcome, path: Vec<String>) -> Self {
        Self { end: Some(End::Failed(outcome)), path, ..Self::default() }
    }

    pub(crate) fn outcome(&self) -> Option<Outcome> {
        match &self.end {
            Some(End::Failed(outcome)) => Some(*outcome),
            Some(End::Response(_) | End::Echo) | None => None,
        }
    }

    pub(crate) fn response(&self) -> Option<&Response> {
        match &self.end {
            Some(End::Response(response)) => Some(response),
            Some(End::Failed(_) | End::Echo) | None => None,
        }
    }

    /// Who answered: the backend of the last try.
    pub(crate) fn backend(&self) -> Option<&Received> {
        self.attempts.last()
    }
}
