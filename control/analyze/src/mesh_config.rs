//! What the analyzers ask of Istio's MeshConfig.

use serde_json::Value;

use crate::snapshot::ROOT_NAMESPACE;
use crate::value::Look;

#[derive(Debug)]
pub(crate) struct MeshConfig(Value);

impl MeshConfig {
    pub(crate) fn new(config: Value) -> Self {
        Self(config)
    }

    /// The namespace whose policies hold for the whole mesh.
    pub(crate) fn root_namespace(&self) -> &str {
        match self.0.text("/rootNamespace") {
            "" => ROOT_NAMESPACE,
            named => named,
        }
    }

    /// Whether sidecars allocate addresses to ServiceEntries without one, so that DNS tells them apart.
    pub(crate) fn allocates_addresses(&self) -> bool {
        let metadata = self.0.labels("/defaultConfig/proxyMetadata");
        let on = |key: &str| metadata.get(key).is_some_and(|value| value == "true");
        on("ISTIO_META_DNS_CAPTURE") && (on("ISTIO_META_DNS_AUTO_ALLOCATE") || on("PILOT_ENABLE_IP_AUTOALLOCATE"))
    }

    /// The service of the gateway that comes with an installation; nothing where none does.
    pub(crate) fn ingress_service(&self) -> Option<&str> {
        match (self.0.text("/ingressControllerMode"), self.0.text("/ingressService")) {
            ("OFF", _) => None,
            (_, "") => Some("istio-ingressgateway"),
            (_, named) => Some(named),
        }
    }

    /// The variant of the sidecar's image, such as `distroless`.
    pub(crate) fn image_type(&self) -> &str {
        self.0.text("/defaultConfig/image/imageType")
    }

    /// Whether `defaultProviders` names one for a signal: `accessLogging`, `metrics` or `tracing`.
    pub(crate) fn has_default_provider(&self, signal: &str) -> bool {
        !self.0.list(&format!("/defaultProviders/{signal}")).is_empty()
    }

    /// The extension provider of a name.
    pub(crate) fn provider(&self, name: &str) -> Option<&Value> {
        self.0.list("/extensionProviders").iter().find(|provider| provider.text("/name") == name)
    }
}
