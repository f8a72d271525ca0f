//! Which part of the mesh a proxy is told of: what its namespace sees, as far as a Sidecar imports it.
//!
//! A scope is made of patterns, not of services: it is found by one look-up, compared by value, and asked about one
//! object at a time. Proxies with equal scopes are told of the same services, routes and rules.

use std::collections::BTreeSet;
use std::net::IpAddr;

use orrery_api::{
    CaptureMode, ConnectionPool, EgressListener, ImportNamespace, IngressListener, Key, Object, OutboundPolicy,
    Sidecar, SidecarPort, Spec, VirtualService,
};

use crate::names::{is_within, overlap};
use crate::proxy::{Audience, Proxy, ProxyKind};
use crate::registry::RegistryService;
use crate::world::World;

/// What a proxy may be told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Of the proxy.
    pub namespace: String,
    /// The Sidecar that says so; `None`: everything that the namespace sees.
    pub sidecar: Option<Key>,
    /// At least one.
    pub egress: Vec<Egress>,
    /// `None`: as the mesh says.
    pub outbound_policy: Option<OutboundPolicy>,
}

/// One listener for outgoing calls, and what is behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Egress {
    /// `None`: the ports of the services.
    pub port: Option<SidecarPort>,
    pub bind: Option<IpAddr>,
    pub capture: CaptureMode,
    pub imports: Imports,
}

/// Hosts that are imported, and hosts that are left out of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imports {
    included: Vec<Pattern>,
    excluded: Vec<Pattern>,
}

/// `None`: any namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    namespace: Option<String>,
    host: String,
}

impl Scope {
    /// The scope of a proxy.
    pub fn of(world: &World, proxy: &Proxy) -> Self {
        Self::of_audience(world, &proxy.audience(|_, _| true))
    }

    /// The scope of proxies that see the mesh alike. Of the Sidecars of their namespace the oldest that selects them counts,
    /// those with a selector first; then that of the root namespace without one. Gateways see everything that is exported
    /// to them.
    pub(crate) fn of_audience(world: &World, audience: &Audience) -> Self {
        let namespace = &audience.namespace;
        let found = match audience.kind {
            ProxyKind::Sidecar => find(world, audience),
            ProxyKind::Router => None,
        };
        let Some((key, sidecar)) = found else {
            return Self {
                namespace: namespace.clone(),
                sidecar: None,
                egress: vec![Egress::of(&EgressListener::everything(), namespace)],
                outbound_policy: None,
            };
        };
        let mut egress: Vec<Egress> = sidecar.egress.iter().map(|one| Egress::of(one, namespace)).collect();
        if egress.is_empty() {
            egress.push(Egress::of(&EgressListener::everything(), namespace));
        }
        Self {
            namespace: namespace.clone(),
            sidecar: Some(key.clone()),
            egress,
            outbound_policy: sidecar.outbound_policy.clone(),
        }
    }

    /// Whether a service is imported by name, and exported to the proxy's namespace.
    pub fn imports_service(&self, service: &RegistryService) -> bool {
        service.is_visible_to(&self.namespace) && self.egress.iter().any(|one| one.imports_service(service))
    }

    /// Ports of a service that the proxy needs clusters for: those that are imported by name, and those to which imported
    /// virtual services lead. Empty: none.
    pub(crate) fn ports(&self, world: &World, service: &RegistryService) -> BTreeSet<u16> {
        let mut ports = BTreeSet::new();
        if !service.is_visible_to(&self.namespace) {
            return ports;
        }
        let all = || service.ports.iter().map(|port| port.number);
        for one in self.egress.iter().filter(|one| one.imports_service(service)) {
            match one.only_port() {
                Some(port) => drop(ports.insert(port)),
                None => ports.extend(all()),
            }
        }
        // Without a Sidecar everything that could be added is there already.
        if self.sidecar.is_none() || ports.len() == service.ports.len() {
            return ports;
        }
        for object in world.virtual_services_to(&service.host) {
            let Spec::VirtualService(one) = &object.spec else { continue };
            if self.imports_virtual_service(world, object, one) {
                ports.extend(ports_to(world, object, one, &service.host).into_iter().flat_map(|port| match port {
                    Some(port) => vec![port],
                    None => all().collect(),
                }));
            }
        }
        ports
    }

    /// Whether a virtual service of the mesh is imported by any listener. One that others delegate to is, where it is seen.
    fn imports_virtual_service(&self, world: &World, object: &Object, service: &VirtualService) -> bool {
        let hosts = world.index().virtual_services.hosts(object);
        let namespace = &object.key.namespace;
        let of_mesh = service.gateways.is_empty() || service.gateways.iter().any(|gateway| gateway.value == "mesh");
        of_mesh
            && service.export_to.includes(namespace, &self.namespace)
            && (hosts.is_empty() || self.egress.iter().any(|one| one.imports.any_of(namespace, hosts)))
    }

    /// The Sidecar's inbound ports; empty when it names none.
    pub(crate) fn ingress<'w>(&self, world: &'w World) -> &'w [IngressListener] {
        self.sidecar(world).map(|sidecar| sidecar.ingress.as_slice()).unwrap_or_default()
    }

    /// Limits of an inbound port: the port's own before those of all.
    pub(crate) fn inbound_pool<'w>(&self, world: &'w World, port: u16) -> Option<&'w ConnectionPool> {
        let sidecar = self.sidecar(world)?;
        let own = sidecar.ingress.iter().find(|one| one.port.number == port);
        own.and_then(|one| one.connection_pool.as_ref()).or(sidecar.inbound_connection_pool.as_ref())
    }

    fn sidecar<'w>(&self, world: &'w World) -> Option<&'w Sidecar> {
        match &world.get(self.sidecar.as_ref()?)?.spec {
            Spec::Sidecar(sidecar) => Some(sidecar),
            _ => None,
        }
    }
}

