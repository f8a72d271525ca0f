//! A file's text to objects, or to all of its mistakes.

use crate::kind::{Kind, KindError};
use crate::object::{Key, Meta, Object, Spec};
use crate::problem::{Place, Problem};
use crate::reader::{Fields, Reader, Subject};
use crate::selector::Labels;
use crate::yaml::{self, Node};
use crate::{
    config_map, destination_rule, gateway, gateway_api, kubernetes, limits, peer_authentication, proxy_config, secret,
    service_entry, telemetry, virtual_service,
};

/// Where kubectl keeps the whole object once more: as secret as the object, and of no meaning.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Longest name that Kubernetes allows.
const LONGEST_NAME: usize = 253;

/// Mistakes of one file that are told.
const MOST_PROBLEMS: usize = 1_000;

/// What a file holds.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Those of its good documents.
    pub objects: Vec<Object>,
    /// All mistakes of the others.
    pub problems: Vec<Problem>,
    /// What the refused documents are about; nothing for one that does not say it.
    pub refused: Vec<Option<Key>>,
}

/// Reads all documents of a file, each for itself. Objects without a namespace are put into `namespace`.
///
/// # Errors
/// When the text as a whole is no YAML, or too much of it.
pub fn parse_each(text: &str, file: &str, namespace: &str) -> Result<Parsed, Box<Problem>> {
    let documents = yaml::documents(text).map_err(|error| {
        Box::new(Problem {
            file: file.to_owned(),
            line: error.line,
            column: error.column,
            kind: String::new(),
            namespace: String::new(),
            name: String::new(),
            field: String::new(),
            message: error.message,
            hint: String::new(),
        })
    })?;
    let mut parsed = Parsed::default();
    for document in documents.iter().flat_map(list_items) {
        match object(document, file, namespace) {
            Ok(object) => parsed.objects.push(object),
            Err((key, problems)) => {
                parsed.refused.push(key);
                let room = MOST_PROBLEMS.saturating_sub(parsed.problems.len());
                parsed.problems.extend(problems.into_iter().take(room));
            }
        }
    }
    Ok(parsed)
}

/// Reads all documents of a file, as what is one request.
///
/// # Errors
/// All mistakes of all documents; then none of the file's objects is given.
pub fn parse(text: &str, file: &str, namespace: &str) -> Result<Vec<Object>, Vec<Problem>> {
    let parsed = parse_each(text, file, namespace).map_err(|problem| vec![*problem])?;
    if parsed.refused.is_empty() { Ok(parsed.objects) } else { Err(parsed.problems) }
}

/// `kind: List` is what `kubectl get -o yaml` prints.
pub(crate) fn list_items(document: &Node) -> Vec<&Node> {
    if let yaml::Value::Map(entries) = &document.value {
        let find = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node.value);
        if let (Some(yaml::Value::Text(kind)), Some(yaml::Value::List(items))) = (find("kind"), find("items"))
            && kind == "List"
        {
            return items.iter().collect();
        }
    }
    vec![document]
}

/// An object, or what it is about and all of its mistakes.
fn object(document: &Node, file: &str, default_namespace: &str) -> Result<Object, (Option<Key>, Vec<Problem>)> {
    let mut subject = Subject::of(file);
    let place = Place { line: document.line, column: document.column, field: String::new() };
    let head = read_head(&Reader::new(document, place.clone(), &subject), default_namespace);
    let Some(head) = head else { return Err((None, subject.into_problems())) };
    // From here on mistakes are told with the object's name.
    subject.kind = head.key.kind.to_string();
    subject.namespace.clone_from(&head.key.namespace);
    subject.name.clone_from(&head.key.name);
    limits::check(document, head.key.kind, &subject);
    let reader = Reader::new(document, place, &subject);
    let object = reader.fields().and_then(|fields| {
        let meta = fields.fields("metadata").map(metadata).unwrap_or_default();
        let spec = spec(&head, fields)?;
        Some(Object { key: head.key.clone(), meta, spec, file: file.to_owned(), raw: raw(document, &head.key).into() })
    });
    let problems = subject.into_problems();
    match object {
        Some(object) if problems.is_empty() => Ok(object),
        Some(_) | None => Err((Some(head.key), problems)),
    }
}

