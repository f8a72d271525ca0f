//! Services: ports whose name tells no protocol.

use serde_json::Value;

use crate::code::Code;
use crate::finding::Report;
use crate::resource::{MANAGED, Resource, WAYPOINTS, is_control_plane};
use crate::snapshot::Snapshot;
use crate::value::Look;

/// Protocols by which a port's name may begin, as Istio's protocol selection knows them.
const PROTOCOLS: [&str; 11] =
    ["tcp", "udp", "grpc", "http", "http_proxy", "http2", "https", "tls", "mongo", "redis", "mysql"];
/// The one of which the name has a hyphen.
const GRPC_WEB: &str = "grpc-web";
/// Values of `appProtocol` that Kubernetes defines beside those.
const APP_PROTOCOLS: [&str; 3] = ["kubernetes.io/h2c", "kubernetes.io/ws", "kubernetes.io/wss"];
/// SMTP, DNS, MySQL and MongoDB, whose ports Istio takes for TCP whatever their name.
const WELL_KNOWN: [u64; 4] = [25, 53, 3306, 27017];
/// Controllers that make services for gateways.
const CONTROLLERS: [&str; 3] = ["istio.io-gateway-controller", WAYPOINTS, "istio.io-eastwest-controller"];

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    let by_controller =
        |service: &Resource| service.labels.get(MANAGED).is_some_and(|by| CONTROLLERS.contains(&by.as_str()));
    for service in snapshot.all("Service").filter(|service| !is_control_plane(service) && !by_controller(service)) {
        let external = service.spec().text("/type") == "ExternalName";
        for (index, port) in service.spec().list("/ports").iter().enumerate() {
            let (name, pointer) = (port.text("/name"), format!("/spec/ports/{index}"));
            if tells_protocol(port) && !(external && name == "tcp") {
                continue;
            }
            let number = port.port("/port").unwrap_or_default();
            if external {
                report.add(
                    Code::ExternalNameServiceTypeInvalidPortName,
                    service,
                    &pointer,
                    format!("ports[{index}]: port {number} ({name:?}) of a service of type ExternalName is taken for plain TCP"),
                );
            } else {
                report.add(
                    Code::PortNameIsNotUnderNamingConvention,
                    service,
                    &pointer,
                    format!(
                        "ports[{index}]: the name {name:?} of port {number} tells no protocol: it must be detected"
                    ),
                );
            }
        }
    }
}

fn tells_protocol(port: &Value) -> bool {
    let application = port.at("/appProtocol").as_str();
    if port.text("/protocol") == "UDP" || application.is_some_and(|name| APP_PROTOCOLS.contains(&name)) {
        return true;
    }
    let name = application.unwrap_or_else(|| port.text("/name")).to_ascii_lowercase();
    let prefix = name.split('-').next().unwrap_or_default();
    let well_known = port.port("/port").is_some_and(|number| WELL_KNOWN.contains(&number));
    name.starts_with(GRPC_WEB) || PROTOCOLS.contains(&prefix) || well_known
}
