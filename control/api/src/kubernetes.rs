//! The Kubernetes kinds that the mesh reads: what runs where, and under which service. Their other fields are not ours.

use std::net::IpAddr;

use crate::reader::{Fields, Reader};
use crate::selector::Labels;

/// A Service.
#[derive(Clone, Debug, Default)]
pub struct Service {
    pub ports: Vec<ServicePort>,
    /// Empty: endpoints are given by Endpoints or EndpointSlices.
    pub selector: Labels,
    /// Virtual addresses of the cluster, one for each IP family.
    pub cluster_ips: Vec<IpAddr>,
    /// `clusterIP: None`: callers find the endpoints themselves.
    pub headless: bool,
    /// Of type ExternalName: the name it stands for.
    pub external_name: Option<String>,
    /// Endpoints that are not ready are called as well.
    pub publish_not_ready: bool,
}

/// A port of a Service.
#[derive(Clone, Debug)]
pub struct ServicePort {
    pub name: String,
    pub port: u16,
    pub target: TargetPort,
    /// `appProtocol`, or what the name begins with.
    pub protocol: String,
}

/// Which port of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPort {
    Number(u16),
    Name(String),
}

/// A Pod, as far as it can be called.
#[derive(Clone, Debug, Default)]
pub struct Pod {
    pub service_account: String,
    /// `status.podIP`; `None` while it has none.
    pub ip: Option<IpAddr>,
    /// Named container ports.
    pub ports: Vec<(String, u16)>,
    pub ready: bool,
    /// It has ended, or was told to.
    pub terminating: bool,
    pub host_network: bool,
    /// The Deployment or other owner, without the hashes that pod names have.
    pub owner: Option<String>,
}

/// Addresses behind a Service, of an Endpoints object or an EndpointSlice.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// The Service; for Endpoints it is the object's own name, and empty here.
    pub service: String,
    pub endpoints: Vec<Endpoint>,
}

/// One address with its ports.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub ip: IpAddr,
    pub ready: bool,
    /// Pod that it is, by name.
    pub pod: Option<String>,
    /// Port names and numbers.
    pub ports: Vec<(String, u16)>,
}

pub(crate) fn service(fields: Fields<'_>) -> Option<Service> {
    let spec = fields.require("spec")?.fields()?;
    let ports = spec.list("ports").iter().filter_map(service_port).collect();
    let cluster_ip = spec.text("clusterIP").unwrap_or_default();
    let mut cluster_ips: Vec<IpAddr> = cluster_ip.parse().into_iter().collect();
    for ip in spec.texts("clusterIPs").into_iter().filter_map(|ip| ip.value.parse().ok()) {
        if !cluster_ips.contains(&ip) {
            cluster_ips.push(ip);
        }
    }
    let external = spec.text("type").is_none_or(|kind| kind == "ExternalName");
    let service = Service {
        ports,
        selector: Labels(spec.text_map("selector")),
        cluster_ips,
        headless: cluster_ip == "None",
        external_name: spec.text("externalName").filter(|name| external && !name.is_empty()),
        publish_not_ready: spec.take("publishNotReadyAddresses").and_then(|flag| flag.flag()).unwrap_or(false),
    };
    spec.ignore_rest();
    fields.ignore_rest();
    Some(service)
}

fn service_port(reader: &Reader<'_>) -> Option<ServicePort> {
    let fields = reader.fields()?;
    let name = fields.text("name").unwrap_or_default();
    let port = fields.require("port")?.number(1, 65_535).and_then(|port| u16::try_from(port).ok())?;
    let target = match fields.take("targetPort") {
        None => TargetPort::Number(port),
        Some(reader) => match reader.node.value {
            crate::yaml::Value::Text(_) => TargetPort::Name(reader.text()?),
            _ => TargetPort::Number(u16::try_from(reader.number(1, 65_535)?).ok()?),
        },
    };
    let transport = fields.text("protocol").unwrap_or_else(|| "TCP".to_owned());
    let application = fields.text("appProtocol").filter(|word| !word.is_empty());
    let protocol = match transport.as_str() {
        "UDP" => "udp".to_owned(),
        _ => application.unwrap_or_else(|| named_protocol(&name)).to_ascii_lowercase(),
    };
    fields.ignore_rest();
    Some(ServicePort { name, port, target, protocol })
}

/// What a port's name begins with: `http` of `http-admin`, but `grpc-web` whole.
fn named_protocol(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    if lower == "grpc-web" || lower.starts_with("grpc-web-") {
        return "grpc-web".to_owned();
    }
    lower.split('-').next().unwrap_or_default().to_owned()
}

