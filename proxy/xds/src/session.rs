//! One delta ADS stream as a state machine: what to ask, what to answer, what is still awaited. No I/O, no clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use envoy_types::pb::google::rpc::Status;

use crate::status::AdsStatus;
use crate::store::{Kind, Store};

/// Asks for all resources of a type.
const WILDCARD: &str = "*";
/// gRPC's INVALID_ARGUMENT, which says in a NACK that resources were refused.
const INVALID_ARGUMENT: i32 = 3;

/// State of the stream that is open.
#[derive(Debug, Default)]
pub(crate) struct Session {
    subscribed: BTreeMap<Kind, BTreeSet<String>>,
    /// Named resources that were asked for and neither came nor were said not to exist.
    awaited: BTreeSet<(Kind, String)>,
    /// Wildcard types of which nothing is held and no answer has come.
    first: BTreeSet<Kind>,
}

impl Session {
    /// The requests that open a stream: all clusters and listeners, and again what was subscribed before.
    pub(crate) fn open(&mut self, store: &Store, local: &BTreeSet<String>) -> Vec<DeltaDiscoveryRequest> {
        *self = Self::default();
        let mut requests = Vec::new();
        for kind in Kind::ALL {
            let names = store.wanted(kind, local);
            if kind.is_wildcard() {
                // A server that is told what is held has nothing to say while nothing differs.
                if store.versions(kind).is_empty() {
                    self.first.insert(kind);
                }
            } else if names.is_empty() {
                continue;
            }
            let subscribe =
                if kind.is_wildcard() { vec![WILDCARD.to_owned()] } else { names.iter().cloned().collect() };
            self.awaited.extend(names.iter().filter(|name| !store.holds(kind, name)).map(|name| (kind, name.clone())));
            self.subscribed.insert(kind, names);
            requests.push(DeltaDiscoveryRequest {
                type_url: kind.type_url(),
                resource_names_subscribe: subscribe,
                initial_resource_versions: store.versions(kind),
                ..Default::default()
            });
        }
        requests
    }

    /// Takes a response into the store; gives its acknowledgement and what must be subscribed now.
    pub(crate) fn respond(
        &mut self,
        response: DeltaDiscoveryResponse,
        store: &mut Store,
        local: &BTreeSet<String>,
        status: &AdsStatus,
    ) -> Vec<DeltaDiscoveryRequest> {
        let mut answer = DeltaDiscoveryRequest {
            type_url: response.type_url.clone(),
            response_nonce: response.nonce.clone(),
            ..Default::default()
        };
        let Some(kind) = Kind::of_type_url(&response.type_url) else {
            answer.error_detail = Some(nack(format!("resources of type {} were not asked for", response.type_url)));
            return vec![answer];
        };
        let refused = self.take_in(kind, response, store, status);
        if !refused.is_empty() {
            answer.error_detail = Some(nack(refused.join("; ")));
        }
        let mut requests = vec![answer];
        requests.extend(self.resubscribe(store, local));
        requests
    }

    fn take_in(
        &mut self,
        kind: Kind,
        response: DeltaDiscoveryResponse,
        store: &mut Store,
        status: &AdsStatus,
    ) -> Vec<String> {
        status.received(kind.service(), response.resources.len());
        self.first.remove(&kind);
        let mut refused = Vec::new();
        for resource in response.resources {
            let label = format!("{} {}", kind.service(), resource.name);
            self.awaited.remove(&(kind, resource.name.clone()));
            let taken = match &resource.resource {
                Some(any) => {
                    store.insert(kind, &resource.name, resource.version, any).map_err(|error| error.to_string())
                }
                None => Err("it has no content".to_owned()),
            };
            match taken {
                Ok(()) => status.accepted(&label),
                Err(reason) => {
                    tracing::warn!(resource = label, reason, "refused; what was there before stays in force");
                    status.refused(&label, &reason);
                    refused.push(format!("{}: {reason}", resource.name));
                }
            }
        }
        for name in response.removed_resources {
            self.awaited.remove(&(kind, name.clone()));
            store.remove(kind, &name);
        }
        refused
    }

    /// Subscriptions follow what clusters and listeners refer to.
    pub(crate) fn resubscribe(&mut self, store: &mut Store, local: &BTreeSet<String>) -> Vec<DeltaDiscoveryRequest> {
        let mut requests = Vec::new();
        for kind in [Kind::Endpoints, Kind::Routes, Kind::Secret] {
            let wanted = store.wanted(kind, local);
            let current = self.subscribed.entry(kind).or_default();
            if *current == wanted {
                continue;
            }
            let new: Vec<String> = wanted.difference(current).cloned().collect();
            let old: Vec<String> = current.difference(&wanted).cloned().collect();
            for name in &old {
                self.awaited.remove(&(kind, name.clone()));
            }
            self.awaited.extend(new.iter().map(|name| (kind, name.clone())));
            store.forget_unwanted(kind, &wanted);
            *current = wanted;
            requests.push(DeltaDiscoveryRequest {
                type_url: kind.type_url(),
                resource_names_subscribe: new,
                resource_names_unsubscribe: old,
                initial_resource_versions: HashMap::new(),
                ..Default::default()
            });
        }
        requests
    }

    /// Whether everything asked for has been answered: a snapshot of the store is complete.
    pub(crate) fn is_complete(&self) -> bool {
        self.first.is_empty() && self.awaited.is_empty()
    }

    /// Whether clusters and listeners have come at all.
    pub(crate) fn has_begun(&self) -> bool {
        self.first.is_empty()
    }
}

fn nack(message: String) -> Status {
    Status { code: INVALID_ARGUMENT, message, details: Vec::new() }
}

#[cfg(test)]
mod tests;