fn find<'w>(world: &'w World, audience: &Audience) -> Option<(&'w Key, &'w Sidecar)> {
    let selecting = |(_, sidecar): &(&Key, &Sidecar)| {
        sidecar.workload_selector.as_ref().is_some_and(|selector| selector.select(&audience.labels))
    };
    let whole = |namespace: &str| world.sidecars(namespace).find(|(_, sidecar)| sidecar.workload_selector.is_none());
    let own = world.sidecars(&audience.namespace).find(selecting).or_else(|| whole(&audience.namespace));
    own.or_else(|| whole(&world.settings().root_namespace))
}

/// Ports of a host to which a virtual service leads; `None`: it does not say which.
fn ports_to(world: &World, object: &Object, service: &VirtualService, host: &str) -> BTreeSet<Option<u16>> {
    let to = service.destinations().filter(|to| world.resolve(&to.host.value, &object.key.namespace) == host);
    to.map(|to| to.port).collect()
}

impl Egress {
    fn of(listener: &EgressListener, own: &str) -> Self {
        let mut imports = Imports::default();
        for import in &listener.hosts {
            let namespace = match &import.namespace {
                ImportNamespace::Any => None,
                ImportNamespace::Own => Some(own.to_owned()),
                ImportNamespace::Named(name) => Some(name.clone()),
            };
            let pattern = Pattern { namespace, host: import.host.clone() };
            if import.excluded {
                imports.excluded.push(pattern);
            } else {
                imports.included.push(pattern);
            }
        }
        Self { port: listener.port.clone(), bind: listener.bind, capture: listener.capture, imports }
    }

    /// The port that services must have to be behind this listener; a proxy for HTTP takes all ports.
    pub(crate) fn only_port(&self) -> Option<u16> {
        self.port.as_ref().filter(|port| port.protocol != "http_proxy").map(|port| port.number)
    }

    /// Whether the service is behind this listener, exported to the proxy or not.
    pub(crate) fn imports_service(&self, service: &RegistryService) -> bool {
        self.only_port().is_none_or(|port| service.port(port).is_some())
            && self.imports.includes(&service.namespace, &service.host)
    }
}

impl Imports {
    /// Whether a service's host is imported: a pattern must have all of it.
    fn includes(&self, namespace: &str, host: &str) -> bool {
        self.included.iter().any(|one| one.is_of(namespace) && is_within(host, &one.host))
            && !self.excludes(namespace, host)
    }

    /// Whether any host of a virtual service is imported: a pattern must have some of it.
    pub(crate) fn any_of(&self, namespace: &str, hosts: &[String]) -> bool {
        let mut hosts = hosts.iter().filter(|host| !self.excludes(namespace, host));
        hosts.any(|host| self.included.iter().any(|one| one.is_of(namespace) && overlap(host, &one.host)))
    }

    fn excludes(&self, namespace: &str, host: &str) -> bool {
        self.excluded.iter().any(|one| one.is_of(namespace) && is_within(host, &one.host))
    }
}

impl Pattern {
    fn is_of(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(hosts: &[&str]) -> Imports {
        let listed = hosts.iter().map(|host| format!("'{host}'")).collect::<Vec<_>>().join(", ");
        let text = format!(
            "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: s}}\nspec: {{egress: [{{hosts: [{listed}]}}]}}\n"
        );
        let objects = orrery_api::parse(&text, "s.yaml", "shop").unwrap();
        let Spec::Sidecar(sidecar) = &objects[0].spec else { panic!("{objects:?}") };
        Egress::of(&sidecar.egress[0], "shop").imports
    }

    #[test]
    fn patterns_import_services() {
        for (hosts, namespace, host, expected) in [
            (&["*/*"][..], "prod", "a.prod.svc.cluster.local", true),
            (&["./*"], "shop", "a.shop.svc.cluster.local", true),
            (&["./*"], "prod", "a.prod.svc.cluster.local", false),
            (&["prod/*"], "prod", "a.prod.svc.cluster.local", true),
            (&["prod/a.prod.svc.cluster.local"], "prod", "a.prod.svc.cluster.local", true),
            (&["prod/a.prod.svc.cluster.local"], "prod", "b.prod.svc.cluster.local", false),
            (&["*/*.example.com"], "prod", "a.example.com", true),
            (&["*/*.example.com"], "prod", "*.a.example.com", true),
            (&["*/a.example.com"], "prod", "*.example.com", false),
            (&["~/*"], "shop", "a.shop.svc.cluster.local", false),
            (&["*/*", "~prod/*"], "prod", "a.prod.svc.cluster.local", false),
            (&["*/*", "~prod/*"], "shop", "a.shop.svc.cluster.local", true),
            (&["*/*", "~/a.io"], "shop", "a.io", false),
        ] {
            assert_eq!(imports(hosts).includes(namespace, host), expected, "{hosts:?} {namespace}/{host}");
        }
    }

    #[test]
    fn patterns_import_virtual_services_by_any_host() {
        for (hosts, virtual_hosts, expected) in [
            (&["*/a.example.com"][..], &["*.example.com"][..], true),
            (&["*/*.example.com"], &["b.io", "a.example.com"], true),
            (&["*/a.io"], &["b.io"], false),
            (&["*/*", "~/b.io"], &["b.io"], false),
        ] {
            let names: Vec<String> = virtual_hosts.iter().map(|&host| host.to_owned()).collect();
            assert_eq!(imports(hosts).any_of("shop", &names), expected, "{hosts:?} {virtual_hosts:?}");
        }
    }
}
