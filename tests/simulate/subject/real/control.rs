//! Our control plane on a directory of YAML, and what it says of the proxy.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use orrery_control::{AccessLog, Addresses, Config, Debounce, Mesh, build};
use orrery_tests::http::get_json;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::mesh::allows_unknown_destinations;
use super::IN_FORCE;
use crate::case::ObjectRef;
use crate::cluster::{Cluster, ProxyNode};

pub(super) struct Control {
    dir: TempDir,
    /// What was written, by object.
    written: BTreeMap<ObjectRef, Value>,
    pub(super) xds: SocketAddr,
    pub(super) plaintext: SocketAddr,
    debug: SocketAddr,
    root: String,
    token: String,
    serving: JoinHandle<anyhow::Result<()>>,
    _stop: DropGuard,
    changes: u32,
}

impl Control {
    pub(super) async fn start(cluster: &Cluster, mesh: &Map<String, Value>, node: &ProxyNode) -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let (config_dir, state_dir) = (dir.path().join("config"), dir.path().join("state"));
        fs::create_dir_all(&config_dir).map_err(|error| error.to_string())?;
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = Config {
            config_dir,
            state_dir,
            addresses: Addresses { xds: loopback, xds_plaintext: Some(loopback), debug: loopback },
            mesh: Mesh {
                access_log: AccessLog::Text,
                allow_unknown_destinations: allows_unknown_destinations(mesh)?,
                ..Mesh::default()
            },
            debounce: Debounce { quiet: Duration::from_millis(2), most: Duration::from_millis(20) },
            ..Config::default()
        };
        let written = write(&config.config_dir, &BTreeMap::new(), cluster)?;
        let bound = build(config).await.map_err(|error| format!("the control plane: {error:#}"))?;
        let addresses: BTreeMap<&str, SocketAddr> = bound.addresses().into_iter().collect();
        let at = |name: &str| addresses.get(name).copied().ok_or_else(|| format!("the control plane has no {name}"));
        let (xds, plaintext, debug) = (at("xds")?, at("xds-plaintext")?, at("debug")?);
        let root = bound.root_certificate().to_owned();
        let token = bound.bootstrap_token(&node.namespace, &node.service_account, Duration::from_secs(3600));
        let stop = CancellationToken::new();
        let serving = tokio::spawn(bound.serve(stop.clone()));
        let made =
            Self { dir, written, xds, plaintext, debug, root, token, serving, _stop: stop.drop_guard(), changes: 0 };
        made.wait("the configuration is read", || made.ask("/debug/configz")).await?;
        Ok(made)
    }

    /// Where the mesh's root certificate, and the token of the proxy's workload, are written to.
    pub(super) fn credentials(&self) -> Result<(PathBuf, PathBuf), String> {
        let (root, token) = (self.dir.path().join("root.pem"), self.dir.path().join("token"));
        fs::write(&root, &self.root).map_err(|error| error.to_string())?;
        fs::write(&token, &self.token).map_err(|error| error.to_string())?;
        Ok((root, token))
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes what is different now, and waits until it was pushed.
    pub(super) async fn change(&mut self, cluster: &Cluster) -> Result<(), String> {
        let config = self.dir.path().join("config");
        self.written = write(&config, &self.written, cluster)?;
        self.changes += 1;
        let wanted: Vec<&Value> = self.written.values().collect();
        self.wait("the change is read", || async {
            let has = self.ask("/debug/configz").await?;
            let has = has.as_array().cloned().unwrap_or_default();
            let problems = self.ask("/debug/problems").await?;
            let refused = problems.as_object().map_or(0, Map::len);
            let missing = wanted.iter().filter(|one| !has.contains(one)).count();
            let marks = has.iter().filter(|one| is_mark(one)).count();
            if missing <= refused && has.len() - marks <= wanted.len() {
                Ok(())
            } else {
                Err(format!("{missing} objects"))
            }
        })
        .await?;
        // What is pushed with a later change, or after it, has all of this.
        let mark = format!("simulate-{}", self.changes);
        let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": mark } });
        fs::write(config.join(format!("{mark}.yaml")), object.to_string()).map_err(|error| error.to_string())?;
        self.wait("the change is pushed", || async {
            let pushes = self.ask("/debug/pushes").await?;
            let ours = |push: &&Value| push["causes"].to_string().contains(&mark);
            let pushed = pushes.as_array().into_iter().flatten().find(ours).is_some();
            if pushed { Ok(()) } else { Err("not yet".to_owned()) }
        })
        .await
    }

    /// Waits until a proxy has everything that was published to it, and has refused none of it.
    pub(super) async fn in_force(&self, pod: &str, namespace: &str) -> Result<(), String> {
        let name = format!("{pod}.{namespace}");
        let begun = Instant::now();
        loop {
            if self.serving.is_finished() {
                return Err("the control plane has ended".to_owned());
            }
            let proxies = self.ask("/debug/proxies").await?;
            let ours = proxies.as_array().into_iter().flatten().find(|one| one["proxy"] == *name);
            let refusals: Vec<String> = ours
                .and_then(|one| one["types"].as_object())
                .into_iter()
                .flatten()
                .filter_map(|(kind, state)| Some(format!("{kind}: {}", state.get("refused")?)))
                .collect();
            if !refusals.is_empty() {
                return Err(format!("the proxy refuses its configuration: {}", refusals.join("; ")));
            }
            let (published, synced) =
                ours.map_or((None, None), |one| (one["publishedRevision"].as_u64(), one["syncedRevision"].as_u64()));
            if synced.is_some_and(|synced| synced > 0) && synced >= published {
                return Ok(());
            }
            if begun.elapsed() > IN_FORCE {
                return Err(format!(
                    "the proxy has not acknowledged its configuration: {}",
                    ours.unwrap_or(&Value::Null)
                ));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Objects that had to be refused were, and no others.
    pub(super) async fn check_refused(&self, refused: &[ObjectRef]) -> Result<(), Vec<String>> {
        let problems = self.ask("/debug/problems").await.map_err(|wrong| vec![wrong])?;
        let empty = Map::new();
        let problems = problems.as_object().unwrap_or(&empty);
        let mut wrong = Vec::new();
        for key in refused.iter().filter(|key| !problems.contains_key(&file_name(key))) {
            wrong.push(format!("{key} should have been refused"));
        }
        for (file, what) in problems {
            if !refused.iter().any(|key| file_name(key) == *file) {
                wrong.push(format!("{file} is refused: {what}"));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    async fn ask(&self, path: &str) -> Result<Value, String> {
        get_json(&format!("http://{}{path}", self.debug)).await.map_err(|error| format!("{path}: {error:#}"))
    }

    async fn wait<T, F: Future<Output = Result<T, String>>>(
        &self,
        what: &str,
        mut probe: impl FnMut() -> F,
    ) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            match probe().await {
                Ok(_) => return Ok(()),
                Err(last) if begun.elapsed() > IN_FORCE => {
                    return Err(format!("{what}: not within {IN_FORCE:?}: {last}"));
                }
                Err(_) if self.serving.is_finished() => return Err("the control plane has ended".to_owned()),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}

fn is_mark(object: &Value) -> bool {
    object["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("simulate-"))
}

/// Writes one file for each object, and removes those of objects that are gone.
fn write(
    dir: &Path,
    before: &BTreeMap<ObjectRef, Value>,
    cluster: &Cluster,
) -> Result<BTreeMap<ObjectRef, Value>, String> {
    let now: BTreeMap<ObjectRef, Value> = cluster.objects().map(|(key, one)| (key.clone(), one.clone())).collect();
    for key in before.keys().filter(|key| !now.contains_key(*key)) {
        fs::remove_file(dir.join(file_name(key))).map_err(|error| format!("{key}: {error}"))?;
    }
    for (key, object) in now.iter().filter(|(key, object)| before.get(*key) != Some(*object)) {
        // Written aside first: the control plane must never see half of it.
        let (aside, file) = (dir.join(".new"), dir.join(file_name(key)));
        fs::write(&aside, object.to_string()).map_err(|error| format!("{key}: {error}"))?;
        fs::rename(&aside, &file).map_err(|error| format!("{key}: {error}"))?;
    }
    Ok(now)
}

fn file_name(key: &ObjectRef) -> String {
    format!("{}_{}_{}.yaml", key.kind, key.namespace, key.name)
}
