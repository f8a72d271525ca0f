//! The cluster in which Istio's own tests put their inputs: services, certificates, and what is reached where.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use orrery_api::{GatewayWorkloads, Key, Kind, Object, Spec};

use crate::{Lookup, Reach, ReachedService};

const DOMAIN: &str = "domain.suffix";
/// Services with the usual ports.
const SERVICES: [&str; 29] = [
    "default/httpbin",
    "apple/httpbin-apple",
    "banana/httpbin-banana",
    "default/httpbin-second",
    "default/httpbin-wildcard",
    "default/foo-svc",
    "default/httpbin-other",
    "default/example",
    "default/echo",
    "cert/httpbin",
    "service/my-svc",
    "allowed-1/a-example",
    "allowed-2/a-example",
    "allowed-1/b-example",
    "allowed-1/svc2",
    "allowed-2/svc2",
    "allowed-1/svc1",
    "allowed-2/svc3",
    "default/svc4",
    "group-namespace1/httpbin",
    "group-namespace2/httpbin",
    "default/httpbin-zero",
    "istio-system/httpbin",
    "default/httpbin-mirror",
    "default/httpbin-foo",
    "default/httpbin-alt",
    "istio-system/istiod",
    "istio-system/echo",
    "default/httpbin-bad",
];
/// Secrets with a certificate.
const SECRETS: [&str; 9] = [
    "istio-system/my-cert-http",
    "ns2/ns2-cert",
    "ns3/ns3-cert",
    "ns4/ns4-cert",
    "istio-system/my-cert",
    "istio-system/my-cert-http2",
    "cert/cert",
    "bookinfo/bookinfo-secret",
    "bookinfo/another-secret",
];
/// ConfigMaps with roots.
const ROOTS: [&str; 2] = ["istio-system/my-cert-http", "default/auth-cert"];
/// Services that stand for pools, with their port.
const POOLS: [(&str, u16); 4] = [
    ("infpool-gen-ip-6580eb2c", 54_321),
    ("infpool-gen2-ip-97b729d1", 54_321),
    ("infpool-model1-ip-aaaaf2d6", 80),
    ("infpool-model2-ip-f857bff9", 80),
];
const INGRESS: &str = "istio-ingressgateway.istio-system.svc.domain.suffix";

pub(crate) struct Cluster {
    objects: BTreeMap<Key, Object>,
    given: BTreeSet<Key>,
}

impl Cluster {
    pub(crate) fn around(input: Vec<Object>) -> Self {
        let mut text = String::new();
        let ports = "[{name: http, port: 80}, {name: tcp, port: 34000}, {name: tcp-other, port: 34001}]";
        for service in SERVICES {
            text.push_str(&document("v1", "Service", service, &format!("spec: {{ports: {ports}}}")));
        }
        for (name, port) in POOLS {
            let spec = format!("spec: {{ports: [{{name: http, port: {port}}}]}}");
            text.push_str(&document("v1", "Service", &format!("default/{name}"), &spec));
        }
        let ingress = "spec: {ports: [{name: http, port: 80}, {name: https, port: 443}, {name: tcp, port: 34000}]}";
        text.push_str(&document("v1", "Service", "istio-system/istio-ingressgateway", ingress));
        let (certificate, key) = certificate();
        for secret in SECRETS {
            let data = format!("stringData: {{tls.crt: {certificate:?}, tls.key: {key:?}, ca.crt: {certificate:?}}}");
            text.push_str(&document("v1", "Secret", secret, &data));
        }
        let malformed = "stringData: {tls.crt: SGVsbG8gd29ybGQK, tls.key: SGVsbG8gd29ybGQK}";
        text.push_str(&document("v1", "Secret", "istio-system/malformed", malformed));
        for map in ROOTS {
            text.push_str(&document("v1", "ConfigMap", map, &format!("data: {{ca.crt: {certificate:?}}}")));
        }
        for namespace in input.iter().map(|object| &object.key.namespace).collect::<BTreeSet<_>>() {
            if !namespace.is_empty() {
                let part = namespace.split('-').next().unwrap_or_default();
                text.push_str(&format!(
                    "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}, labels: {{istio.io/test-name-part: {part}}}}}\n---\n"
                ));
            }
        }
        let around = orrery_api::parse(&text, "cluster", "default").unwrap_or_else(|problems| panic!("{problems:?}"));
        let given = input.iter().map(|object| object.key.clone()).collect();
        let objects = around.into_iter().chain(input).map(|object| (object.key.clone(), object)).collect();
        Self { objects, given }
    }

    /// Objects of the input.
    pub(crate) fn given(&self) -> impl Iterator<Item = &Object> {
        self.given.iter().filter_map(|key| self.objects.get(key))
    }
}

fn document(version: &str, kind: &str, at: &str, body: &str) -> String {
    let (namespace, name) = at.split_once('/').unwrap_or(("default", at));
    format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\n{body}\n---\n")
}

fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["example.com".to_owned()]).expect("a certificate can be made");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

impl Lookup for Cluster {
    fn get(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key)
    }

    fn of_kind(&self, kind: Kind) -> Vec<&Object> {
        self.objects.values().filter(|object| object.key.kind == kind).collect()
    }

    fn domain(&self) -> &str {
        DOMAIN
    }
}

impl Reach for Cluster {
    fn service(&self, host: &str, namespace: &str) -> Option<ReachedService> {
        let (name, rest) = host.split_once('.')?;
        let of = rest.strip_suffix(".svc.domain.suffix").filter(|of| *of == namespace)?;
        let key = Key { kind: Kind::Service, namespace: of.to_owned(), name: name.to_owned() };
        let Spec::Service(service) = &self.objects.get(&key)?.spec else { return None };
        Some(ReachedService {
            ports: service.ports.iter().map(|port| (port.port, true)).collect(),
            target_ports: BTreeSet::from([8080]),
            external: if host == INGRESS { vec!["1.2.3.4".to_owned()] } else { Vec::new() },
            ..ReachedService::default()
        })
    }

    fn workloads(&self, _: &[GatewayWorkloads]) -> Vec<IpAddr> {
        Vec::new()
    }
}
