//! The demo's workloads: Istio's Bookinfo with a gateway, as Kubernetes would describe it.

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;

use anyhow::Context;

use super::host::Host;
use crate::bookinfo::PORT;
use crate::workload::{Network, Role, Workload};

/// Host number of the gateway.
pub(super) const GATEWAY: u8 = 10;

/// Application, version, and host number.
const WORKLOADS: [(&str, &str, u8); 6] = [
    ("productpage", "v1", 11),
    ("details", "v1", 12),
    ("reviews", "v1", 13),
    ("reviews", "v2", 14),
    ("reviews", "v3", 15),
    ("ratings", "v1", 16),
];

const SERVICES: [&str; 4] = ["productpage", "details", "reviews", "ratings"];

const GATEWAY_YAML: &str = "apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: bookinfo-gateway
  namespace: default
spec:
  selector:
    istio: ingressgateway
  servers:
  - port:
      number: 8080
      name: http
      protocol: HTTP
    hosts:
    - \"*\"
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: bookinfo
  namespace: default
spec:
  hosts:
  - \"*\"
  gateways:
  - bookinfo-gateway
  http:
  - match:
    - uri:
        exact: /productpage
    - uri:
        prefix: /static
    - uri:
        exact: /login
    - uri:
        exact: /logout
    - uri:
        prefix: /api/v1/products
    route:
    - destination:
        host: productpage
        port:
          number: 9080
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: default
  namespace: default
spec:
  mtls:
    mode: STRICT
";

/// The services and their cluster addresses.
pub(super) fn services(network: Network) -> Vec<(String, IpAddr)> {
    (10..).zip(SERVICES).map(|(number, name)| (name.to_owned(), network.service(number))).collect()
}

/// All workloads, the gateway first.
pub(super) fn workloads(network: Network) -> Vec<Workload> {
    let labels = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let gateway = Workload {
        name: "istio-ingressgateway".to_owned(),
        namespace: "istio-system".to_owned(),
        owner: "istio-ingressgateway".to_owned(),
        service_account: "istio-ingressgateway-service-account".to_owned(),
        labels: labels(&[("app", "istio-ingressgateway"), ("istio", "ingressgateway")]),
        address: network.mesh(GATEWAY),
        role: Role::Gateway,
    };
    let service = |(app, version, host): (&str, &str, u8)| Workload {
        name: format!("{app}-{version}"),
        namespace: "default".to_owned(),
        owner: format!("{app}-{version}"),
        service_account: format!("bookinfo-{app}"),
        labels: labels(&[("app", app), ("version", version)]),
        address: network.mesh(host),
        role: Role::Sidecar { app: network.app(host) },
    };
    std::iter::once(gateway).chain(WORKLOADS.into_iter().map(service)).collect()
}

/// Writes the demo's own configuration.
pub(super) fn write(host: &Host) -> anyhow::Result<()> {
    for (name, text) in
        [("bookinfo.yaml", kubernetes(host.network())), ("bookinfo-gateway.yaml", GATEWAY_YAML.to_owned())]
    {
        let file = host.config_dir().join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Services, and pods with their addresses.
fn kubernetes(network: Network) -> String {
    let mut text = String::new();
    for (app, address) in services(network) {
        // On loopback nothing is redirected, and services are known by their names alone.
        let address = if network.is_loopback() { String::new() } else { format!("  clusterIP: {address}\n") };
        // Writing into a string cannot fail.
        let _ = write!(
            text,
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: {app}\n  namespace: default\n  labels:\n    app: {app}\n    service: {app}\nspec:\n{address}  ports:\n  - port: {PORT}\n    name: http\n  selector:\n    app: {app}\n---\n"
        );
    }
    for workload in workloads(network) {
        // The versions of reviews share an account, which is written once.
        let account = format!("  name: {}\n  namespace: {}\n", workload.service_account, workload.namespace);
        if !text.contains(&account) {
            let _ = write!(text, "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n{account}---\n");
        }
        let _ = write!(
            text,
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {}\n  namespace: {}\n  annotations:\n    sidecar.istio.io/status: '{{}}'\n  labels:\n",
            workload.name, workload.namespace
        );
        for (key, value) in &workload.labels {
            let _ = writeln!(text, "    {key}: {value}");
        }
        let _ = write!(
            text,
            "spec:\n  serviceAccountName: {}\n  containers:\n  - name: app\nstatus:\n  podIP: {}\n---\n",
            workload.service_account, workload.address
        );
    }
    text
}

/// Starts the services themselves, beside their proxies.
pub(super) fn start_applications(host: &mut Host) -> anyhow::Result<()> {
    let network = host.network();
    let applications: Vec<Workload> = workloads(network).into_iter().skip(1).collect();
    for ((app, version, number), workload) in WORKLOADS.into_iter().zip(&applications) {
        let mut flags = match network.is_loopback() {
            true => vec![
                ("--listen", format!("{}:{PORT}", network.app(number))),
                ("--outbound", format!("{}:15001", network.mesh(number))),
            ],
            // Services are called by name, and the namespace redirects what comes and goes.
            false => vec![("--listen", format!("0.0.0.0:{PORT}"))],
        };
        if app == "reviews" {
            flags.push(("--reviews-version", version.to_owned()));
        }
        host.start_application(workload, &["bookinfo", app], &flags)?;
    }
    Ok(())
}
