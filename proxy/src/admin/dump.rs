//! The configuration in force as JSON, in the sections of Envoy's `/config_dump`. Private keys are never in it.

mod routes;

use std::sync::Arc;

use orrery_core::cluster::{Cluster, Discovery, Transport};
use orrery_core::listener::{ClientCertificate, FilterChain, Listener, NetworkFilter, OriginalDst, RouteSource};
use orrery_core::secret::{Secret, SecretContent};
use orrery_core::snapshot::Snapshot;
use serde_json::{Value, json};

use crate::admin::clusters::health;
use crate::config::Config;

const TYPE: &str = "type.googleapis.com/envoy.admin.v3.";

pub(crate) fn config_dump(config: &Config, snapshot: &Snapshot) -> Value {
    let node = json!({"id": config.node.id, "cluster": config.service_name(), "metadata": config.metadata()});
    let section = |name: &str, key: &str, entries: Vec<Value>| json!({"@type": format!("{TYPE}{name}"), key: entries});
    json!({"configs": [
        {"@type": format!("{TYPE}BootstrapConfigDump"), "bootstrap": {"node": node}},
        section("ClustersConfigDump", "dynamic_active_clusters", by_name(snapshot.clusters.values(), |c| c.name.as_str(), cluster)),
        section("EndpointsConfigDump", "dynamic_endpoint_configs", by_name(snapshot.clusters.values(), |c| c.name.as_str(), endpoints)),
        section("ListenersConfigDump", "dynamic_listeners", by_name(snapshot.listeners.values(), |l| l.name.as_str(), listener)),
        section("RoutesConfigDump", "dynamic_route_configs", by_name(snapshot.routes.values(), |r| r.name.as_str(), |table| {
            json!({"route_config": routes::table(table)})
        })),
        section("SecretsConfigDump", "dynamic_active_secrets", by_name(snapshot.secrets.values(), |s| s.name.as_str(), secret)),
    ]})
}

fn by_name<'a, T: 'a>(
    all: impl Iterator<Item = &'a Arc<T>>,
    name: impl Fn(&T) -> &str,
    dump: impl Fn(&Arc<T>) -> Value,
) -> Vec<Value> {
    let mut all: Vec<&Arc<T>> = all.collect();
    all.sort_by(|one, other| name(one).cmp(name(other)));
    all.into_iter().map(dump).collect()
}

fn cluster(cluster: &Arc<Cluster>) -> Value {
    let kind = match &cluster.discovery {
        Discovery::Static => "STATIC",
        Discovery::Eds(_) => "EDS",
        Discovery::StrictDns => "STRICT_DNS",
        Discovery::LogicalDns => "LOGICAL_DNS",
        Discovery::OriginalDst => "ORIGINAL_DST",
    };
    let transports: Vec<Value> = cluster
        .transports
        .iter()
        .map(|entry| match &entry.transport {
            Transport::Plain => {
                json!({"name": &*entry.name, "transport_socket": {"name": "envoy.transport_sockets.raw_buffer"}})
            }
            Transport::Tls(tls) => json!({"name": &*entry.name, "transport_socket": {
                "name": "envoy.transport_sockets.tls",
                "sni": tls.sni,
                "certificate": tls.certificate.as_ref().map(|name| name.as_str()),
                "subject_alt_names": format!("{:?}", tls.subject_alt_names),
            }}),
        })
        .collect();
    json!({"cluster": {
        "name": cluster.name.as_str(),
        "type": kind,
        "lb_policy": format!("{:?}", cluster.balancing),
        "connect_timeout": format!("{:?}", cluster.connect_timeout),
        "protocol": format!("{:?}", cluster.protocol),
        "circuit_breakers": {
            "max_connections": cluster.limits.max_connections,
            "max_pending_requests": cluster.limits.max_pending_requests,
            "max_requests": cluster.limits.max_requests,
            "max_retries": cluster.limits.max_retries,
        },
        "outlier_detection": cluster.outlier.map(|outlier| format!("{outlier:?}")),
        "transport_socket_matches": transports,
        "metadata": {"filter_metadata": {"istio": {
            "config": cluster.origin.as_deref(),
            "services": cluster.service.iter().map(|service| json!({
                "host": &*service.host, "name": &*service.name, "namespace": &*service.namespace,
            })).collect::<Vec<_>>(),
        }}},
    }})
}

fn endpoints(cluster: &Arc<Cluster>) -> Value {
    let endpoints: Vec<Value> = cluster
        .endpoints
        .all
        .iter()
        .map(|endpoint| {
            json!({
                "endpoint": {"address": {"socket_address": {
                    "address": endpoint.address.ip(), "port_value": endpoint.address.port(),
                }}},
                "health_status": health(endpoint.health),
                "load_balancing_weight": endpoint.weight,
                "workload": endpoint.workload.as_ref().map(|w| format!("{}.{}", w.workload, w.namespace)),
            })
        })
        .collect();
    json!({"endpoint_config": {"cluster_name": cluster.name.as_str(), "endpoints": [{"lb_endpoints": endpoints}]}})
}

fn listener(listener: &Arc<Listener>) -> Value {
    let chains: Vec<Value> = listener.filter_chains.iter().map(|chain| filter_chain(chain)).collect();
    json!({"name": listener.name.as_str(), "active_state": {"listener": {
        "name": listener.name.as_str(),
        "address": {"socket_address": {"address": listener.address.ip(), "port_value": listener.address.port()}},
        "traffic_direction": format!("{:?}", listener.direction).to_uppercase(),
        "bind_to_port": listener.binding == orrery_core::listener::Binding::Socket,
        "use_original_dst": listener.original_dst == OriginalDst::HandedOver,
        "filter_chains": chains,
        "default_filter_chain": listener.default_filter_chain.as_ref().map(|chain| filter_chain(chain)),
    }}})
}

fn filter_chain(chain: &FilterChain) -> Value {
    let tls = chain.tls.as_ref().map(|tls| {
        let required = matches!(tls.client, ClientCertificate::Required(_));
        let certificates: Vec<&str> = tls.certificates.iter().map(|name| name.as_str()).collect();
        json!({"certificates": certificates, "require_client_certificate": required})
    });
    let filter = match &chain.filter {
        NetworkFilter::Http(http) => match &http.routes {
            RouteSource::Rds(name) => json!({"http_connection_manager": {"rds": {"route_config_name": name.as_str()}}}),
            RouteSource::Inline(table) => json!({"http_connection_manager": {"route_config": routes::table(table)}}),
        },
        NetworkFilter::Tcp(tcp) => {
            let clusters: Vec<Value> =
                tcp.clusters.iter().map(|c| json!({"name": c.name.as_str(), "weight": c.weight})).collect();
            json!({"tcp_proxy": {"stat_prefix": &*tcp.stat_prefix, "weighted_clusters": clusters}})
        }
    };
    json!({
        "name": &*chain.name,
        "filter_chain_match": {
            "destination_port": chain.matches.destination_port,
            "transport_protocol": chain.matches.transport.map(|transport| format!("{transport:?}")),
            "application_protocols": chain.matches.application_protocols,
        },
        "tls": tls,
        "filter": filter,
    })
}

fn secret(secret: &Arc<Secret>) -> Value {
    let content = match &secret.content {
        SecretContent::Certificate { chain, .. } => {
            json!({"tls_certificate": {"certificate_chain": &**chain, "private_key": "[redacted]"}})
        }
        SecretContent::Roots { bundle, .. } => json!({"validation_context": {"trusted_ca": &**bundle}}),
    };
    json!({"name": secret.name.as_str(), "secret": content})
}
