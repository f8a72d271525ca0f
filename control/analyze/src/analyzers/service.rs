//! Services: ports whose name tells no protocol.

use serde_json::Value;

use crate::code::Code;
use crate::finding::Report;
use crate::snapshot::{Snapshot, is_system};
use crate::value::Look;

/// Protocols by which a port's name may begin, as Istio's protocol selection knows them.
const PROTOCOLS: [&str; 13] =
    ["grpc", "grpc-web", "http", "http2", "https", "hbone", "mongo", "mysql", "redis", "tcp", "tls", "udp", "auto"];
/// Values of `appProtocol` that Kubernetes and Istio define beside those.
const APP_PROTOCOLS: [&str; 5] = ["kubernetes.io/h2c", "kubernetes.io/ws", "kubernetes.io/wss", "wss", "ws"];
/// Ports on which servers that speak first are known: MySQL and SMTP, which Istio takes for TCP by themselves.
const SERVER_FIRST: [u64; 2] = [25, 3306];
/// Names under which DNS is published.
const DNS: [&str; 2] = ["dns", "dns-tcp"];

pub(super) fn check(snapshot: &Snapshot, report: &mut Report) {
    for service in snapshot.all("Service").filter(|service| !is_system(&service.namespace)) {
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
                    format!("port {number} ({name:?}) of a service of type ExternalName is taken for plain TCP"),
                );
            } else {
                report.add(
                    Code::PortNameIsNotUnderNamingConvention,
                    service,
                    &pointer,
                    format!("the name {name:?} of port {number} tells no protocol: it must be detected"),
                );
            }
        }
    }
}

fn tells_protocol(port: &Value) -> bool {
    if port.text("/protocol") == "UDP" {
        return true;
    }
    let application = port.text("/appProtocol").to_ascii_lowercase();
    if !application.is_empty() {
        return PROTOCOLS.contains(&application.as_str()) || APP_PROTOCOLS.contains(&application.as_str());
    }
    let name = port.text("/name").to_ascii_lowercase();
    let server_first = name.is_empty() && port.port("/port").is_some_and(|number| SERVER_FIRST.contains(&number));
    server_first || DNS.contains(&name.as_str()) || PROTOCOLS.iter().any(|protocol| begins_with(&name, protocol))
}

/// `<protocol>` or `<protocol>-<suffix>`.
fn begins_with(name: &str, protocol: &str) -> bool {
    name.strip_prefix(protocol).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}