struct Head {
    key: Key,
}

/// Kind, version and name: without them nothing else can be read.
fn read_head(reader: &Reader<'_>, default_namespace: &str) -> Option<Head> {
    let fields = reader.fields()?;
    let version = fields.require("apiVersion")?;
    let kind = fields.require("kind")?;
    let (version_text, kind_text) = (version.text()?, kind.text()?);
    let found = match Kind::find(&version_text, &kind_text) {
        Ok(found) => found,
        Err(error) => {
            report_kind(&version, &kind, &version_text, &kind_text, &error);
            return None;
        }
    };
    let metadata = fields.require("metadata")?.fields()?;
    let name_reader = metadata.require("name")?;
    let name = name_reader.text()?;
    if !is_name(&name) {
        name_reader.report(
            format!("{name:?} is no name"),
            "names have lower-case letters, digits, '-' and '.', begin and end with a letter or digit, and are at most 253 long",
        );
        return None;
    }
    let namespace = match (found.is_cluster_wide(), metadata.text("namespace")) {
        (true, _) => String::new(),
        (false, Some(namespace)) if is_name(&namespace) => namespace,
        (false, Some(namespace)) => {
            metadata.report(format!("{namespace:?} is no namespace"), "");
            return None;
        }
        (false, None) => default_namespace.to_owned(),
    };
    Some(Head { key: Key { kind: found, namespace, name } })
}

fn report_kind(version: &Reader<'_>, kind: &Reader<'_>, version_text: &str, kind_text: &str, error: &KindError) {
    match error {
        KindError::Unknown { near } => {
            let hint = near.map(|near| format!("did you mean {near}?")).unwrap_or_default();
            kind.report(format!("{kind_text} is no kind that is known here"), hint);
        }
        KindError::NotSupported => {
            kind.report(
                format!("{kind_text} ({version_text}) is not supported yet"),
                "leave it out: it would have no effect",
            );
        }
        KindError::Version { known } => {
            version
                .report(format!("{kind_text} does not exist in {version_text}"), format!("use {}", known.join(" or ")));
        }
    }
}

fn is_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    name.len() <= LONGEST_NAME && name.chars().all(inner) && edge(name.chars().next()) && edge(name.chars().last())
}

fn metadata(fields: Fields<'_>) -> Meta {
    let mut annotations = fields.text_map("annotations");
    annotations.remove(LAST_APPLIED);
    let meta = Meta {
        labels: Labels(fields.text_map("labels")),
        annotations: Labels(annotations),
        created: fields.text("creationTimestamp").unwrap_or_default(),
        generation: generation(&fields),
    };
    // Kubernetes puts much more into metadata of living objects.
    fields.ignore_rest();
    meta
}

fn generation(metadata: &Fields<'_>) -> u64 {
    let number = metadata.take("generation").and_then(|generation| generation.number(0, i64::MAX));
    number.and_then(|number| u64::try_from(number).ok()).unwrap_or_default()
}

