//! PeerAuthentication: whether a workload takes plain text.

use std::collections::BTreeMap;

use crate::parse::top_level;
use crate::reader::{Fields, Reader};
use crate::selector::Labels;

/// What connections a workload takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtlsMode {
    /// As the next wider policy says.
    Unset,
    Disable,
    Permissive,
    Strict,
}

/// A PeerAuthentication. Without a selector it holds for its namespace, in the root namespace for the mesh.
#[derive(Clone, Debug)]
pub struct PeerAuthentication {
    pub selector: Option<Labels>,
    pub mtls: MtlsMode,
    /// By workload port.
    pub ports: BTreeMap<u16, MtlsMode>,
}

const MODES: [(&str, MtlsMode); 4] = [
    ("UNSET", MtlsMode::Unset),
    ("DISABLE", MtlsMode::Disable),
    ("PERMISSIVE", MtlsMode::Permissive),
    ("STRICT", MtlsMode::Strict),
];

pub(crate) fn read(fields: Fields<'_>) -> Option<PeerAuthentication> {
    let spec = top_level(fields)?.fields()?;
    let selector = spec.fields("selector").map(|selector| {
        let labels = Labels(selector.text_map("matchLabels"));
        selector.finish(&["matchLabels"]);
        labels
    });
    let mtls = spec.take("mtls").map_or(MtlsMode::Unset, |reader| mode(&reader));
    let ports = spec.take("portLevelMtls").map(|reader| port_modes(&reader)).unwrap_or_default();
    if !ports.is_empty() && selector.as_ref().is_none_or(Labels::is_empty) {
        spec.report("portLevelMtls needs a selector", "ports belong to workloads: add spec.selector.matchLabels");
    }
    spec.finish(&["selector", "mtls", "portLevelMtls"]);
    Some(PeerAuthentication { selector, mtls, ports })
}

fn mode(reader: &Reader<'_>) -> MtlsMode {
    let Some(fields) = reader.fields() else { return MtlsMode::Unset };
    let mode = fields.take("mode").and_then(|mode| mode.word(&MODES)).unwrap_or(MtlsMode::Unset);
    fields.finish(&["mode"]);
    mode
}

fn port_modes(reader: &Reader<'_>) -> BTreeMap<u16, MtlsMode> {
    let mut modes = BTreeMap::new();
    for (key, value) in reader.entries() {
        match key.parse::<u16>() {
            Ok(port) if port > 0 => {
                modes.insert(port, mode(&value));
            }
            Ok(_) | Err(_) => value.report(format!("{key:?} is no port number"), "ports are given by number here"),
        }
    }
    modes
}
