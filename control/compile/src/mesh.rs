//! The mesh's settings as an object: the ConfigMap that Istio keeps them in.

use orrery_api::{Key, Kind, MeshConfig, Object, Problem, Spec};

use crate::settings::Settings;

/// Its name, in the root namespace.
pub const MESH_CONFIG_MAP: &str = "istio";
/// Where in it the MeshConfig is.
const MESH: &str = "mesh";

/// The ConfigMap's key; the root namespace is the one that the control plane was started with.
pub(crate) fn key(base: &Settings) -> Key {
    Key { kind: Kind::ConfigMap, namespace: base.root_namespace.clone(), name: MESH_CONFIG_MAP.to_owned() }
}

/// The settings that hold with this ConfigMap.
pub(crate) fn settings(base: &Settings, object: Option<&Object>) -> Settings {
    object.and_then(read).map_or_else(|| base.clone(), |(mesh, _)| base.with(&mesh))
}

/// What is wrong with the mesh's settings in an object, or has no effect; nothing for other objects.
pub fn mesh_problems(object: &Object, settings: &Settings) -> Vec<Problem> {
    let is_it = object.key.name == MESH_CONFIG_MAP && object.key.kind == Kind::ConfigMap;
    let Some((mesh, mut problems)) = is_it.then(|| read(object)).flatten() else { return Vec::new() };
    if mesh.trust_domain.is_some_and(|domain| domain != settings.trust_domain) {
        problems.push(late("trustDomain"));
    }
    for problem in &mut problems {
        problem.namespace.clone_from(&object.key.namespace);
        problem.name.clone_from(&object.key.name);
    }
    problems
}

fn late(field: &str) -> Problem {
    Problem {
        file: String::new(),
        line: 1,
        column: 1,
        kind: "MeshConfig".to_owned(),
        namespace: String::new(),
        name: String::new(),
        field: field.to_owned(),
        message: "identities of this domain are issued since the control plane started; it cannot change meanwhile"
            .to_owned(),
        hint: "start the control plane with --trust-domain, or with --mesh-config".to_owned(),
    }
}

fn read(object: &Object) -> Option<(MeshConfig, Vec<Problem>)> {
    let Spec::ConfigMap(map) = &object.spec else { return None };
    map.data.get(MESH).map(|text| MeshConfig::read(text, &object.file))
}
