//! Envoy's bootstrap and its files of secrets, as JSON values. No I/O.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use orrery_proxy::{Config, Issued};
use serde_json::{Value, json};

use crate::role::proxy::SERVER_NAME;

/// The cluster over which Envoy reaches the control plane; the name that Istio's bootstraps give it.
const XDS: &str = "xds-grpc";
const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// A bootstrap for the node that `config` describes; its secrets are files of `dir`.
pub(super) fn bootstrap(config: &Config, dir: &Path) -> Value {
    let mut metadata = config.metadata();
    // Tells the control plane to have Envoy read secrets there too, and not ask for them on the stream.
    metadata.insert("SDS_DIR".to_owned(), json!(dir.display().to_string()));
    metadata.insert("GENERATOR".to_owned(), json!("envoy"));
    let ads = json!({ "ads": {}, "resource_api_version": "V3" });
    json!({
        "node": { "id": config.node_id(), "cluster": config.service_name(), "metadata": metadata },
        "admin": { "address": address(config.ports.admin) },
        "dynamic_resources": {
            "lds_config": ads,
            "cds_config": ads,
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": true,
                "grpc_services": [{ "envoy_grpc": { "cluster_name": XDS } }],
            },
        },
        "static_resources": { "clusters": [control_plane(&config.control.address, dir)] },
    })
}

/// The secret `default`: the workload's certificate.
pub(super) fn certificate(issued: &Issued) -> Value {
    secret(
        "default",
        "tls_certificate",
        json!({
            "certificate_chain": { "inline_string": issued.chain },
            "private_key": { "inline_string": issued.key.reveal() },
        }),
    )
}

/// The secret `ROOTCA`: what certificates of the mesh are checked against.
pub(super) fn roots(issued: &Issued) -> Value {
    secret("ROOTCA", "validation_context", json!({ "trusted_ca": { "inline_string": issued.roots } }))
}

fn secret(name: &str, kind: &str, content: Value) -> Value {
    json!({
        "resources": [{
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            "name": name,
            kind: content,
        }],
    })
}

/// Mutual TLS to the control plane, with the certificate of the workload.
fn control_plane(control: &str, dir: &Path) -> Value {
    let (host, port) = control.rsplit_once(':').unwrap_or((control, "15012"));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port: u16 = port.parse().unwrap_or(15012);
    let kind = if host.parse::<IpAddr>().is_ok() { "STATIC" } else { "STRICT_DNS" };
    let endpoint = json!({ "endpoint": { "address": socket(host, port) } });
    json!({
        "name": XDS,
        "type": kind,
        "connect_timeout": "5s",
        "load_assignment": { "cluster_name": XDS, "endpoints": [{ "lb_endpoints": [endpoint] }] },
        "typed_extension_protocol_options": {
            HTTP_OPTIONS: {
                "@type": format!("type.googleapis.com/{HTTP_OPTIONS}"),
                "explicit_http_config": {
                    "http2_protocol_options": { "connection_keepalive": { "interval": "30s", "timeout": "10s" } },
                },
            },
        },
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": SERVER_NAME,
                "common_tls_context": {
                    "alpn_protocols": ["h2"],
                    "tls_certificate_sds_secret_configs": [file(dir, "default")],
                    "combined_validation_context": {
                        "default_validation_context": {
                            "match_typed_subject_alt_names": [
                                { "san_type": "DNS", "matcher": { "exact": SERVER_NAME } },
                            ],
                        },
                        "validation_context_sds_secret_config": file(dir, "ROOTCA"),
                    },
                },
            },
        },
    })
}

fn file(dir: &Path, name: &str) -> Value {
    let path = dir.join(format!("{name}.yaml")).display().to_string();
    json!({
        "name": name,
        "sds_config": { "path_config_source": { "path": path }, "resource_api_version": "V3" },
    })
}

fn address(at: SocketAddr) -> Value {
    socket(&at.ip().to_string(), at.port())
}

fn socket(host: &str, port: u16) -> Value {
    json!({ "socket_address": { "address": host, "port_value": port } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_plane_is_found_by_address_or_by_name() {
        for (control, kind, host, port) in [
            ("127.0.0.1:4012", "STATIC", "127.0.0.1", 4012),
            ("[::1]:4012", "STATIC", "::1", 4012),
            ("istiod.istio-system.svc:15012", "STRICT_DNS", "istiod.istio-system.svc", 15012),
        ] {
            let cluster = control_plane(control, Path::new("/secrets"));
            let at =
                &cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"];
            assert_eq!(
                (&cluster["type"], &at["address"], &at["port_value"]),
                (&json!(kind), &json!(host), &json!(port))
            );
            let tls = &cluster["transport_socket"]["typed_config"]["common_tls_context"];
            let own = &tls["tls_certificate_sds_secret_configs"][0]["sds_config"]["path_config_source"]["path"];
            assert_eq!(own, "/secrets/default.yaml");
        }
    }
}
