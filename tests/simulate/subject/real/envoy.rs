//! A real Envoy.

use std::fs;
use std::path::Path;

use orrery_proxy::ControlPlane;
use orrery_tests::http::get;
use orrery_tests::tools;
use serde_json::{Value, json};

use super::control::Control;
use super::process::Process;
use crate::cluster::ProxyNode;
use crate::node;

const ADMIN: &str = "127.0.0.1:15000";

pub(super) struct Envoy(Process);

impl Envoy {
    pub(super) async fn start(control: &Control, node: &ProxyNode) -> Result<Self, String> {
        let dir = control.dir().join("envoy");
        fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
        secrets(control, &dir).await?;
        let file = dir.join("bootstrap.json");
        fs::write(&file, bootstrap(control, node, &dir).to_string()).map_err(|error| error.to_string())?;
        // One worker is enough for a test; no shared memory, so that several may run at the same time.
        let words = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning", "-c"];
        let mut arguments: Vec<String> = words.iter().map(|one| (*one).to_owned()).collect();
        arguments.push(file.display().to_string());
        Process::start(&tools::envoy(), &arguments, &dir).map(Self)
    }

    /// Nothing is warming any more, nothing was refused, and it is ready.
    pub(super) async fn in_force(&mut self) -> Result<(), String> {
        self.0.check()?;
        let ready = get(&format!("http://{ADMIN}/ready")).await.map_err(|error| format!("{error:#}"))?;
        if ready.status != 200 {
            return Err(format!("not ready: {}", String::from_utf8_lossy(&ready.body).trim()));
        }
        let stats = get(&format!("http://{ADMIN}/stats?filter=warming|rejected|create_failure"))
            .await
            .map_err(|error| format!("{error:#}"))?;
        let text = String::from_utf8_lossy(&stats.body).into_owned();
        match text.lines().filter(|line| !line.ends_with(": 0")).collect::<Vec<_>>().as_slice() {
            [] => Ok(()),
            some => Err(some.join(", ")),
        }
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.0.log()
    }
}

/// The workload's certificate and the mesh's roots, in files that Envoy reads.
async fn secrets(control: &Control, dir: &Path) -> Result<(), String> {
    let (root_certificate, token_file) = control.credentials()?;
    let plane = ControlPlane {
        address: control.xds.to_string(),
        root_certificate,
        server_name: "istiod.istio-system.svc".to_owned(),
        token_file: Some(token_file),
    };
    let issued = orrery_proxy::issue(&plane).await.map_err(|error| format!("no certificate: {error:#}"))?;
    let own = json!({
        "certificate_chain": { "inline_string": issued.chain },
        "private_key": { "inline_string": issued.key.reveal() },
    });
    let roots = json!({ "trusted_ca": { "inline_string": issued.roots } });
    for (name, kind, content) in [("default", "tls_certificate", own), ("ROOTCA", "validation_context", roots)] {
        let secret = json!({
            "resources": [{
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
                "name": name,
                kind: content,
            }],
        });
        fs::write(dir.join(format!("{name}.yaml")), secret.to_string()).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn bootstrap(control: &Control, node: &ProxyNode, secrets: &Path) -> Value {
    let mut metadata = node::metadata(node);
    metadata.insert("SDS_DIR".to_owned(), json!(secrets.display().to_string()));
    let ads = json!({ "ads": {}, "resource_api_version": "V3" });
    let socket = |address: &str, port: u16| json!({ "socket_address": { "address": address, "port_value": port } });
    let xds = control.plaintext;
    let endpoint = json!({ "endpoint": { "address": socket(&xds.ip().to_string(), xds.port()) } });
    json!({
        "node": { "id": node::id(node), "cluster": format!("{}.{}", node.workload, node.namespace), "metadata": metadata },
        "admin": { "address": socket("127.0.0.1", 15000) },
        "dynamic_resources": {
            "lds_config": ads,
            "cds_config": ads,
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": true,
                "grpc_services": [{ "envoy_grpc": { "cluster_name": "xds-grpc" } }],
            },
        },
        "static_resources": { "clusters": [{
            "name": "xds-grpc",
            "type": "STATIC",
            "connect_timeout": "5s",
            "load_assignment": { "cluster_name": "xds-grpc", "endpoints": [{ "lb_endpoints": [endpoint] }] },
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": { "http2_protocol_options": {} },
                },
            },
        }] },
    })
}
