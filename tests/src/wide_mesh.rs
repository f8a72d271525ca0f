//! Configuration of a mesh with many services: files as a person has them, one for a service, and changes to them.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

use crate::ads::Identity;

/// Ports on which services listen, as they are usual.
const PORTS: [u16; 10] = [80, 3000, 5000, 8000, 8080, 8081, 8888, 9000, 9080, 9090];

/// How much there is of everything.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub services: usize,
    /// Pods of each service.
    pub endpoints: usize,
    pub namespaces: usize,
    pub proxies: usize,
}

impl Shape {
    /// Writes a file with its Service and Pods, and one with its VirtualService of two routes, for each service.
    ///
    /// # Errors
    /// When the directory cannot be written to.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        for service in 0..self.services {
            fs::write(directory.join(format!("service-{service}.yaml")), self.service(service))?;
            fs::write(directory.join(format!("route-{service}.yaml")), self.virtual_service(service, 10))?;
        }
        Ok(())
    }

    fn service(&self, service: usize) -> String {
        let (namespace, port) = (self.namespace(service), port(service));
        let mut text = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: s{service}, namespace: {namespace}}}\n\
             spec:\n  clusterIP: 10.{}.{}.{}\n  selector: {{app: s{service}}}\n  ports:\n  - {{name: http, port: {port}, targetPort: 8080}}\n",
            200 + service / 65_536,
            service / 256 % 256,
            service % 256,
        );
        for pod in 0..self.endpoints {
            let _ = write!(text, "---\n{}", self.pod(service, pod, true));
        }
        text
    }

    /// A pod of a service.
    pub fn pod(&self, service: usize, pod: usize, ready: bool) -> String {
        let (namespace, address) = (self.namespace(service), self.address(service, pod));
        let status = if ready { "True" } else { "False" };
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: s{service}-{pod}\n  namespace: {namespace}\n  \
             labels: {{app: s{service}, version: v{}}}\n  annotations: {{sidecar.istio.io/status: '{{}}'}}\n\
             spec: {{serviceAccountName: s{service}, containers: []}}\n\
             status: {{podIP: {address}, conditions: [{{type: Ready, status: '{status}'}}]}}\n",
            pod % 2,
        )
    }

    /// A service's routes.
    pub fn virtual_service(&self, service: usize, seconds: usize) -> String {
        let namespace = self.namespace(service);
        format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: s{service}, namespace: {namespace}}}\n\
             spec:\n  hosts: [s{service}]\n  http:\n  - match: [{{uri: {{prefix: /api/v1}}, headers: {{x-tenant: {{exact: blue}}}}}}]\n    \
             timeout: {seconds}s\n    route: [{{destination: {{host: s{service}}}}}]\n  \
             - route: [{{destination: {{host: s{service}}}}}]\n    retries: {{attempts: 3, perTryTimeout: 2s}}\n"
        )
    }

    /// The cluster of a service, which is the name of its endpoints too.
    pub fn cluster(&self, service: usize) -> String {
        format!("outbound|{}||s{service}.{}.svc.cluster.local", port(service), self.namespace(service))
    }

    /// The route table in which a service is.
    pub fn table(&self, service: usize) -> String {
        port(service).to_string()
    }

    /// The proxies: of pods of different services, over all namespaces.
    pub fn identities(&self) -> Vec<Identity> {
        let identity = |proxy: usize| {
            let service = proxy % self.services;
            let pod = proxy / self.services;
            Identity {
                address: self.address(service, pod),
                name: format!("s{service}-{pod}"),
                namespace: self.namespace(service),
                labels: vec![("app".to_owned(), format!("s{service}"))],
            }
        };
        (0..self.proxies).map(identity).collect()
    }

    /// Where a service lives.
    pub fn namespace(&self, service: usize) -> String {
        format!("team-{}", service % self.namespaces)
    }

    fn address(&self, service: usize, pod: usize) -> String {
        let number = service * self.endpoints + pod;
        format!("10.{}.{}.{}", 1 + number / 65_536, number / 256 % 256, number % 256)
    }
}

fn port(service: usize) -> u16 {
    // Neighbours are in one namespace after a round, so ports and namespaces mix.
    PORTS[service / 3 % PORTS.len()]
}
