//! GatewayClass, Gateway and ListenerSet.

use std::collections::BTreeMap;

use super::listener::{Listener, Port, RouteNamespaces, listeners, route_namespaces};
use super::name::at_most;
use super::reference::{self, ObjectReference, ParentReference};
use crate::reader::{Fields, Reader};

/// Who serves Gateways of this class.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayClass {
    /// Such as `istio.io/gateway-controller`.
    pub controller_name: String,
}

/// Gateway API's Gateway; Istio's of the same name is [`crate::Gateway`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KubernetesGateway {
    pub class: String,
    pub listeners: Vec<Listener>,
    pub addresses: Vec<GatewayAddress>,
    pub infrastructure: Infrastructure,
    /// Whose ListenerSets may attach.
    pub allowed_listeners: RouteNamespaces,
    pub tls: GatewayTls,
}

/// An address that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayAddress {
    /// `None`: not said, that is an IP address.
    pub kind: Option<AddressType>,
    /// Empty: any.
    pub value: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressType {
    IpAddress,
    Hostname,
    NamedAddress,
    /// Of a vendor.
    Other(String),
}

/// What is put on what is deployed for the Gateway.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Infrastructure {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub parameters: Option<ObjectReference>,
}

/// TLS of all listeners.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GatewayTls {
    /// Towards clients.
    pub frontend: Option<FrontendTls>,
    /// The certificate that is shown to backends.
    pub backend_client_certificate: Option<ObjectReference>,
}

/// How certificates of clients are looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FrontendTls {
    pub default: Option<FrontendValidation>,
    /// Takes the place of the default for listeners of the port.
    pub per_port: Vec<(u16, Option<FrontendValidation>)>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct FrontendValidation {
    pub roots: Vec<ObjectReference>,
    pub mode: ValidationMode,
}

/// What becomes of clients without a valid certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ValidationMode {
    /// They are refused.
    #[default]
    AllowValidOnly,
    /// They are let in.
    AllowInsecureFallback,
}

/// Listeners that are added to a Gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenerSet {
    pub parent: ParentReference,
    pub listeners: Vec<Listener>,
}

pub(crate) fn read_class(spec: Fields<'_>) -> Option<GatewayClass> {
    let controller_name = spec.require("controllerName").and_then(|name| name.text());
    // Parameters are for the controller that the class names; ours takes none from the class.
    spec.take("parametersRef");
    spec.take("description");
    spec.finish(&["controllerName", "parametersRef", "description"]);
    Some(GatewayClass { controller_name: controller_name? })
}

pub(crate) fn read_gateway(spec: Fields<'_>) -> Option<KubernetesGateway> {
    let class = spec.require("gatewayClassName").and_then(|class| class.text());
    let addresses = spec.list("addresses");
    at_most(&spec, "addresses", addresses.len(), 16);
    let gateway = KubernetesGateway {
        class: class.unwrap_or_default(),
        listeners: listeners(&spec, Port::Required),
        addresses: addresses.iter().filter_map(address).collect(),
        infrastructure: spec.take("infrastructure").and_then(|one| infrastructure(&one)).unwrap_or_default(),
        allowed_listeners: spec.take("allowedListeners").map(|one| allowed_listeners(&one)).unwrap_or_default(),
        tls: spec.take("tls").and_then(|tls| gateway_tls(&tls)).unwrap_or_default(),
    };
    spec.not_supported(&["defaultScope"]);
    spec.finish(&[
        "gatewayClassName",
        "listeners",
        "addresses",
        "infrastructure",
        "allowedListeners",
        "tls",
        "defaultScope",
    ]);
    Some(gateway)
}

pub(crate) fn read_listener_set(spec: Fields<'_>) -> Option<ListenerSet> {
    let parent = spec.require("parentRef").and_then(|parent| reference::parent(&parent));
    let listeners = listeners(&spec, Port::Optional);
    spec.finish(&["parentRef", "listeners"]);
    Some(ListenerSet { parent: parent?, listeners })
}

fn address(reader: &Reader<'_>) -> Option<GatewayAddress> {
    let fields = reader.fields()?;
    let kind = fields.text("type").map(|kind| match kind.as_str() {
        "IPAddress" => AddressType::IpAddress,
        "Hostname" => AddressType::Hostname,
        "NamedAddress" => AddressType::NamedAddress,
        _ => AddressType::Other(kind),
    });
    let value = fields.text("value").unwrap_or_default();
    fields.finish(&["type", "value"]);
    Some(GatewayAddress { kind, value })
}

fn infrastructure(reader: &Reader<'_>) -> Option<Infrastructure> {
    let fields = reader.fields()?;
    let infrastructure = Infrastructure {
        labels: fields.text_map("labels"),
        annotations: fields.text_map("annotations"),
        parameters: fields.take("parametersRef").and_then(|one| reference::object(&one, "", "")),
    };
    fields.finish(&["labels", "annotations", "parametersRef"]);
    Some(infrastructure)
}

fn allowed_listeners(reader: &Reader<'_>) -> RouteNamespaces {
    let Some(fields) = reader.fields() else { return RouteNamespaces::default() };
    let namespaces = fields.take("namespaces").map(|one| route_namespaces(&one)).unwrap_or_default();
    fields.finish(&["namespaces"]);
    namespaces
}

fn gateway_tls(reader: &Reader<'_>) -> Option<GatewayTls> {
    let fields = reader.fields()?;
    let frontend = fields.take("frontend").and_then(|frontend| frontend_tls(&frontend));
    let backend_client_certificate = fields.fields("backend").and_then(|backend| {
        let certificate = backend.take("clientCertificateRef").and_then(|one| reference::object(&one, "", "Secret"));
        backend.finish(&["clientCertificateRef"]);
        certificate
    });
    fields.finish(&["frontend", "backend"]);
    Some(GatewayTls { frontend, backend_client_certificate })
}

fn frontend_tls(reader: &Reader<'_>) -> Option<FrontendTls> {
    let fields = reader.fields()?;
    let default = fields.require("default").and_then(|one| validation(&one));
    let mut per_port = Vec::new();
    for one in fields.list("perPort") {
        let Some(one) = one.fields() else { continue };
        let port =
            one.require("port").and_then(|port| port.number(1, 65_535)).and_then(|port| u16::try_from(port).ok());
        let tls = one.require("tls").and_then(|tls| validation(&tls));
        one.finish(&["port", "tls"]);
        per_port.extend(port.map(|port| (port, tls)));
    }
    fields.finish(&["default", "perPort"]);
    Some(FrontendTls { default, per_port })
}

fn validation(reader: &Reader<'_>) -> Option<FrontendValidation> {
    let tls = reader.fields()?;
    let validation = tls.fields("validation").map(|fields| {
        let roots = fields.list("caCertificateRefs");
        at_most(&fields, "caCertificateRefs", roots.len(), 16);
        let mode = fields.take("mode").and_then(|mode| {
            mode.word(&[
                ("AllowValidOnly", ValidationMode::AllowValidOnly),
                ("AllowInsecureFallback", ValidationMode::AllowInsecureFallback),
            ])
        });
        fields.finish(&["caCertificateRefs", "mode"]);
        FrontendValidation {
            roots: roots.iter().filter_map(|one| reference::object(one, "", "")).collect(),
            mode: mode.unwrap_or_default(),
        }
    });
    tls.finish(&["validation"]);
    validation
}
