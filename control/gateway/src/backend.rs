//! Where rules send calls: references to backends, and why they do not hold.

use orrery_api::gateway_api::{BackendReference, ObjectReference};
use orrery_api::{Destination, Kind, Located, Object, Place};

use crate::condition::Fault;
use crate::grant::{Grants, Referrer};
use crate::sources::Sources;

/// For whom backends are looked up.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) sources: Sources<'a>,
    /// `None`: references into other namespaces need no grant, as within the mesh.
    pub(crate) grants: Option<&'a Grants>,
    pub(crate) route: &'a Object,
}

/// A backend, and what is wrong with it: then calls for it fail, and the others go on.
pub(crate) struct Backend {
    pub(crate) destination: Destination,
    pub(crate) fault: Option<Fault>,
}

/// No backend: calls for it are answered with 500.
pub(crate) fn nowhere() -> Destination {
    Destination { host: located(String::new()), subset: None, port: None }
}

pub(crate) fn located(value: String) -> Located<String> {
    Located { value, place: Place::default() }
}

impl Caller<'_> {
    /// The destination of a reference.
    ///
    /// # Errors
    /// When the reference is so wrong that the route object as a whole is.
    pub(crate) fn backend(&self, reference: &BackendReference) -> Result<Backend, Fault> {
        let object = &reference.object;
        let own = &self.route.key.namespace;
        let namespace = object.namespace.as_ref().unwrap_or(own);
        let from = Referrer { kind: self.route.key.kind, namespace: own };
        if let Some(grants) = self.grants
            && !grants.allow(from, &object.group, &object.kind, namespace, &object.name)
        {
            let message =
                format!("no ReferenceGrant of {namespace} lets {own} use {} {namespace}/{}", object.kind, object.name);
            return Ok(broken("RefNotPermitted", message));
        }
        match (object.group.as_str(), object.kind.as_str()) {
            ("", "Service") => {
                if object.name.contains('.') {
                    return Err(Fault::new("InvalidDestination", "the name of the Service is expected, not its host"));
                }
                self.service(reference, &object.name, namespace)
            }
            ("multicluster.x-k8s.io", "ServiceImport") => self.service(reference, &object.name, namespace),
            ("networking.istio.io", "Hostname") => self.host(reference, object, namespace),
            ("inference.networking.k8s.io", "InferencePool") => self.pool(object, namespace),
            (group, kind) => Ok(broken("InvalidKind", format!("calls cannot go to a {kind} of {group:?}"))),
        }
    }

    fn service(&self, reference: &BackendReference, name: &str, namespace: &str) -> Result<Backend, Fault> {
        let found = self.sources.service(namespace, name).is_some();
        let fault = (!found).then(|| not_found(&format!("Service {namespace}/{name}")));
        to(self.sources.host(name, namespace), reference.port, fault)
    }

    fn host(&self, reference: &BackendReference, object: &ObjectReference, namespace: &str) -> Result<Backend, Fault> {
        if object.namespace.is_some() {
            return Err(Fault::new("InvalidDestination", "a Hostname has no namespace"));
        }
        let found = self.sources.is_host_of(&object.name, namespace);
        let fault = (!found).then(|| not_found(&format!("host {} in {namespace}", object.name)));
        to(object.name.clone(), reference.port, fault)
    }

    /// The Service that stands for a pool.
    fn pool(&self, object: &ObjectReference, namespace: &str) -> Result<Backend, Fault> {
        if object.name.contains('.') {
            return Err(Fault::new("InvalidDestination", "the name of the InferencePool is expected, not a host"));
        }
        let shown = format!("InferencePool {namespace}/{}", object.name);
        if self.sources.get(Kind::InferencePool, namespace, &object.name).is_none() {
            return Ok(broken("BackendNotFound", format!("there is no {shown}")));
        }
        let name = pool_service(&object.name);
        let Some((_, service)) = self.sources.service(namespace, &name) else {
            return Ok(broken("BackendNotFound", format!("{shown} has no Service {name}")));
        };
        to(self.sources.host(&name, namespace), service.ports.first().map(|port| port.port), None)
    }
}

fn not_found(what: &str) -> Fault {
    Fault::new("BackendNotFound", format!("there is no {what}"))
}

fn broken(reason: &'static str, message: String) -> Backend {
    Backend { destination: nowhere(), fault: Some(Fault::new(reason, message)) }
}

fn to(host: String, port: Option<u16>, fault: Option<Fault>) -> Result<Backend, Fault> {
    let port = port.ok_or_else(|| Fault::new("InvalidDestination", format!("the port of {host} is missing")))?;
    Ok(Backend { destination: Destination { host: located(host), subset: None, port: Some(port) }, fault })
}

/// Name of the Service that a controller makes for a pool: the pool's with a piece of its hash.
fn pool_service(pool: &str) -> String {
    const LONGEST: usize = 63;
    let digest = ring::digest::digest(&ring::digest::SHA256, pool.as_bytes());
    let hash: String = digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let ending = format!("-ip-{hash}");
    let kept: String = pool.chars().take(LONGEST - ending.len()).collect();
    format!("{kept}{ending}")
}