pub(crate) fn pod(fields: Fields<'_>) -> Option<Pod> {
    let metadata = fields.fields("metadata");
    let deleted = metadata.as_ref().is_some_and(|metadata| metadata.take("deletionTimestamp").is_some());
    let owner = metadata.and_then(owner);
    let spec = fields.require("spec")?.fields()?;
    let mut ports = Vec::new();
    for container in spec.list("containers") {
        let Some(container) = container.fields() else { continue };
        for port in container.list("ports") {
            let Some(port) = port.fields() else { continue };
            if let (Some(name), Some(number)) = (port.text("name"), port.port("containerPort")) {
                ports.push((name, number));
            }
            port.ignore_rest();
        }
        container.ignore_rest();
    }
    let service_account = spec.text("serviceAccountName").unwrap_or_else(|| "default".to_owned());
    let host_network = spec.take("hostNetwork").and_then(|flag| flag.flag()).unwrap_or(false);
    spec.ignore_rest();
    let status = fields.fields("status").map(pod_status).unwrap_or_default();
    fields.ignore_rest();
    let terminating = deleted || status.ended;
    let (ip, ready) = (status.ip, status.ready && !terminating);
    Some(Pod { service_account, ip, ports, ready, terminating, host_network, owner })
}

fn owner(metadata: Fields<'_>) -> Option<String> {
    let references = metadata.list("ownerReferences");
    let first = references.first()?.fields()?;
    let (kind, name) = (first.text("kind")?, first.text("name")?);
    first.ignore_rest();
    metadata.ignore_rest();
    // A ReplicaSet's name is its Deployment's with a hash behind.
    match (kind.as_str(), name.rsplit_once('-')) {
        ("ReplicaSet", Some((deployment, _))) => Some(deployment.to_owned()),
        _ => Some(name),
    }
}

#[derive(Default)]
struct PodStatus {
    ip: Option<IpAddr>,
    /// A pod that says nothing of readiness is ready when it has an address.
    ready: bool,
    /// Its containers are over for good.
    ended: bool,
}

fn pod_status(status: Fields<'_>) -> PodStatus {
    let ip = status.take("podIP").and_then(|reader| ip(&reader));
    let ended = matches!(status.text("phase").as_deref(), Some("Succeeded" | "Failed"));
    let mut ready = ip.is_some();
    for condition in status.list("conditions") {
        let Some(condition) = condition.fields() else { continue };
        if condition.text("type").as_deref() == Some("Ready") {
            ready = condition.text("status").as_deref() == Some("True");
        }
        condition.ignore_rest();
    }
    status.ignore_rest();
    PodStatus { ip, ready, ended }
}

pub(crate) fn endpoints(fields: Fields<'_>) -> Option<Endpoints> {
    let mut endpoints = Vec::new();
    for subset in fields.list("subsets") {
        let subset = subset.fields()?;
        let ports = named_ports(&subset);
        for (list, ready) in [("addresses", true), ("notReadyAddresses", false)] {
            for address in subset.list(list) {
                let address = address.fields()?;
                let ip = address.require("ip").and_then(|reader| ip(&reader));
                let pod = address.fields("targetRef").and_then(|target| target.text("name"));
                endpoints.extend(ip.map(|ip| Endpoint { ip, ready, pod, ports: ports.clone() }));
                address.ignore_rest();
            }
        }
        subset.ignore_rest();
    }
    fields.ignore_rest();
    Some(Endpoints { service: String::new(), endpoints })
}

pub(crate) fn endpoint_slice(fields: Fields<'_>) -> Option<Endpoints> {
    let labels = fields.fields("metadata").map(|metadata| metadata.text_map("labels")).unwrap_or_default();
    let service = labels.get("kubernetes.io/service-name").cloned().unwrap_or_default();
    let ports = named_ports(&fields);
    let mut endpoints = Vec::new();
    for endpoint in fields.list("endpoints") {
        let endpoint = endpoint.fields()?;
        // `serving` and `terminating` say why an endpoint is not ready; only ready ones are called.
        let ready = endpoint.fields("conditions").and_then(|c| c.take("ready")?.flag()).unwrap_or(true);
        let pod = endpoint.fields("targetRef").and_then(|target| target.text("name"));
        for address in endpoint.list("addresses") {
            let found = ip(&address).map(|ip| Endpoint { ip, ready, pod: pod.clone(), ports: ports.clone() });
            endpoints.extend(found);
        }
        endpoint.ignore_rest();
    }
    fields.ignore_rest();
    Some(Endpoints { service, endpoints })
}

fn named_ports(fields: &Fields<'_>) -> Vec<(String, u16)> {
    let named = |reader: &Reader<'_>| {
        let port = reader.fields()?;
        let pair = Some((port.text("name").unwrap_or_default(), port.port("port")?));
        port.ignore_rest();
        pair
    };
    fields.list("ports").iter().filter_map(named).collect()
}

fn ip(reader: &Reader<'_>) -> Option<IpAddr> {
    let text = reader.text()?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        reader.report(format!("{text:?} is no IP address"), "");
    }
    parsed
}
