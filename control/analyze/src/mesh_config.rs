//! What the analyzers ask of Istio's MeshConfig.

use serde_json::Value;

use crate::value::Look;

#[derive(Debug)]
pub(crate) struct MeshConfig(Value);

impl MeshConfig {
    pub(crate) fn new(config: Value) -> Self {
        Self(config)
    }

    /// Whether sidecars allocate addresses to ServiceEntries without one.
    pub(crate) fn allocates_addresses(&self) -> bool {
        let metadata = self.0.labels("/defaultConfig/proxyMetadata");
        ["ISTIO_META_DNS_CAPTURE", "ISTIO_META_DNS_AUTO_ALLOCATE"]
            .into_iter()
            .all(|key| metadata.get(key).is_some_and(|value| value == "true"))
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
