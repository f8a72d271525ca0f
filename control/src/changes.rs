//! From the configuration directory's stream of changes to the state: the one place that knows that stream.

use std::collections::BTreeMap;

use orrery_api::{Key, Kind, Problem};
use orrery_compile::mesh_problems;
use orrery_source::Change;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::applied::Applied;
use crate::config::Config;
use crate::metrics::{Family, Metrics};
use crate::state::State;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Added,
    Updated,
    Deleted,
}

/// An object that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) key: Key,
    pub(crate) event: Event,
}

/// What a change did.
#[derive(Debug, Default)]
pub(crate) struct Update {
    /// What proxies may have to be told.
    pub(crate) changed: Option<Changed>,
    /// The directory was read completely.
    pub(crate) loaded: bool,
    /// Mistakes in the file that changed; its objects stay as they were.
    pub(crate) refused: usize,
}

/// Mistakes in the directory's files, by file, until they are mended.
pub(crate) type Problems = BTreeMap<String, Vec<Problem>>;

/// Starts to watch the configuration directory.
pub(crate) fn watch(config: &Config, stop: CancellationToken) -> anyhow::Result<mpsc::Receiver<Change>> {
    Ok(orrery_source::watch(config.config_dir.clone(), stop)?)
}

/// Whether a change is older than what was applied or deleted over the API since it was read from the directory.
///
/// Such a change may be left out: the watcher will read the newer file too, and tell of it.
pub(crate) async fn is_outdated(state: &State, applied: &Applied, change: &Change) -> bool {
    let (key, object) = match change {
        Change::Put(object) if state.get(&object.key) == Some(&**object) => return false,
        Change::Put(object) => (&object.key, Some(object)),
        Change::Gone(key) => (key, None),
        Change::Refused { .. } | Change::Loaded => return false,
    };
    let kind = key.kind.as_str();
    let own_file = Applied::name_of(&key.namespace, kind, &key.name);
    let on_disk = applied.read(&key.namespace, kind, &key.name).await;
    match on_disk {
        None => object.is_some_and(|object| object.file == own_file),
        Some(text) => match orrery_api::parse(&text, &own_file, &key.namespace) {
            Ok(now) => !now.iter().any(|now| Some(now) == object.map(AsRef::as_ref)),
            // Somebody edits the file by hand; the watcher knows best.
            Err(_) => false,
        },
    }
}

/// Takes note of a change that is outdated: it may be about what an applied object stands in front of.
pub(crate) fn pass_by(state: &mut State, change: Change) {
    match change {
        Change::Put(object) if !object.file.starts_with("applied/") => state.shadow(object),
        Change::Gone(key) => state.unshadow(&key),
        Change::Put(_) | Change::Refused { .. } | Change::Loaded => {}
    }
}

/// Takes a change into the state. What the state has already is no change.
pub(crate) fn take(state: &mut State, change: Change) -> Update {
    match change {
        Change::Put(object) => {
            for problem in mesh_problems(&object, state.world().settings()) {
                tracing::warn!("{problem}");
            }
            let key = object.key();
            let event = if state.get(&key).is_some() { Event::Updated } else { Event::Added };
            let changed = state.put(object).then_some(Changed { key, event });
            Update { changed, ..Update::default() }
        }
        Change::Gone(key) => {
            state.unshadow(&key);
            let changed = state.remove(&key).then_some(Changed { key, event: Event::Deleted });
            Update { changed, ..Update::default() }
        }
        Change::Refused { file, problems } => {
            for problem in &problems {
                tracing::error!("{problem}");
            }
            let refused = problems.len();
            state.set_problems(file, problems);
            Update { refused, ..Update::default() }
        }
        Change::Loaded => Update { loaded: true, ..Update::default() },
    }
}

impl Changed {
    /// Counts the change as Istio does: traffic configuration here, what makes up services there.
    pub(crate) fn count(&self, metrics: &Metrics) {
        let family = match self.key.kind {
            Kind::DaemonSet
            | Kind::Deployment
            | Kind::EndpointSlice
            | Kind::Endpoints
            | Kind::Job
            | Kind::Namespace
            | Kind::Pod
            | Kind::ReplicaSet
            | Kind::Service
            | Kind::ServiceAccount
            | Kind::StatefulSet => Family::RegistryEvents,
            Kind::AuthorizationPolicy
            | Kind::ConfigMap
            | Kind::DestinationRule
            | Kind::EnvoyFilter
            | Kind::Gateway
            | Kind::IstioOperator
            | Kind::MeshInstall
            | Kind::PeerAuthentication
            | Kind::Secret
            | Kind::ProxyConfig
            | Kind::RequestAuthentication
            | Kind::ServiceEntry
            | Kind::Telemetry
            | Kind::VirtualService
            | Kind::WasmPlugin
            | Kind::WorkloadEntry
            | Kind::BackendTlsPolicy
            | Kind::BackendTrafficPolicy
            | Kind::GatewayClass
            | Kind::GrpcRoute
            | Kind::HttpRoute
            | Kind::InferencePool
            | Kind::KubernetesGateway
            | Kind::ListenerSet
            | Kind::ReferenceGrant
            | Kind::TcpRoute
            | Kind::TlsRoute
            | Kind::UdpRoute => Family::ConfigEvents,
        };
        let event = match self.event {
            Event::Added => "add",
            Event::Updated => "update",
            Event::Deleted => "delete",
        };
        metrics.add(family, &[("type", self.key.kind.as_str()), ("event", event)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::applied::Document;

    fn object(file: &str, port: u16) -> orrery_api::Object {
        let text =
            format!("apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec: {{ports: [{{port: {port}}}]}}\n");
        orrery_api::parse(&text, file, "default").unwrap().remove(0)
    }

    #[tokio::test]
    async fn what_was_applied_since_the_directory_was_read_stays() {
        const OWN: &str = "applied/default_Service_a.yaml";
        let directory = tempfile::tempdir().unwrap();
        let applied = Applied::new(directory.path());
        let mut state = State::new(&Config::default());
        let put = |file: &str, port| Change::Put(object(file, port).into());
        assert!(!is_outdated(&state, &applied, &put("a.yaml", 1)).await);
        assert!(is_outdated(&state, &applied, &put(OWN, 1)).await, "its file was deleted since");
        let newest = object(OWN, 2);
        let document = Document {
            kind: "Service".to_owned(),
            namespace: "default".to_owned(),
            name: "a".to_owned(),
            text: newest.to_yaml(),
        };
        applied.write(&[document]).unwrap();
        state.put(newest.clone());
        for (change, expect) in [
            (put(OWN, 2), false),
            (put(OWN, 1), true),
            (put("a.yaml", 1), true),
            (Change::Gone(newest.key()), true),
            (Change::Loaded, false),
        ] {
            assert_eq!(is_outdated(&state, &applied, &change).await, expect, "{change:?}");
        }
    }
}
