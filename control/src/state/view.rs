//! The state as the debug pages show it.

use orrery_compile::{EndpointAddress, ProxyId, Registry, RegistryService};
use orrery_serve::{ConnectionId, ResourceType};
use serde_json::{Map, Value, json};

use super::{Served, State};

impl State {
    /// All services.
    pub(crate) fn services(&self) -> Value {
        self.world.registry().services().map(|one| service(self.world.registry(), one)).collect()
    }

    /// All endpoints; with a proxy's name, the clusters for which that proxy was given endpoints.
    pub(crate) fn endpoints(&self, proxy: Option<&str>) -> Value {
        match proxy.map(|name| self.served(name)) {
            None => self.world.registry().services().map(|one| endpoints(self.world.registry(), one)).collect(),
            Some(Some(served)) => json!({
                "proxy": served.1.proxy.id,
                "clusters": self.names(served, ResourceType::Endpoint),
            }),
            Some(None) => json!([]),
        }
    }

    /// Names and versions of everything that a proxy was given.
    pub(crate) fn dump(&self, proxy: &str) -> Option<Value> {
        let served = self.served(proxy)?;
        let types: Map<String, Value> =
            ResourceType::ALL.into_iter().map(|kind| (kind.type_url().to_owned(), self.names(served, kind))).collect();
        Some(json!({ "node": served.1.proxy.id, "revision": served.1.revision, "resources": types }))
    }

    /// A connected proxy by its `<name>.<namespace>`, or by its whole id.
    fn served(&self, name: &str) -> Option<(ConnectionId, &Served)> {
        let is = |served: &Served| served.proxy.id == name || served.proxy.id.split('~').nth(2) == Some(name);
        let mut newest_first = self.proxies.iter().rev();
        newest_first.find(|(_, served)| is(served)).map(|(connection, served)| (*connection, served))
    }

    fn names(&self, (connection, served): (ConnectionId, &Served), kind: ResourceType) -> Value {
        let set = self.compiler.set(ProxyId(connection.0), served.revision.unwrap_or_default()).unwrap_or_default();
        Value::Object(set.iter(kind).map(|(name, one)| (name.to_string(), json!(&*one.version))).collect())
    }
}

fn service(registry: &Registry, service: &RegistryService) -> Value {
    json!({
        "hostname": service.host,
        "name": service.name,
        "namespace": service.namespace,
        "addresses": service.addresses,
        "external": service.external,
        "ports": service.ports.iter().map(|port| json!({
            "port": port.number,
            "name": port.name,
            "protocol": format!("{:?}", port.protocol),
        })).collect::<Vec<Value>>(),
        "endpoints": registry.endpoints(service).len(),
    })
}

fn endpoints(registry: &Registry, service: &RegistryService) -> Value {
    let list = registry.endpoints(service).iter().map(|endpoint| {
        let address = match &endpoint.address {
            EndpointAddress::Ip(address) => address.to_string(),
            EndpointAddress::Name(name) => name.clone(),
        };
        json!({
            "address": address,
            "ports": endpoint.ports,
            "workload": endpoint.workload,
            "namespace": endpoint.namespace,
            "serviceAccount": endpoint.service_account,
            "labels": endpoint.labels.0,
            "mesh": endpoint.in_mesh,
            "ready": endpoint.ready,
            "weight": endpoint.weight,
            "locality": endpoint.locality,
        })
    });
    json!({ "svc": service.host, "ep": list.collect::<Vec<Value>>() })
}
