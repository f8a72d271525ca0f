//! The labels of Istio's standard metrics as types: what may vary, and nothing else.
//!
//! An unknown peer is `unknown`; what does not apply is empty and left out of exposition. Kiali relies on the difference.

use std::sync::Arc;

use crate::flags::ResponseFlags;

/// Which proxy of a call reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reporter {
    Source,
    Destination,
    Waypoint,
}

/// `request_protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestProtocol {
    Http,
    Grpc,
    Tcp,
}

/// `connection_security_policy`; a source reporter always says unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionSecurityPolicy {
    MutualTls,
    None,
    Unknown,
}

/// One end of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Workload {
    pub workload: Arc<str>,
    pub namespace: Arc<str>,
    pub canonical_service: Arc<str>,
    pub canonical_revision: Arc<str>,
    pub app: Arc<str>,
    pub version: Arc<str>,
    pub cluster: Arc<str>,
}

/// The service that was called.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Fully qualified, `destination_service`.
    pub host: Arc<str>,
    pub name: Arc<str>,
    pub namespace: Arc<str>,
}

/// Both ends of a call and who tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    pub reporter: Reporter,
    pub source: Arc<Workload>,
    /// SPIFFE id, or `unknown`.
    pub source_principal: Arc<str>,
    pub destination: Arc<Workload>,
    /// SPIFFE id, or `unknown`.
    pub destination_principal: Arc<str>,
    pub service: Destination,
}

/// Labels of the HTTP and gRPC families.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpLabels {
    pub ends: Ends,
    pub protocol: RequestProtocol,
    /// 0 when no answer was sent.
    pub response_code: u16,
    pub grpc_status: Option<u32>,
    pub response_flags: ResponseFlags,
    pub security: ConnectionSecurityPolicy,
}

/// Labels of the TCP families.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TcpLabels {
    pub ends: Ends,
    pub response_flags: ResponseFlags,
    pub security: ConnectionSecurityPolicy,
}

/// Labels of the gRPC message counters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessageLabels {
    pub ends: Ends,
}

/// A label set that can be written pair by pair, in the contract's order. Empty values are skipped by writers.
pub(crate) trait Pairs {
    fn pairs(&self, write: &mut dyn FnMut(&'static str, &str));
}

impl Reporter {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Waypoint => "waypoint",
        }
    }
}

impl RequestProtocol {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::Tcp => "tcp",
        }
    }
}

impl ConnectionSecurityPolicy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MutualTls => "mutual_tls",
            Self::None => "none",
            Self::Unknown => "unknown",
        }
    }
}

impl Workload {
    /// A peer that told nothing of itself.
    pub fn unknown() -> Self {
        let unknown: Arc<str> = "unknown".into();
        Self {
            workload: unknown.clone(),
            namespace: unknown.clone(),
            canonical_service: unknown.clone(),
            canonical_revision: "latest".into(),
            app: unknown.clone(),
            version: unknown.clone(),
            cluster: unknown,
        }
    }
}

impl Ends {
    fn source_pairs(&self, write: &mut dyn FnMut(&'static str, &str)) {
        let source = &self.source;
        write("reporter", self.reporter.as_str());
        write("source_workload", &source.workload);
        write("source_canonical_service", &source.canonical_service);
        write("source_canonical_revision", &source.canonical_revision);
        write("source_workload_namespace", &source.namespace);
        write("source_principal", &self.source_principal);
        write("source_app", &source.app);
        write("source_version", &source.version);
        write("source_cluster", &source.cluster);
    }

    fn destination_pairs(&self, write: &mut dyn FnMut(&'static str, &str)) {
        let destination = &self.destination;
        write("destination_workload", &destination.workload);
        write("destination_workload_namespace", &destination.namespace);
        write("destination_principal", &self.destination_principal);
        write("destination_app", &destination.app);
        write("destination_version", &destination.version);
        write("destination_service", &self.service.host);
        write("destination_canonical_service", &destination.canonical_service);
        write("destination_canonical_revision", &destination.canonical_revision);
        write("destination_service_name", &self.service.name);
        write("destination_service_namespace", &self.service.namespace);
        write("destination_cluster", &destination.cluster);
    }
}

impl Pairs for HttpLabels {
    fn pairs(&self, write: &mut dyn FnMut(&'static str, &str)) {
        self.ends.source_pairs(write);
        self.ends.destination_pairs(write);
        write("request_protocol", self.protocol.as_str());
        write("response_code", &self.response_code.to_string());
        write("grpc_response_status", &self.grpc_status.map(|status| status.to_string()).unwrap_or_default());
        write("response_flags", &self.response_flags.to_string());
        write("connection_security_policy", self.security.as_str());
    }
}

impl Pairs for TcpLabels {
    fn pairs(&self, write: &mut dyn FnMut(&'static str, &str)) {
        self.ends.source_pairs(write);
        self.ends.destination_pairs(write);
        write("request_protocol", RequestProtocol::Tcp.as_str());
        write("response_flags", &self.response_flags.to_string());
        write("connection_security_policy", self.security.as_str());
    }
}

impl Pairs for MessageLabels {
    fn pairs(&self, write: &mut dyn FnMut(&'static str, &str)) {
        self.ends.source_pairs(write);
        self.ends.destination_pairs(write);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Family;

    fn names(labels: &dyn Pairs) -> Vec<&'static str> {
        let mut names = Vec::new();
        labels.pairs(&mut |name, _| names.push(name));
        names
    }

    #[test]
    fn label_sets_are_those_of_the_catalogue_in_its_order() {
        let ends = Ends {
            reporter: Reporter::Source,
            source: Arc::new(Workload::unknown()),
            source_principal: "unknown".into(),
            destination: Arc::new(Workload::unknown()),
            destination_principal: "unknown".into(),
            service: Destination { host: "h".into(), name: "n".into(), namespace: "s".into() },
        };
        let (flags, security) = (ResponseFlags::NONE, ConnectionSecurityPolicy::Unknown);
        let http = HttpLabels {
            ends: ends.clone(),
            protocol: RequestProtocol::Http,
            response_code: 200,
            grpc_status: None,
            response_flags: flags,
            security,
        };
        let tcp = TcpLabels { ends: ends.clone(), response_flags: flags, security };
        assert_eq!(names(&http), Family::RequestsTotal.labels());
        assert_eq!(names(&tcp), Family::TcpSentBytesTotal.labels());
        assert_eq!(names(&MessageLabels { ends }), Family::RequestMessagesTotal.labels());
    }
}
