//! From what is known of an exchange to the labels of Istio's metrics. Both proxies of a call come to the same ones:
//! each knows itself, and the other by what it was told.

use std::sync::{Arc, OnceLock};

use orrery_core::listener::Direction;
use orrery_core::names::ClusterName;
use orrery_core::select::without_port;
use orrery_emit::labels::{ConnectionSecurityPolicy, Destination, Ends, Reporter, Workload};
use orrery_net::connect::ConnectionFacts;
use orrery_net::tls::PeerIdentity;

use crate::connection::Downstream;
use crate::live::{LiveCluster, LiveEndpoint};
use crate::peer::Peer;

/// What labels are made of.
pub(crate) struct Known<'a> {
    pub(crate) own: &'a Arc<Workload>,
    pub(crate) downstream: &'a Downstream,
    /// Who calls, as it says itself.
    pub(crate) source: Option<&'a Peer>,
    pub(crate) cluster: Option<&'a LiveCluster>,
    pub(crate) endpoint: Option<&'a LiveEndpoint>,
    pub(crate) facts: Option<&'a ConnectionFacts>,
    /// The host that was asked for.
    pub(crate) host: Option<&'a str>,
}

/// `unknown`, shared.
fn unknown() -> Arc<str> {
    static UNKNOWN: OnceLock<Arc<str>> = OnceLock::new();
    UNKNOWN.get_or_init(|| Arc::from("unknown")).clone()
}

/// The SPIFFE name of an upstream.
pub(crate) fn upstream_principal(facts: Option<&ConnectionFacts>) -> Option<&Arc<str>> {
    match facts?.peer.as_ref()? {
        PeerIdentity::Spiffe(name) => Some(name),
        PeerIdentity::Unnamed => None,
    }
}

impl Known<'_> {
    /// Both ends, as this side of the workload reports them.
    pub(crate) fn ends(&self) -> Ends {
        match self.downstream.listener.direction {
            Direction::Inbound => self.as_destination(),
            Direction::Outbound => self.as_source(),
        }
    }

    /// `connection_security_policy`: only the server side knows.
    pub(crate) fn security(&self) -> ConnectionSecurityPolicy {
        match (self.downstream.listener.direction, &self.downstream.tls) {
            (Direction::Outbound, _) => ConnectionSecurityPolicy::Unknown,
            (Direction::Inbound, Some(tls)) if tls.peer.is_some() && tls.own.is_some() => {
                ConnectionSecurityPolicy::MutualTls
            }
            (Direction::Inbound, _) => ConnectionSecurityPolicy::None,
        }
    }

    fn as_destination(&self) -> Ends {
        let tls = self.downstream.tls.as_ref();
        let principal = tls.and_then(|tls| tls.peer.as_ref());
        let own = tls.filter(|tls| tls.peer.is_some()).and_then(|tls| tls.own.clone());
        let source = self.source.map_or_else(|| Arc::new(unknown_from(principal)), |peer| peer.workload.clone());
        Ends {
            reporter: Reporter::Destination,
            source,
            source_principal: principal.cloned().unwrap_or_else(unknown),
            destination: self.own.clone(),
            destination_principal: own.unwrap_or_else(unknown),
            service: self.service().unwrap_or_else(|| Destination {
                host: self.own.canonical_service.clone(),
                name: self.own.canonical_service.clone(),
                namespace: self.own.namespace.clone(),
            }),
        }
    }

    fn as_source(&self) -> Ends {
        let principal = upstream_principal(self.facts);
        let own = self.facts.filter(|facts| facts.peer.is_some()).and_then(|facts| facts.own.clone());
        let destination = match self.endpoint {
            Some(endpoint) => endpoint.state().peer().workload.clone(),
            None => Arc::new(Workload::unknown()),
        };
        let service = self.service().unwrap_or_else(|| self.service_by_name(&destination));
        Ends {
            reporter: Reporter::Source,
            source: self.own.clone(),
            source_principal: own.unwrap_or_else(unknown),
            destination,
            destination_principal: principal.cloned().unwrap_or_else(unknown),
            service,
        }
    }

    fn service(&self) -> Option<Destination> {
        let service = self.cluster?.config.service.as_ref()?;
        Some(Destination {
            host: service.host.clone(),
            name: service.name.clone(),
            namespace: service.namespace.clone(),
        })
    }

    /// Where the cluster does not say: the host that was asked for inside the mesh, and Envoy's names for traffic that
    /// passes through or is blocked.
    fn service_by_name(&self, destination: &Workload) -> Destination {
        let host: Arc<str> = self.host.map_or_else(unknown, |host| without_port(host).into());
        let through = |name: &ClusterName| name.as_str().contains("Passthrough") || name.as_str() == "BlackHoleCluster";
        let name = match self.cluster.map(|cluster| &cluster.config.name).filter(|name| through(name)) {
            Some(cluster) => cluster.shared().clone(),
            None => host.split('.').next().map_or_else(unknown, Arc::from),
        };
        Destination { host, name, namespace: destination.namespace.clone() }
    }
}

/// A peer that told nothing of itself; its certificate tells at least its namespace.
fn unknown_from(principal: Option<&Arc<str>>) -> Workload {
    let namespace = principal.and_then(|name| name.split("/ns/").nth(1)).and_then(|rest| rest.split('/').next());
    let unknown = Workload::unknown();
    match namespace {
        Some(namespace) => Workload { namespace: namespace.into(), ..unknown },
        None => unknown,
    }
}
