//! Certificates of a gateway: which Secret or ConfigMap a name means, whether this proxy may have it, and what is in it.

use envoy_types::pb::envoy::config::core::v3::DataSource;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::secret::Type;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, Secret as SecretMessage, TlsCertificate,
};
use orrery_api::{GatewayOrigin, Key, Kind, Roots, Spec};

use super::merge::Attached;
use crate::proxy::{Proof, Proxy};
use crate::world::World;

/// Puts the roots for client certificates beside a certificate.
const COMPANION: &str = "-cacert";

/// What a credential's name means, by Istio's rules.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    /// `NAME`, `kubernetes://NAME`, `kubernetes://NAMESPACE/NAME`.
    Secret { namespace: String, name: String },
    /// `kubernetes-gateway://NAMESPACE/NAME`.
    GatewaySecret { namespace: String, name: String },
    /// `configmap://NAMESPACE/NAME`.
    ConfigMap { namespace: String, name: String },
}

/// The name of a credential in SDS.
pub(super) fn resource_name(written: &str) -> String {
    if written.contains("://") { written.to_owned() } else { format!("kubernetes://{written}") }
}

/// The name of the roots that stand beside a credential.
pub(super) fn companion(resource: &str) -> String {
    format!("{resource}{COMPANION}")
}

/// A certificate with its key, if it is there, is good, and the proxy may have it.
pub(super) fn key_pair(world: &World, proxy: &Proxy, attached: &Attached<'_>, resource: &str) -> Option<SecretMessage> {
    let source = source(resource, &proxy.namespace)?;
    if !may_read(proxy, attached, resource, &source) {
        return None;
    }
    let (Source::Secret { namespace, name } | Source::GatewaySecret { namespace, name }) = source else { return None };
    let Spec::Secret(secret) = &world.get(&key(Kind::Secret, namespace, name))?.spec else { return None };
    let pair = secret.key_pair.as_ref().ok()?;
    let certificate = TlsCertificate {
        certificate_chain: Some(inline(&pair.certificates)),
        private_key: Some(inline(pair.key.reveal())),
        ..Default::default()
    };
    Some(SecretMessage { name: resource.to_owned(), r#type: Some(Type::TlsCertificate(certificate)) })
}

/// Roots for client certificates, if they are there and good, and the proxy may have them.
pub(super) fn roots(world: &World, proxy: &Proxy, attached: &Attached<'_>, resource: &str) -> Option<SecretMessage> {
    let source = source(resource, &proxy.namespace)?;
    if !may_read(proxy, attached, resource.strip_suffix(COMPANION).unwrap_or(resource), &source)
        && !may_read(proxy, attached, resource, &source)
    {
        return None;
    }
    let roots = match source {
        Source::Secret { namespace, name } | Source::GatewaySecret { namespace, name } => {
            roots_of_secret(world, &namespace, &name)
        }
        Source::ConfigMap { namespace, name } => match &world.get(&key(Kind::ConfigMap, namespace, name))?.spec {
            Spec::ConfigMap(map) => map.roots.as_ref().ok(),
            _ => None,
        },
    }?;
    let context = CertificateValidationContext {
        trusted_ca: Some(inline(&roots.certificates)),
        crl: roots.revoked.as_deref().map(inline),
        ..Default::default()
    };
    Some(SecretMessage { name: resource.to_owned(), r#type: Some(Type::ValidationContext(context)) })
}

/// Of the Secret with that very name, or else of the one that it is the companion of.
fn roots_of_secret<'a>(world: &'a World, namespace: &str, name: &str) -> Option<&'a Roots> {
    let find = |name: &str| world.get(&key(Kind::Secret, namespace.to_owned(), name.to_owned()));
    let object = find(name).or_else(|| find(name.strip_suffix(COMPANION)?))?;
    match &object.spec {
        Spec::Secret(secret) => secret.roots.as_ref().ok(),
        _ => None,
    }
}

fn source(resource: &str, own: &str) -> Option<Source> {
    let (scheme, rest) = resource.split_once("://")?;
    let (namespace, name) = match rest.split_once('/') {
        Some((namespace, name)) => (namespace.to_owned(), name.to_owned()),
        None if scheme == "kubernetes" => (own.to_owned(), rest.to_owned()),
        None => return None,
    };
    match scheme {
        "kubernetes" => Some(Source::Secret { namespace, name }),
        "kubernetes-gateway" => Some(Source::GatewaySecret { namespace, name }),
        "configmap" => Some(Source::ConfigMap { namespace, name }),
        _ => None,
    }
}

/// Secrets go to proxies that proved to be of the Secret's namespace, and to those whose Gateway was granted it.
fn may_read(proxy: &Proxy, attached: &Attached<'_>, resource: &str, source: &Source) -> bool {
    let proved = proxy.proof == Proof::Proved;
    match source {
        // Certificates of authorities are no secret.
        Source::ConfigMap { .. } => true,
        Source::Secret { namespace, .. } => proved && *namespace == proxy.namespace,
        Source::GatewaySecret { namespace, .. } => {
            proved
                && match attached.origin {
                    GatewayOrigin::Istio => *namespace == proxy.namespace && attached.key.namespace == proxy.namespace,
                    // The proxy is one of those that its Gateway names, by namespace too.
                    GatewayOrigin::GatewayApi { granted, .. } => granted.contains(resource),
                }
        }
    }
}

fn key(kind: Kind, namespace: String, name: String) -> Key {
    Key { kind, namespace, name }
}

fn inline(bytes: &[u8]) -> DataSource {
    DataSource { specifier: Some(Specifier::InlineBytes(bytes.to_vec())), ..Default::default() }
}