fn spec(head: &Head, fields: Fields<'_>) -> Option<Spec> {
    match head.key.kind {
        Kind::AuthorizationPolicy
        | Kind::DaemonSet
        | Kind::Deployment
        | Kind::EnvoyFilter
        | Kind::IstioOperator
        | Kind::Job
        | Kind::MeshInstall
        | Kind::Namespace
        | Kind::ReplicaSet
        | Kind::RequestAuthentication
        | Kind::ServiceAccount
        | Kind::StatefulSet
        | Kind::WasmPlugin
        | Kind::InferencePool => {
            fields.ignore_rest();
            Some(Spec::Inert)
        }
        Kind::ConfigMap => config_map::read(fields).map(Spec::ConfigMap),
        Kind::Endpoints => kubernetes::endpoints(fields).map(Spec::Endpoints),
        Kind::EndpointSlice => kubernetes::endpoint_slice(fields).map(Spec::Endpoints),
        Kind::Pod => kubernetes::pod(fields).map(Spec::Pod),
        Kind::Secret => secret::read(fields).map(Spec::Secret),
        Kind::Service => kubernetes::service(fields).map(Spec::Service),
        Kind::DestinationRule => istio(fields).and_then(destination_rule::read).map(Spec::DestinationRule),
        Kind::Gateway => istio(fields).and_then(|spec| gateway::read(spec, &head.key.namespace)).map(Spec::Gateway),
        Kind::BackendTlsPolicy => {
            istio(fields).and_then(gateway_api::read_backend_tls_policy).map(Spec::BackendTlsPolicy)
        }
        Kind::BackendTrafficPolicy => {
            istio(fields).and_then(gateway_api::read_backend_traffic_policy).map(Spec::BackendTrafficPolicy)
        }
        Kind::GatewayClass => istio(fields).and_then(gateway_api::read_class).map(Spec::GatewayClass),
        Kind::GrpcRoute => istio(fields).and_then(gateway_api::read_grpc).map(Spec::GrpcRoute),
        Kind::HttpRoute => istio(fields).and_then(gateway_api::read_http).map(Spec::HttpRoute),
        Kind::KubernetesGateway => istio(fields).and_then(gateway_api::read_gateway).map(Spec::KubernetesGateway),
        Kind::ListenerSet => istio(fields).and_then(gateway_api::read_listener_set).map(Spec::ListenerSet),
        Kind::ReferenceGrant => istio(fields).and_then(gateway_api::read_grant).map(Spec::ReferenceGrant),
        Kind::TcpRoute => istio(fields).and_then(gateway_api::read_tcp).map(Spec::TcpRoute),
        Kind::TlsRoute => istio(fields).and_then(gateway_api::read_tls).map(Spec::TlsRoute),
        Kind::UdpRoute => istio(fields).and_then(gateway_api::read_udp).map(Spec::UdpRoute),
        Kind::PeerAuthentication => peer_authentication::read(fields).map(Spec::PeerAuthentication),
        Kind::ProxyConfig => proxy_config::read(fields).map(Spec::ProxyConfig),
        Kind::Telemetry => telemetry::read(fields).map(Spec::Telemetry),
        Kind::ServiceEntry => istio(fields).and_then(service_entry::read_entry).map(Spec::ServiceEntry),
        Kind::VirtualService => istio(fields).and_then(virtual_service::read).map(Spec::VirtualService),
        Kind::WorkloadEntry => istio(fields).and_then(service_entry::read_workload).map(Spec::WorkloadEntry),
    }
}

/// The `spec` of an Istio or Gateway API object, whose top level has nothing else but `status`.
fn istio<'a>(fields: Fields<'a>) -> Option<Fields<'a>> {
    let spec = top_level(fields)?;
    spec.fields()
}

pub(crate) fn top_level<'a>(fields: Fields<'a>) -> Option<Reader<'a>> {
    for known in ["apiVersion", "kind", "metadata", "status"] {
        fields.take(known);
    }
    let spec = fields.require("spec");
    fields.finish(&["apiVersion", "kind", "metadata", "spec", "status"]);
    spec
}

fn raw(document: &Node, key: &Key) -> serde_json::Value {
    let mut raw = document.to_json();
    if !key.kind.is_cluster_wide()
        && let Some(metadata) = raw.get_mut("metadata").and_then(serde_json::Value::as_object_mut)
    {
        metadata.insert("namespace".to_owned(), key.namespace.clone().into());
    }
    if key.kind == Kind::Secret {
        secret::redact(&mut raw);
    }
    raw
}

#[cfg(test)]
mod tests;
