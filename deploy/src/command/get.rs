//! `orrery get`: configuration of a running mesh, as a table or as documents.

use std::process::ExitCode;

use serde_json::Value;

use crate::cli::{GetArgs, Output};
use crate::command::api::Api;
use crate::command::kinds;
use crate::mesh::Mesh;
use crate::print;
use crate::table::Table;

/// Group of the Gateway that is not Istio's.
const GATEWAY_API: &str = "gateway.networking.k8s.io";

pub(super) async fn run(arguments: GetArgs) -> anyhow::Result<ExitCode> {
    let mesh = Mesh::find(&arguments.mesh)?;
    let kind = arguments.kind.as_deref().map(kinds::canonical);
    let name = arguments.name.as_deref();
    let namespace = match arguments.namespace.as_deref() {
        None if name.is_some() && !arguments.all_namespaces => Some("default"),
        given => given,
    };
    let objects = Api::new(&mesh).list(kind.as_deref(), namespace, name).await?;
    if let (Some(name), true) = (name, objects.is_empty()) {
        let kind = kind.unwrap_or_default();
        print::error(&format!("{kind} {}/{name} does not exist", namespace.unwrap_or("*")));
        return Ok(ExitCode::FAILURE);
    }
    show(objects, arguments.output)?;
    Ok(ExitCode::SUCCESS)
}

fn show(objects: Vec<Value>, output: Output) -> anyhow::Result<()> {
    match output {
        Output::Json => print::json(&Value::Array(objects)),
        Output::Yaml => print::yaml(&Value::Array(objects)),
        Output::Table if objects.is_empty() => {
            print::note("nothing found");
            Ok(())
        }
        Output::Table => {
            let mut table = Table::new(&["KIND", "NAMESPACE", "NAME", "DETAILS"]);
            for object in &objects {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let metadata = &object["metadata"];
                let names = [&metadata["namespace"], &metadata["name"]].map(text);
                table.row([kind(object)].into_iter().chain(names).chain([details(object)]).collect());
            }
            print::data(&table.render())
        }
    }
}

/// The kind, with its group where two kinds share a name.
fn kind(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap_or_default();
    match object["apiVersion"].as_str().unwrap_or_default().split_once('/') {
        Some((GATEWAY_API, _)) if kind == "Gateway" => format!("{kind}.{GATEWAY_API}"),
        Some(_) | None => kind.to_owned(),
    }
}

/// What tells objects of one kind apart at a glance.
fn details(object: &Value) -> String {
    let spec = &object["spec"];
    let list = |value: &Value| {
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
    };
    let named = |label: &str, text: String| if text.is_empty() { text } else { format!("{label}={text}") };
    let parts = match object["kind"].as_str().unwrap_or_default() {
        "VirtualService" => vec![named("hosts", list(&spec["hosts"])), named("gateways", list(&spec["gateways"]))],
        "DestinationRule" => vec![
            named("host", spec["host"].as_str().unwrap_or_default().to_owned()),
            named("subsets", names(&spec["subsets"], "name")),
        ],
        "ServiceEntry" => vec![named("hosts", list(&spec["hosts"]))],
        "Service" => vec![named("ports", names(&spec["ports"], "port"))],
        "Gateway" => vec![
            named("servers", ports(&spec["servers"])),
            named("class", spec["gatewayClassName"].as_str().unwrap_or_default().to_owned()),
            named("listeners", names(&spec["listeners"], "name")),
        ],
        "GatewayClass" => vec![named("controller", spec["controllerName"].as_str().unwrap_or_default().to_owned())],
        "ListenerSet" => vec![named("listeners", names(&spec["listeners"], "name"))],
        "HTTPRoute" | "GRPCRoute" | "TLSRoute" | "TCPRoute" | "UDPRoute" => {
            vec![named("hosts", list(&spec["hostnames"])), named("parents", names(&spec["parentRefs"], "name"))]
        }
        "BackendTLSPolicy" => vec![named("targets", names(&spec["targetRefs"], "name"))],
        "PeerAuthentication" => vec![named("mtls", spec["mtls"]["mode"].as_str().unwrap_or("UNSET").to_owned())],
        "Pod" => vec![named("ip", object["status"]["podIP"].as_str().unwrap_or_default().to_owned())],
        "WorkloadEntry" => vec![named("address", spec["address"].as_str().unwrap_or_default().to_owned())],
        _ => Vec::new(),
    };
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn names(items: &Value, field: &str) -> String {
    let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().map(|item| plain(&item[field])).collect::<Vec<_>>().join(",")
}

fn ports(servers: &Value) -> String {
    let servers = servers.as_array().map(Vec::as_slice).unwrap_or_default();
    let one = |server: &Value| format!("{}/{}", plain(&server["port"]["number"]), plain(&server["port"]["protocol"]));
    servers.iter().map(one).collect::<Vec<_>>().join(",")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn details_of_kinds() {
        for (object, expected) in [
            (json!({"kind": "VirtualService", "spec": {"hosts": ["a", "b"]}}), "hosts=a,b"),
            (
                json!({"kind": "DestinationRule", "spec": {"host": "a", "subsets": [{"name": "v1"}]}}),
                "host=a subsets=v1",
            ),
            (json!({"kind": "Service", "spec": {"ports": [{"port": 9080}]}}), "ports=9080"),
            (
                json!({"kind": "Gateway", "spec": {"servers": [{"port": {"number": 80, "protocol": "HTTP"}}]}}),
                "servers=80/HTTP",
            ),
            (
                json!({"kind": "Gateway", "spec": {"gatewayClassName": "orrery", "listeners": [{"name": "a"}]}}),
                "class=orrery listeners=a",
            ),
            (
                json!({"kind": "HTTPRoute", "spec": {"hostnames": ["a"], "parentRefs": [{"name": "gw"}]}}),
                "hosts=a parents=gw",
            ),
            (json!({"kind": "ServiceAccount"}), ""),
        ] {
            assert_eq!(details(&object), expected);
        }
    }

    #[test]
    fn gateways_are_told_apart() {
        for (version, expected) in [
            ("networking.istio.io/v1", "Gateway"),
            ("gateway.networking.k8s.io/v1", "Gateway.gateway.networking.k8s.io"),
        ] {
            assert_eq!(kind(&json!({"apiVersion": version, "kind": "Gateway"})), expected);
        }
    }
}
