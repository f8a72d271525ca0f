//! ProxyConfig: how proxies of some workloads run.

use std::collections::BTreeMap;

use crate::parse::top_level;
use crate::reader::Fields;
use crate::selector::Labels;

/// A ProxyConfig. Without a selector it holds for its namespace, in the root namespace for the mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyConfig {
    pub selector: Option<Labels>,
    /// Worker threads; 0: as many as there are processors.
    pub concurrency: Option<u32>,
    pub environment: BTreeMap<String, String>,
    /// `image.imageType`, such as `distroless`.
    pub image_type: Option<String>,
}

pub(crate) fn read(fields: Fields<'_>) -> Option<ProxyConfig> {
    let spec = top_level(fields)?.fields()?;
    let selector = spec.fields("selector").map(|selector| {
        let labels = Labels(selector.text_map("matchLabels"));
        selector.finish(&["matchLabels"]);
        labels
    });
    let image_type = spec.fields("image").and_then(|image| {
        let kind = image.text("imageType");
        image.finish(&["imageType"]);
        kind
    });
    let config = ProxyConfig {
        selector,
        concurrency: spec.count("concurrency"),
        environment: spec.text_map("environmentVariables"),
        image_type,
    };
    spec.finish(&["selector", "concurrency", "environmentVariables", "image"]);
    Some(config)
}
