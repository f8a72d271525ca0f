//! Which variant of the sidecar's image a pod is to have: the mesh's, overridden by ProxyConfigs and by the pod.

use crate::resource::Resource;
use crate::snapshot::{Snapshot, one_document};
use crate::value::{Labels, Look, selects};

/// A ProxyConfig inside of a pod's annotations.
const OWN: &str = "proxy.istio.io/config";
/// The image without a suffix.
const DEFAULT: &str = "default";

/// What the mesh and all ProxyConfigs say, from the most general to the most specific.
pub(super) struct ImageTypes<'a> {
    rules: Vec<Rule<'a>>,
}

struct Rule<'a> {
    /// Nothing for the whole mesh.
    namespace: Option<&'a str>,
    selector: Labels,
    image_type: &'a str,
}

impl<'a> ImageTypes<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let mesh = Rule { namespace: None, selector: Labels::new(), image_type: snapshot.mesh_config.image_type() };
        let root = snapshot.mesh_config.root_namespace();
        let mut rules: Vec<Rule<'a>> = snapshot
            .all("ProxyConfig")
            .map(|config| Rule {
                namespace: Some(config.namespace.as_str()).filter(|namespace| *namespace != root),
                selector: config.spec().labels("/selector/matchLabels"),
                image_type: config.spec().text("/image/imageType"),
            })
            .collect();
        rules.push(mesh);
        // A stable sort, so that the mesh's own, which was added last, must be moved to the front of the general ones.
        rules.rotate_right(1);
        rules.sort_by_key(|rule| (rule.namespace.is_some(), !rule.selector.is_empty()));
        Self { rules }
    }

    /// The suffix of the pod's image; empty for none.
    pub(super) fn of_pod(&self, pod: &Resource) -> String {
        let holds = |rule: &&Rule<'a>| {
            rule.namespace.is_none_or(|namespace| namespace == pod.namespace) && selects(&rule.selector, &pod.labels)
        };
        let own = pod.annotations.get(OWN).map(|text| one_document(text).text("/image/imageType").to_owned());
        let configured = self.rules.iter().filter(holds).map(|rule| rule.image_type.to_owned());
        let last = configured.chain(own).rfind(|image_type| !image_type.is_empty()).unwrap_or_default();
        if last == DEFAULT { String::new() } else { last }
    }
}
